"""StableDiffusionPipeline, versions 1 and 2: a U-Net on latents that attends to CLIP's states.

Rombach et al. 2022, arXiv 2112.10752. Whether it predicts eps or v, its configuration says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from diffview.errors import InputError
from diffview.models.card import ModelCard
from diffview.models.hf import cards, schedule
from diffview.models.hf.folder import Folder

if TYPE_CHECKING:
    import torch

    from diffview.models.hf.build import Place
    from diffview.models.network import NetworkDenoiser

ENCODERS = ("CLIPTextModel",)


def describe(folder: Folder) -> ModelCard:
    """The card of a Stable Diffusion 1.x or 2.x."""
    unet, vae = folder.part("unet", "UNet2DConditionModel"), folder.part("vae", "AutoencoderKL")
    encoder = folder.part("text_encoder", *ENCODERS)
    cross, width = unet.config.get("cross_attention_dim"), encoder.config.get("hidden_size")
    if cross != width:
        raise InputError(
            f"{unet.path} attends to vectors of {cross}, {encoder.path} makes them of {width}"
        )
    cards.check_conditions(unet, None)
    shape = cards.shape(unet, "in_channels")
    return cards.card(
        folder,
        schedule.read(folder.part("scheduler"), latent=True),
        parts=("unet", "vae", "text_encoder"),
        data_shape=cards.only_latents(unet, shape),
        picture_shape=cards.decoded(vae, shape),
        text_tokens=cards.tokens(encoder),
        guidance=7.5,
        null_condition="CLIP's states of an empty prompt",
    )


def load(folder: Folder, card: ModelCard, place: Place) -> NetworkDenoiser:
    """The denoiser; its condition is CLIP's last states, of "" where there is no prompt."""
    from diffview.models.hf import build
    from diffview.models.hf.decoders import Autoencoder
    from diffview.models.hf.text import Encoder, TextModel
    from diffview.models.network import NetworkDenoiser

    device, dtype = place.device, place.dtype
    unet: Any = build.build(folder.part("unet"), place)
    clip = TextModel(folder, "", ENCODERS, place)

    def encode(prompts: list[str]) -> Any:
        return clip.network(clip.tokens(prompts, card.text_tokens).input_ids)[0]

    return NetworkDenoiser(
        card,
        network_of(unet, dtype),
        device,
        text=Encoder(encode),
        decoder=Autoencoder(folder.part("vae"), place),
    )


def network_of(unet: Any, dtype: torch.dtype) -> Any:
    """(x_t, t, states) -> prediction, as a NetworkDenoiser asks."""

    def network(x_t: Any, t: Any, states: Any) -> Any:
        out = unet(x_t.to(dtype), t, encoder_hidden_states=states.to(dtype), return_dict=False)
        return out[0].float()

    return network
