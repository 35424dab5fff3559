"""StableDiffusion3Pipeline: a transformer on a rectified flow, two CLIPs and, if it is there, T5.

Esser et al. 2024, arXiv 2403.03206. The states of both CLIPs stand side by side, filled up with
zeros to T5's width, T5's follow them; the pooled states of both CLIPs are a vector of their own.
Without T5 its states are zeros. The network's time is 1000 times the flow's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from diffview.models.card import ModelCard
from diffview.models.hf import cards, schedule
from diffview.models.hf.folder import Folder

if TYPE_CHECKING:
    from diffview.models.hf.build import Place
    from diffview.models.network import NetworkDenoiser

CLIP = ("CLIPTextModelWithProjection",)
T5_TOKENS = 256


def describe(folder: Folder) -> ModelCard:
    """The card of a Stable Diffusion 3."""
    transformer = folder.part("transformer", "SD3Transformer2DModel")
    vae = folder.part("vae", "AutoencoderKL")
    first, second = (folder.part(f"text_encoder{n}", *CLIP) for n in ("", "_2"))
    parts = ["transformer", "vae", "text_encoder", "text_encoder_2"]
    notes: tuple[str, ...] = ()
    if "text_encoder_3" in folder.parts:
        folder.part("text_encoder_3", "T5EncoderModel")
        parts.append("text_encoder_3")
    else:
        notes = ("it has no T5: long prompts are understood less well",)
    shape = cards.shape(transformer, "in_channels")
    return cards.card(
        folder,
        schedule.read(folder.part("scheduler"), latent=True, tokens=cards.patches(transformer)),
        parts=tuple(parts),
        data_shape=shape,
        picture_shape=cards.decoded(vae, shape),
        text_tokens=min(cards.tokens(first), cards.tokens(second)),
        guidance=7.0,
        null_condition="the text models' states of an empty prompt",
        notes=notes,
    )


def load(folder: Folder, card: ModelCard, place: Place) -> NetworkDenoiser:
    """The denoiser."""
    import torch
    from torch.nn.functional import pad

    from diffview.models.hf import build
    from diffview.models.hf.decoders import Autoencoder
    from diffview.models.hf.text import Encoder, Packed, TextModel
    from diffview.models.network import NetworkDenoiser

    device, dtype = place.device, place.dtype
    transformer: Any = build.build(folder.part("transformer"), place)
    clips = [TextModel(folder, suffix, CLIP, place) for suffix in ("", "_2")]
    t5 = None
    if "text_encoder_3" in folder.parts:
        t5 = TextModel(folder, "_3", ("T5EncoderModel",), place)
    width = int(transformer.config.joint_attention_dim)
    pooled_width = sum(clip.width("projection_dim") for clip in clips)
    packed = Packed(((card.text_tokens + T5_TOKENS, width), (pooled_width,)))

    def network(x_t: Any, t: Any, rows: Any) -> Any:
        states, pooled = (part.to(dtype) for part in packed.unpack(rows))
        out = transformer(
            hidden_states=x_t.to(dtype),
            timestep=1000 * t,
            encoder_hidden_states=states,
            pooled_projections=pooled,
        )
        return out.sample.float()

    def encode(prompts: list[str]) -> Any:
        outs = [
            clip.network(
                clip.tokens(prompts, card.text_tokens).input_ids, output_hidden_states=True
            )
            for clip in clips
        ]
        states = torch.cat([out.hidden_states[-2] for out in outs], dim=-1)
        states = pad(states, (0, width - states.shape[-1]))
        pooled = torch.cat([out[0] for out in outs], dim=-1)
        return packed.pack(torch.cat([states, long_states(prompts)], dim=1), pooled)

    def long_states(prompts: list[str]) -> Any:
        if t5 is None:
            return torch.zeros(len(prompts), T5_TOKENS, width, device=device, dtype=dtype)
        return t5.network(t5.tokens(prompts, T5_TOKENS).input_ids)[0]

    return NetworkDenoiser(
        card,
        network,
        device,
        text=Encoder(encode),
        decoder=Autoencoder(folder.part("vae"), place),
    )
