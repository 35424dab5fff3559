"""From what a person asks for ("Sneaker", 7, one of each) to what the network takes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from diffview.engine.spec import Condition
from diffview.errors import InputError
from diffview.models.card import ModelCard

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
    """Labels (B,) int64 on `device`, or None. Raises InputError when the model has no such."""
    import torch

    if condition is None:
        return None
    if isinstance(condition, str):
        raise InputError(f"model '{card.id}' takes no prompt; it has {_listed(card.classes)}")
    labels = (condition,) * batch if isinstance(condition, int) else condition
    if len(labels) != batch:
        raise InputError(f"{len(labels)} labels were given for {batch} samples; give one for each")
    checked = [checked_label(card, label) for label in labels]
    return torch.tensor(checked, dtype=torch.int64, device=device)
