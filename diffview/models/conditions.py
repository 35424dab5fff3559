"""From what a person asks for ("Sneaker", 7, "a red shoe") to what the network takes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, cast

from diffview.engine.denoiser import Denoiser, TakesText
from diffview.engine.options import DISTILLED_SCALE
from diffview.engine.spec import Condition, RunSpec
from diffview.errors import DiffviewError, InputError
from diffview.models import words
from diffview.models.card import ModelCard
from diffview.models.words import Reading

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def label_number(card: ModelCard, label: str | int) -> int:
    """The class called `label`, by number, name or the start of one name, letter case aside.

    Raises InputError listing the classes.
    """
    if not card.classes:
        raise InputError(f"model '{card.id}' has no classes, so it takes no label")
    text = str(label).strip()
    if re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        return checked_label(card, int(text))
    names = [name.casefold() for name in card.classes]
    if text.casefold() in names:
        return names.index(text.casefold())
    starts = [k for k, name in enumerate(names) if text and name.startswith(text.casefold())]
    if len(starts) == 1:
        return starts[0]
    raise InputError(f"model '{card.id}' has no class '{label}'; it has {_listed(card.classes)}")


def checked_label(card: ModelCard, label: int) -> int:
    """`label` if the model has it. Raises InputError naming the range."""
    if not card.classes:
        raise InputError(f"model '{card.id}' has no classes, so it takes no label")
    if not 0 <= label < len(card.classes):
        raise InputError(
            f"label {label} is out of range: model '{card.id}' has labels 0 to "
            f"{len(card.classes) - 1}, {_listed(card.classes)}"
        )
    return label


def _listed(classes: Sequence[str]) -> str:
    shown = ", ".join(f"{k} {name}" for k, name in enumerate(classes[:20]))
    return shown + (", ..." if len(classes) > 20 else "")


def condition_tensor(
    card: ModelCard, condition: Condition, batch: int, device: torch.device
) -> Tensor | None:
    """Labels (B,) int64 on `device`, or None. Raises InputError when the model has no such.

    Prompts are the model's own to encode, see `condition_of`.
    """
    import torch

    if condition is None:
        return None
    labels = [_checked_class(card, label) for label in each(condition, batch)]
    return torch.tensor(labels, dtype=torch.int64, device=device)


def each(condition: Condition, batch: int) -> Sequence[int | str]:
    """One label or prompt for each of `batch` samples. Raises InputError for another number."""
    if condition is None:
        return ()
    if isinstance(condition, int | str):
        return (condition,) * batch
    if len(condition) != batch:
        what = "prompts" if condition and isinstance(condition[0], str) else "labels"
        raise InputError(
            f"{len(condition)} {what} were given for {batch} samples; give one for each"
        )
    return condition


class Model(Denoiser, Protocol):
    """A denoiser that knows its card."""

    @property
    def card(self) -> ModelCard:
        """What the model is."""


class TakesScale(Protocol):
    """A model that was taught a scale of guidance as one more input."""

    def at_scale(self, scale: float) -> Model:
        """The same model, told `scale`; it shares the weights."""


def at_distilled_scale(model: Model, spec: RunSpec) -> Model:
    """`model` at the distilled scale of this recipe, if it was taught one."""
    if not model.card.distilled:
        return model
    return cast(TakesScale, model).at_scale(float(spec.option(DISTILLED_SCALE.name)))


def condition_of(model: Model, spec: RunSpec) -> Tensor | None:
    """What `model` is given as the condition of `spec`: labels (B,) or encoded prompts (B, ...).

    Raises InputError when the model takes no such condition.
    """
    if spec.guidance.kind == "classifier" and not (model.card.classes or model.card.takes_text):
        return _labels(spec, model.device)
    if not model.card.takes_text or spec.condition is None:
        return condition_tensor(model.card, spec.condition, spec.batch, model.device)
    prompts = each(spec.condition, spec.batch)
    return _encoded(model, [checked_prompt(model.card, prompt) for prompt in prompts])


def _labels(spec: RunSpec, device: torch.device) -> Tensor | None:
    """A classifier's own labels: the model under it takes none."""
    import torch

    asked = [label for label in each(spec.condition, spec.batch) if not isinstance(label, str)]
    return torch.tensor(asked, dtype=torch.int64, device=device) if asked else None


def negative_of(model: Model, spec: RunSpec) -> Tensor | None:
    """The encoded negative prompt (B, ...), None where there is none."""
    if spec.negative is None:
        return None
    return _encoded(model, [checked_prompt(model.card, spec.negative)] * spec.batch)


def checked_prompt(card: ModelCard, prompt: str | int) -> str:
    """`prompt` if the model takes prompts. Raises InputError saying what it takes instead."""
    if not card.takes_text:
        instead = f"it has {_listed(card.classes)}" if card.classes else "it takes no condition"
        raise InputError(f"model '{card.id}' takes no prompt; {instead}")
    if not isinstance(prompt, str):
        raise InputError(f"model '{card.id}' has no labels, it takes a prompt: give words")
    return prompt


def reading(card: ModelCard, prompt: str) -> Reading:
    """How the model reads a prompt: what of it has no effect."""
    return words.reading(prompt, card.vocabulary, card.text_tokens)


def _checked_class(card: ModelCard, label: int | str) -> int:
    if isinstance(label, str):
        raise InputError(f"model '{card.id}' takes no prompt; it has {_listed(card.classes)}")
    return checked_label(card, label)


def _encoded(model: Model, prompts: list[str]) -> Tensor:
    """Each different prompt is encoded once."""
    import torch

    different = list(dict.fromkeys(prompts))
    rows = cast(TakesText, model).encode(different)
    if len(rows) != len(different):
        raise DiffviewError(f"the model encoded {len(different)} prompts to {len(rows)} rows")
    places = [different.index(prompt) for prompt in prompts]
    return rows[torch.tensor(places, device=rows.device)]
