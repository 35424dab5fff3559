"""FluxPipeline: a transformer on a rectified flow over 2x2 packed latents, T5 and CLIP's pool.

Black Forest Labs 2024 (code). Its guidance was distilled into the network: dev takes a scale as
one more input, schnell takes none. There is no trained "no prompt"; guiding by a second prompt
("true CFG") still works, with the empty prompt in its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from diffview.engine.options import DISTILLED_SCALE
from diffview.errors import InputError
from diffview.models.card import ModelCard
from diffview.models.hf import cards, schedule
from diffview.models.hf.folder import Folder

if TYPE_CHECKING:
    from diffview.models.hf.build import Place
    from diffview.models.network import NetworkDenoiser

T5_TOKENS = 512
SIDE = 128
"""Latent pixels of a side: the configuration does not say, the pipeline's default does."""


def describe(folder: Folder) -> ModelCard:
    """The card of a Flux."""
    transformer = folder.part("transformer", "FluxTransformer2DModel")
    vae = folder.part("vae", "AutoencoderKL")
    folder.part("text_encoder", "CLIPTextModel")
    folder.part("text_encoder_2", "T5EncoderModel")
    shape = _shape(folder)
    notes = [
        "guidance was distilled into it; classifier-free guidance comes on top, at twice the work"
    ]
    embeds = transformer.config.get("guidance_embeds", False)
    if not isinstance(embeds, bool):
        raise InputError(f"{transformer.path}: guidance_embeds {embeds!r} is not true or false")
    if embeds:
        notes.append("its distilled guidance is the option distilled_scale, at no more work")
    return cards.card(
        folder,
        schedule.read(
            folder.part("scheduler"),
            latent=True,
            tokens=(shape[1] // 2) * (shape[2] // 2),
            flow_spacing="trailing",  # 1, 1 - 1/N, .. 1/N, whether the shift is dynamic or not
        ),
        parts=("transformer", "vae", "text_encoder", "text_encoder_2"),
        data_shape=shape,
        picture_shape=cards.decoded(vae, shape),
        text_tokens=T5_TOKENS,
        guidance=1.0,
        distilled=embeds,
        null_condition="an empty prompt (true CFG alone; its own guidance is distilled)",
        notes=notes,
    )


def _shape(folder: Folder) -> tuple[int, int, int]:
    transformer, vae = folder.part("transformer"), folder.part("vae")
    packed = transformer.config.get("in_channels")
    if type(packed) is not int or packed < 4 or packed % 4:
        raise InputError(f"{transformer.path}: in_channels {packed!r} are no 2x2 packed channels")
    size, side = vae.config.get("sample_size"), SIDE
    if type(size) is int and size < SIDE:  # a toy: as large as its decoder says
        side = size // cards.factor(vae)
    if side < 2 or side % 2:
        raise InputError(f"{vae.path}: sample_size {size!r} gives {side} latent pixels a side")
    return packed // 4, side, side


def load(folder: Folder, card: ModelCard, place: Place) -> NetworkDenoiser:
    """The denoiser."""
    import torch

    from diffview.models.hf import build
    from diffview.models.hf.decoders import Autoencoder
    from diffview.models.hf.text import Encoder, Packed, TextModel, clip_length
    from diffview.models.network import NetworkDenoiser

    device, dtype = place.device, place.dtype
    transformer: Any = build.build(folder.part("transformer"), place)
    clip = TextModel(folder, "", ("CLIPTextModel",), place)
    t5 = TextModel(folder, "_2", ("T5EncoderModel",), place)
    widths = t5.width("d_model"), clip.width("hidden_size")
    packed = Packed(((T5_TOKENS, widths[0]), (widths[1],)))
    text_places = torch.zeros(T5_TOKENS, 3, device=device, dtype=dtype)
    places = _places(card.data_shape[1] // 2, card.data_shape[2] // 2).to(device, dtype)
    embeds = card.distilled

    def network(
        x_t: Any, t: Any, rows: Any, guidance_scale: float = float(DISTILLED_SCALE.default)
    ) -> Any:
        states, pooled = (part.to(dtype) for part in packed.unpack(rows))
        scale = torch.full((len(rows),), guidance_scale, device=device) if embeds else None
        out = transformer(
            hidden_states=patched(x_t).to(dtype),
            timestep=t.to(dtype),
            guidance=scale,
            pooled_projections=pooled,
            encoder_hidden_states=states,
            txt_ids=text_places,
            img_ids=places,
        )
        return unpatched(out.sample, card.data_shape).float()

    def encode(prompts: list[str]) -> Any:
        pooled = clip.network(clip.tokens(prompts, clip_length(clip.tokenizer)).input_ids)
        states = t5.network(t5.tokens(prompts, T5_TOKENS).input_ids)[0]
        return packed.pack(states, pooled.pooler_output)

    return NetworkDenoiser(
        card,
        network,
        device,
        text=Encoder(encode),
        decoder=Autoencoder(folder.part("vae"), place),
    )


def patched(x: Any) -> Any:
    """(B, C, H, W) -> (B, H/2 * W/2, 4 C): each 2x2 square is a token."""
    batch, channels, height, width = x.shape
    squares = x.reshape(batch, channels, height // 2, 2, width // 2, 2)
    return squares.permute(0, 2, 4, 1, 3, 5).reshape(batch, -1, 4 * channels)


def unpatched(tokens: Any, shape: tuple[int, ...]) -> Any:
    """The inverse of `patched`."""
    channels, height, width = shape
    squares = tokens.reshape(len(tokens), height // 2, width // 2, channels, 2, 2)
    return squares.permute(0, 3, 1, 4, 2, 5).reshape(len(tokens), channels, height, width)


def _places(rows: int, columns: int) -> Any:
    """(rows * columns, 3): 0, row and column of each token."""
    import torch

    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return torch.stack([torch.zeros_like(row), row, column], dim=-1).reshape(-1, 3)
