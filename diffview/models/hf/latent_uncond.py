"""LDMPipeline: an unconditional UNet2DModel on the latents of a VQModel.

Rombach et al. 2022, arXiv 2112.10752. Decoding snaps each latent to its nearest code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from diffview.errors import InputError
from diffview.models.card import ModelCard
from diffview.models.hf import cards, schedule
from diffview.models.hf.folder import Folder
from diffview.models.hf.pixels import classes_of

if TYPE_CHECKING:
    from diffview.models.hf.build import Place
    from diffview.models.network import NetworkDenoiser


def describe(folder: Folder) -> ModelCard:
    """The card of an unconditional latent model."""
    unet, vqvae = folder.part("unet", "UNet2DModel"), folder.part("vqvae", "VQModel")
    if classes_of(unet):
        raise InputError(f"{unet.path} wants a class, and an LDMPipeline gives it none")
    shape = cards.shape(unet, "in_channels")
    return cards.card(
        folder,
        schedule.read(folder.part("scheduler"), latent=True),
        parts=("unet", "vqvae"),
        data_shape=shape,
        picture_shape=cards.decoded(vqvae, shape),
    )


def load(folder: Folder, card: ModelCard, place: Place) -> NetworkDenoiser:
    """The denoiser."""
    from diffview.models.hf import build
    from diffview.models.hf.decoders import Autoencoder
    from diffview.models.network import NetworkDenoiser

    device, dtype = place.device, place.dtype
    unet: Any = build.build(folder.part("unet"), place)

    def network(x_t: Any, t: Any) -> Any:
        return unet(x_t.to(dtype), t).sample.float()

    return NetworkDenoiser(card, network, device, decoder=Autoencoder(folder.part("vqvae"), place))
