"""StableDiffusionXLPipeline: a larger U-Net, two CLIPs, and the picture's size as a condition.

Podell et al. 2023, arXiv 2307.01952. Its condition is the last but one states of both text models
side by side, and the pooled state of the second; no prompt at all is zeros where the index says so
(force_zeros_for_empty_prompt), else the encoding of "".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from diffview.errors import InputError
from diffview.models.card import ModelCard
from diffview.models.hf import cards, schedule
from diffview.models.hf.folder import Folder

if TYPE_CHECKING:
    from diffview.models.hf.build import Place
    from diffview.models.network import NetworkDenoiser

FIRST, SECOND = ("CLIPTextModel",), ("CLIPTextModelWithProjection",)


def describe(folder: Folder) -> ModelCard:
    """The card of an SDXL."""
    unet, vae = folder.part("unet", "UNet2DConditionModel"), folder.part("vae", "AutoencoderKL")
    first, second = folder.part("text_encoder", *FIRST), folder.part("text_encoder_2", *SECOND)
    cards.check_conditions(unet, "text_time")
    shape, zeros = cards.shape(unet, "in_channels"), _forced(folder)
    return cards.card(
        folder,
        schedule.read(folder.part("scheduler"), latent=True),
        parts=("unet", "vae", "text_encoder", "text_encoder_2"),
        data_shape=cards.only_latents(unet, shape),
        picture_shape=cards.decoded(vae, shape),
        text_tokens=min(cards.tokens(first), cards.tokens(second)),
        guidance=5.0,
        null_condition="zeros, not an empty prompt" if zeros else "an empty prompt",
    )


def _forced(folder: Folder) -> bool:
    found = folder.settings.get("force_zeros_for_empty_prompt", True)
    if not isinstance(found, bool):
        raise InputError(
            f"{folder.path}: force_zeros_for_empty_prompt {found!r} is neither true nor false"
        )
    return found


def load(folder: Folder, card: ModelCard, place: Place) -> NetworkDenoiser:
    """The denoiser."""
    import torch

    from diffview.models.hf import build
    from diffview.models.hf.decoders import Autoencoder
    from diffview.models.hf.text import Encoder, Packed, TextModel
    from diffview.models.network import NetworkDenoiser

    device, dtype = place.device, place.dtype
    unet: Any = build.build(folder.part("unet"), place)
    first = TextModel(folder, "", FIRST, place)
    second = TextModel(folder, "_2", SECOND, place)
    width = sum(model.width("hidden_size") for model in (first, second))
    packed = Packed(((card.text_tokens, width), (second.width("projection_dim"),)))
    height, wide = card.picture_shape[-2:]
    sizes = torch.tensor([[height, wide, 0, 0, height, wide]], dtype=dtype, device=device)

    def network(x_t: Any, t: Any, rows: Any) -> Any:
        states, pooled = (part.to(dtype) for part in packed.unpack(rows))
        added = {"text_embeds": pooled, "time_ids": sizes.expand(len(rows), -1)}
        out = unet(x_t.to(dtype), t, encoder_hidden_states=states, added_cond_kwargs=added)
        return out.sample.float()

    def encode(prompts: list[str]) -> Any:
        outs = [
            model.network(
                model.tokens(prompts, card.text_tokens).input_ids, output_hidden_states=True
            )
            for model in (first, second)
        ]
        states = torch.cat([out.hidden_states[-2] for out in outs], dim=-1)
        return packed.pack(states, outs[1][0])

    def zeros() -> Any:
        return torch.zeros_like(encode([""]))

    forced = _forced(folder)
    return NetworkDenoiser(
        card,
        network,
        device,
        text=Encoder(encode, zeros if forced else None),
        decoder=Autoencoder(folder.part("vae"), place),
    )
