"""What classifiers say along a run that one of them guides: Dhariwal & Nichol 2021, arXiv
2105.05233, section 4, which trains them on noisy pictures for the reason that is seen here."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from diffview.engine.trajectory import Float32, StepRecord
from diffview.errors import DiffviewError
from diffview.models.together import Runner, together

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Judge = Callable[["Tensor", "Tensor"], "Tensor"]
"""f(x, t) -> logits (B, K); one of clean pictures ignores t."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One judge on B samples: the probability of the class that was asked for, and the class that
    it takes them for."""

    p: Float32
    seen: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Of one record: the clean judge on the estimate, which it guides by, and on the noisy state,
    which it never saw the like of; the noisy judge on the state.

    The estimate is the one before guidance.
    """

    clean: Verdict
    clean_of_state: Verdict
    noisy: Verdict


def verdict(
    judge: Judge, x: Float32, t: float, label: int, device: torch.device | str = "cpu"
) -> Verdict:
    """What a judge on `device` says of x (B, *D) at time t, asked for class `label`."""
    import torch

    with torch.no_grad():
        given = torch.tensor(x, device=device)
        logits = judge(given, torch.full((len(x),), t, device=device)).float()
        p = logits.softmax(-1).cpu()
    return Verdict(p[:, label].numpy(), p.argmax(-1).numpy())


def verdicts(
    record: StepRecord,
    clean: Judge,
    noisy: Judge,
    label: int,
    device: torch.device | str = "cpu",
) -> Verdicts:
    """Both judges on one record."""
    estimate = record.x0_hat if record.base is None else record.base
    t = record.level.t
    return Verdicts(
        verdict(clean, estimate, t, label, device),
        verdict(clean, record.x_t, t, label, device),
        verdict(noisy, record.x_t, t, label, device),
    )


def judged(
    runners: Sequence[Runner], clean: Judge, noisy: Judge, label: int
) -> Generator[tuple[int, Verdicts | DiffviewError], None, None]:
    """Fill the runs side by side; yields which one went on and what both judges say of it now."""
    for place, made in together(runners):
        if isinstance(made, DiffviewError):
            yield place, made
        else:
            device = runners[place].model.device
            yield place, verdicts(made, clean, noisy, label, device)
