"""DDPMPipeline and DDIMPipeline: a UNet2DModel on pixels, with classes or without.

Ho, Jain, Abbeel 2020, arXiv 2006.11239. A network with class embeddings has no embedding that
means "no class", so it cannot be guided without a classifier.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from diffview.errors import InputError
from diffview.models.card import ModelCard
from diffview.models.hf import cards, schedule
from diffview.models.hf.folder import Folder, Part

if TYPE_CHECKING:
    from diffview.models.hf.build import Place
    from diffview.models.network import NetworkDenoiser


def describe(folder: Folder) -> ModelCard:
    """The card of a model on pixels."""
    unet = folder.part("unet", "UNet2DModel")
    sampling = schedule.read(folder.part("scheduler"), latent=False)
    classes = classes_of(unet)
    return cards.card(
        folder,
        sampling,
        parts=("unet",),
        data_shape=cards.shape(unet, "in_channels"),
        classes=classes,
        needs_condition=bool(classes),
        null_condition="none: it always needs a class" if classes else "",
        learned_variance=cards.learned_variance(unet),
    )


def load(folder: Folder, card: ModelCard, place: Place) -> NetworkDenoiser:
    """The denoiser."""
    from diffview.models.hf import build
    from diffview.models.network import NetworkDenoiser

    device, dtype = place.device, place.dtype
    unet: Any = build.build(folder.part("unet"), place)

    def network(x_t: Any, t: Any, label: Any = None) -> Any:
        return unet(x_t.to(dtype), t, class_labels=label).sample.float()

    return NetworkDenoiser(card, network, device)


def classes_of(unet: Part) -> tuple[str, ...]:
    """The numbers of the classes a UNet2DModel has embeddings for."""
    kind, count = unet.config.get("class_embed_type"), unet.config.get("num_class_embeds")
    if kind is not None:
        raise InputError(
            f"{unet.path}: class_embed_type {kind!r} wants another condition than a class: such "
            "U-Nets are not opened"
        )
    if count is None:
        return ()
    return tuple(str(k) for k in range(cards.whole(unet, "num_class_embeds", 0)))
