"""All that was read of a model, in a person's words: for the window and the command line alike."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffview.errors import InputError
from diffview.models import hf, memory
from diffview.models.card import ModelCard
from diffview.models.catalog import Entry

PREDICTIONS = {
    "eps": "the noise ε",
    "x0": "the clean sample x₀",
    "v": "the velocity v = α ε − σ x₀",
    "flow": "the flow ε − x₀",
    "edm": "what EDM's preconditioning leaves",
    "next": "the next token",
    "class": "the class",
    "tokens": "tokens",
}
SHOWN_DIGITS = 16
"""Of a file's hash among others; the model's own is told whole."""

TRAINED = "diffview train "
"""How the source of a model begins that a recipe made."""

Facts = tuple[tuple[str, str], ...]


def of_entry(entry: Entry) -> Facts:
    """(what, in words) of a model in a file or a folder, its files with their hashes among them.

    A name may occur again, as `file` and `note` do.
    """
    told = of_card(entry.card)
    if entry.path.exists():
        told += (("path", str(entry.path)),)
    return (*told, *_files(entry.path, entry.card))


def checked(entry: Entry) -> tuple[str, ...]:
    """What is unusual about a model's parts beside its card.

    The networks of a diffusers model are built without memory for it, which takes seconds. Raises
    InputError for a part that does not fit its weights; where the packages for it are not there,
    that is what is told.
    """
    if entry.card.family != hf.FAMILY:
        return ()
    try:
        hf.require()
    except InputError as error:
        return (f"its tensors were not compared with its configuration: {error}",)
    return hf.check(entry.path)


def of_card(card: ModelCard) -> Facts:
    """The same without what only the disk knows; what is not known is left out."""
    shape, pictures = _shape(card.data_shape), _shape(card.picture_shape)
    told = {
        "model": card.title if card.title == card.id else f"{card.title} ({card.id})",
        "what": card.source or card.description,
        "family": hf.told_family(card) if card.family == hf.FAMILY else card.family,
        "samples": shape + (f" latents, decoded to {pictures}" if pictures else ""),
        "predicts": _prediction(card),
        "schedule": schedule(card) if card.samples and not card.by_token else "",
        "condition": _condition(card),
        "without": card.null_condition,
        "decoder": card.decoder,
        "parts": card.description if card.source else "",
        "parameters": f"{card.parameters:,}" if card.parameters else "",
        "run with": ", ".join(f"{k} {v}" for k, v in card.defaults.items()),
        "limits": card.limits,
        "licence": card.licence or "not stated",
        "data": card.data_licence,
        "sha256": card.weights_sha256,
    }
    notes = (("note", note) for note in card.notes)
    return (*((name, value) for name, value in told.items() if value), *_figures(card), *notes)


def _figures(card: ModelCard) -> Facts:
    """What was measured of a model that was trained, and how it is measured again."""
    if not card.figures or not card.source.startswith(TRAINED):
        return ()
    told = (("measured", f"{name}: {_figure(value)}") for name, value in card.figures.items())
    return (("figures", f"measured by {card.source} --evaluate"), *told)


def _figure(value: Any) -> str:
    """A figure, or those of several things; a number alone is a scale of guidance."""
    if not isinstance(value, Mapping):
        return str(value)
    return ", ".join(f"{found} ({_of(name)})" for name, found in value.items())


def _of(name: str) -> str:
    return f"γ = {name}" if name.replace(".", "").isdigit() else name


def schedule(card: ModelCard) -> str:
    """The noise schedule's name, times, and range of sigma / alpha."""
    low, high = (card.schedule.level(t) for t in card.schedule.span)
    times = f"T {card.schedule.T}" if card.schedule.discrete else "continuous"
    end = "no signal" if high.alpha == 0 else f"{high.ratio:.4g}"
    return f"{card.schedule.name}, {times}, σ/α from {low.ratio:.4g} to {end}"


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _prediction(card: ModelCard) -> str:
    variance = " and a variance" if card.learned_variance else ""
    told = PREDICTIONS.get(card.prediction, "")
    return f"{card.prediction}{variance}" + (f", {told}" if told else "")


def _condition(card: ModelCard) -> str:
    without = "" if card.guidable else "; there is no input that means none"
    if card.takes_text:
        return f"a prompt of up to {card.text_tokens} tokens{without}"
    if card.classes:
        names = ", ".join(card.classes[:5]) + (", ..." if len(card.classes) > 5 else "")
        return f"one of {len(card.classes)} classes ({names}){without}"
    return "none"


def _files(path: Path, card: ModelCard) -> Facts:
    if card.family != hf.FAMILY:
        return ()
    return tuple(
        ("file", f"{name}, {memory.gigabytes(size)}, {sha256[:SHOWN_DIGITS]}")
        for name, size, sha256 in hf.files(path)
    )
