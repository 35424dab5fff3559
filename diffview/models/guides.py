"""The second model of guidance, a classifier or a weaker model: whether it fits, and opening it.

Importing this file costs no torch: a window can say what does not fit before torch is there.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from diffview.engine.spec import Curve, Guidance
from diffview.errors import InputError
from diffview.models import catalog, sampling
from diffview.models.card import ModelCard
from diffview.models.catalog import Entry

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from diffview.engine.run import Guide

SCALES: Mapping[str, float] = {"none": 1.0, "classifier": 3.0, "autoguidance": 2.0}
"""gamma where a person gives a kind of guidance alone; classifier-free has the model's own."""


def kind_of(guide: ModelCard) -> str:
    """The kind of guidance that such a second model is for; "none" for one that cannot guide."""
    if guide.samples:
        return "autoguidance"
    return "classifier" if guide.prediction == "class" else "none"


def reason_against(card: ModelCard, guide: ModelCard, kind: str) -> str:
    """Why `guide` cannot be the second model of guidance `kind` for a model; "" where it can."""
    if kind not in Guidance.NEED_GUIDE:
        return f"guidance '{kind}' uses no second model"
    if kind_of(guide) != kind:
        what = _CAN[kind_of(guide)]
        wanted = "a classifier" if kind == "classifier" else "a weaker model of the same pictures"
        return f"'{guide.id}' {what}: guidance '{kind}' needs {wanted}"
    return _of_the_data(card, guide) or _of_the_classes(card, guide) or _of_weakness(card, guide)


_CAN = {
    "none": "neither samples nor names classes",
    "classifier": "only names classes",
    "autoguidance": "samples pictures, it names no classes",
}


def _of_the_data(card: ModelCard, guide: ModelCard) -> str:
    if guide.data_shape != card.data_shape:
        shapes = " and ".join("x".join(map(str, one.data_shape)) for one in (card, guide))
        return f"'{card.id}' and '{guide.id}' are of different shapes, {shapes}"
    if guide.latent != card.latent:
        return f"one of '{card.id}' and '{guide.id}' is of pictures, the other of latents"
    if guide.value_range != card.value_range:
        return f"'{card.id}' and '{guide.id}' have different ranges of values"
    return ""


def _of_the_classes(card: ModelCard, guide: ModelCard) -> str:
    if card.takes_text and guide.prediction == "class":
        return f"'{card.id}' takes a prompt, and a classifier steers to a class"
    if guide.takes_text and not card.takes_text:
        return f"'{guide.id}' takes a prompt and '{card.id}' none"
    if guide.classes and card.classes and guide.classes != card.classes:
        return f"'{guide.id}' knows other classes than '{card.id}'"
    if guide.samples and guide.classes and not card.classes:
        return f"'{guide.id}' is asked for a class and '{card.id}' for none"
    return ""


def _of_weakness(card: ModelCard, guide: ModelCard) -> str:
    if not guide.samples:
        return ""
    if guide.schedule != card.schedule:
        return f"'{guide.id}' has another noise schedule than '{card.id}'"
    same = "a model is not weaker than itself: there would be no direction"
    return same if _are_one(card, guide) else ""


def _are_one(card: ModelCard, guide: ModelCard) -> bool:
    if guide is card:
        return True
    if guide.weights_sha256 or card.weights_sha256:
        return guide.weights_sha256 == card.weights_sha256
    # Networks of this process all have one id and no hash; each has a card of its own.
    return guide.id == card.id and guide.family != sampling.WRAPPED


def check(card: ModelCard, guide: ModelCard, kind: str) -> None:
    """Raise InputError saying why `guide` does not fit."""
    reason = reason_against(card, guide, kind)
    if reason:
        raise InputError(reason)


def guidance(
    card: ModelCard,
    *,
    kind: str | None = None,
    scale: float | None = None,
    guide: ModelCard | None = None,
    curve: Curve = (),
) -> float | Guidance | None:
    """What a person chose of guidance, for `sampling.spec_for`; just the scale where that is all.

    The kind follows from the guide unless given, gamma from the kind. Raises InputError for a
    guide that does not fit.
    """
    if kind is None and guide is None and not curve:
        return scale
    kind = kind or ("cfg" if guide is None else kind_of(guide))
    if guide is not None and kind_of(guide) == "none":
        raise InputError(f"'{guide.id}' {_CAN['none']}, so it cannot guide")
    if kind == "none" and scale is not None:
        raise InputError(f"γ = {scale:g} does nothing without guidance: leave one of them out")
    if guide is not None and kind in Guidance.KINDS:
        check(card, guide, kind)
    own = SCALES.get(kind, float(sampling.default(card, "guidance")))
    name = "" if guide is None else guide.id
    return Guidance(kind, own if scale is None else scale, name, curve)


def entry_for(given: str | None, named: str, known: Iterable[Entry] = ()) -> Entry | None:
    """The guide's file: what was `given`, else the known or bundled model that a recipe names.

    A recipe may come from anyone: no path in it is opened. None where there is no guide. Raises
    InputError where it is not here.
    """
    if given is not None:
        return catalog.find(given)
    if not named:
        return None
    for entry in (*known, *catalog.bundled()):
        if entry.card.id == named:
            return entry
    raise InputError(
        f"this run was guided by model '{named}', which does not ship with diffview: give its file"
    )


def open_guide(entry: Entry, model: ModelCard, device: str | torch.device = "auto") -> Guide:
    """A classifier as the engine calls it, or the weaker model, weights loaded, for `model`.

    Raises InputError for a classifier of noisy pictures whose times mean other noise.
    """
    opened = sampling.open_model(entry, device)
    if entry.card.samples:
        weaker: Guide = opened
        return weaker
    classifier = as_classifier(opened)
    if not isinstance(classifier, CleanClassifier) and entry.card.schedule != model.schedule:
        raise InputError(
            f"'{entry.card.id}' was trained on pictures of another noise schedule than "
            f"'{model.id}' has: it cannot guide it"
        )
    return classifier


def as_classifier(network: Callable[..., Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """f(x_t, t) around a network of noisy pictures, f(x) marked clean around one of clean ones."""
    return network if _takes_time(network) else CleanClassifier(network)


class CleanClassifier:
    """A classifier trained on pictures without noise: the engine asks it about x0_hat."""

    clean = True

    def __init__(self, network: Callable[..., Tensor]) -> None:
        self._network = network

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        return self._network(x)


def _takes_time(network: Callable[..., Any]) -> bool:
    from diffview.models.classifier import Classifier

    if isinstance(network, Classifier):
        return network.shifts is not None
    target = getattr(network, "forward", network)
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        return True
    return sum(p.kind in positional for p in parameters) >= 2


def curve_from(text: str) -> Curve:
    """The knots λ:factor between commas, by rising λ; of no text none.

    Raises InputError for what is no such list.
    """
    knots = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        place, colon, factor = part.partition(":")
        try:
            if not colon or "_" in part:
                raise ValueError(part)
            knots.append((float(place), float(factor)))
        except ValueError:
            raise InputError(f"'{part}' is no knot λ:factor, as in -4:0, 0:1, 3:0.5") from None
    return tuple(sorted(knots))


def curve_text(curve: Curve) -> str:
    """What `curve_from` reads back to the same numbers."""
    return ", ".join(f"{_short(lam)}:{_short(factor)}" for lam, factor in curve)


def _short(number: float) -> str:
    return next(text for text in (f"{number:.6g}", repr(number)) if float(text) == number)


def about(guide: ModelCard | None) -> dict[str, Any]:
    """What a session and a recipe say of the guide beside its id."""
    if guide is None:
        return {}
    return {"guide": {"id": guide.id, "title": guide.title, "sha256": guide.weights_sha256}}


def weights_of(about: Mapping[str, Any]) -> str:
    """The hash of the guide's weights that made a run; "" if unknown."""
    guide = about.get("guide")
    return str(guide.get("sha256") or "") if isinstance(guide, Mapping) else ""


def card_of(network: object, model: ModelCard) -> ModelCard:
    """A card for a person's own classifier, which is taken to know the model's classes."""
    if not callable(network):
        raise InputError(
            f"a {type(network).__name__} cannot guide: give an id, a file, an opened model, or a "
            "classifier f(x_t, t)"
        )
    return ModelCard(
        id="wrapped-classifier",
        title="Your classifier",
        family=sampling.WRAPPED,
        data_shape=model.data_shape,
        prediction="class",
        schedule=model.schedule,
        classes=model.classes,
        value_range=model.value_range,
        latent=model.latent,
        source="a network of this Python process",
    )
