"""DiTPipeline: a transformer on latents, conditioned on a class.

Peebles & Xie 2022, arXiv 2212.09748. One embedding after those of the classes means "no class";
the second half of the channels is the variance it learned.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from diffview.errors import InputError
from diffview.models.card import ModelCard
from diffview.models.hf import cards, schedule
from diffview.models.hf.folder import Folder, Part

if TYPE_CHECKING:
    from diffview.models.hf.build import Place
    from diffview.models.network import NetworkDenoiser


def describe(folder: Folder) -> ModelCard:
    """The card of a DiT."""
    transformer = folder.part("transformer", "DiTTransformer2DModel", "Transformer2DModel")
    vae = folder.part("vae", "AutoencoderKL")
    shape = cards.shape(transformer, "in_channels")
    return cards.card(
        folder,
        schedule.read(folder.part("scheduler"), latent=True),
        parts=("transformer", "vae"),
        data_shape=shape,
        picture_shape=cards.decoded(vae, shape),
        classes=_classes(folder, count(transformer)),
        learned_variance=cards.learned_variance(transformer),
        guidance=4.0,
        null_condition=f"class {count(transformer)}, the one after the last",
    )


def load(folder: Folder, card: ModelCard, place: Place) -> NetworkDenoiser:
    """The denoiser; its null label is the one after the last class."""
    from diffview.models.hf import build
    from diffview.models.hf.decoders import Autoencoder
    from diffview.models.network import NetworkDenoiser

    device, dtype = place.device, place.dtype
    transformer: Any = build.build(folder.part("transformer"), place)

    def network(x_t: Any, t: Any, label: Any) -> Any:
        return transformer(x_t.to(dtype), timestep=t, class_labels=label).sample.float()

    return NetworkDenoiser(
        card,
        network,
        device,
        null=len(card.classes),
        decoder=Autoencoder(folder.part("vae"), place),
    )


def count(transformer: Part) -> int:
    """How many classes it knows."""
    found = transformer.config.get("num_embeds_ada_norm")
    if type(found) is not int or found < 1:
        raise InputError(
            f"{transformer.path}: num_embeds_ada_norm {found!r} is no number of classes"
        )
    return found


def _classes(folder: Folder, number: int) -> tuple[str, ...]:
    """The names in the index's id2label, by number where there is none."""
    told = folder.settings.get("id2label")
    names = told if isinstance(told, dict) else {}
    return tuple(_name(names.get(str(k)), k) for k in range(number))


def _name(told: object, k: int) -> str:
    first = re.split(r",", told)[0].strip() if isinstance(told, str) else ""
    return first or str(k)
