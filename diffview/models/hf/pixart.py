"""PixArtAlphaPipeline and PixArtSigmaPipeline: a transformer that attends to T5's states.

Chen et al. 2023, arXiv 2310.00426; 2024, arXiv 2403.04692. Padding is masked, so a prompt's row
holds its mask too; alpha reads 120 tokens, sigma 300. Of alpha the networks of 1024 pixels are
also told the picture's size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from diffview.models.card import ModelCard
from diffview.models.hf import cards, schedule
from diffview.models.hf.folder import Folder

if TYPE_CHECKING:
    from diffview.models.hf.build import Place
    from diffview.models.network import NetworkDenoiser

TOKENS = {"PixArtAlphaPipeline": 120, "PixArtSigmaPipeline": 300}
TOLD_ITS_SIZE = 128
"""The sample_size of those networks that are told."""


def describe(folder: Folder) -> ModelCard:
    """The card of a PixArt."""
    transformer = folder.part("transformer", "PixArtTransformer2DModel", "Transformer2DModel")
    vae = folder.part("vae", "AutoencoderKL")
    folder.part("text_encoder", "T5EncoderModel")
    shape = cards.shape(transformer, "in_channels")
    return cards.card(
        folder,
        schedule.read(folder.part("scheduler"), latent=True),
        parts=("transformer", "vae", "text_encoder"),
        data_shape=shape,
        picture_shape=cards.decoded(vae, shape),
        text_tokens=TOKENS[folder.pipeline],
        learned_variance=cards.learned_variance(transformer),
        guidance=4.5,
        null_condition="T5's states of an empty prompt, and its mask",
    )


def load(folder: Folder, card: ModelCard, place: Place) -> NetworkDenoiser:
    """The denoiser."""
    import torch

    from diffview.models.hf import build
    from diffview.models.hf.decoders import Autoencoder
    from diffview.models.hf.text import Encoder, Packed, TextModel
    from diffview.models.network import NetworkDenoiser

    device, dtype = place.device, place.dtype
    transformer: Any = build.build(folder.part("transformer"), place)
    t5 = TextModel(folder, "", ("T5EncoderModel",), place)
    width = t5.width("d_model")
    packed = Packed(((card.text_tokens, width), (card.text_tokens,)))
    alpha = folder.pipeline == "PixArtAlphaPipeline"
    told = alpha and card.data_shape[1] == TOLD_ITS_SIZE
    height, wide = card.picture_shape[-2:]

    def sizes(batch: int) -> dict[str, Any]:
        if not told:
            return {"resolution": None, "aspect_ratio": None}
        resolution = torch.tensor([[height, wide]], dtype=dtype, device=device)
        ratio = torch.tensor([[height / wide]], dtype=dtype, device=device)
        return {
            "resolution": resolution.expand(batch, -1),
            "aspect_ratio": ratio.expand(batch, -1),
        }

    def network(x_t: Any, t: Any, rows: Any) -> Any:
        states, mask = packed.unpack(rows)
        out = transformer(
            x_t.to(dtype),
            timestep=t,
            encoder_hidden_states=states.to(dtype),
            encoder_attention_mask=mask.long(),
            added_cond_kwargs=sizes(len(rows)),
        )
        return out.sample.float()

    def encode(prompts: list[str]) -> Any:
        # The model was trained on captions in lower case.
        found = t5.tokens([prompt.lower().strip() for prompt in prompts], card.text_tokens)
        states = t5.network(found.input_ids, attention_mask=found.attention_mask)[0]
        return packed.pack(states, found.attention_mask)

    return NetworkDenoiser(
        card,
        network,
        device,
        text=Encoder(encode),
        decoder=Autoencoder(folder.part("vae"), place),
    )
