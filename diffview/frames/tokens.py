"""What can be seen of a run that writes token by token, from its records alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from diffview.engine.next_token import Choice, Written, choose, guided, probabilities
from diffview.engine.spec import RunSpec
from diffview.engine.trajectory import Float32, StepRecord
from diffview.errors import InputError


def written(record: StepRecord) -> Written:
    """What the record knows of its tokens. Raises InputError for a run that removes noise."""
    if record.written is None:
        raise InputError(
            "this run removes noise: it has no tokens, and no entropy of the next one"
        )
    return record.written


def codes(record: StepRecord) -> int:
    """How many tokens there are to choose from."""
    logits = record.logits if record.base is None else record.base
    return 1 if logits is None else logits.shape[1]


def entropies(record: StepRecord) -> Float32:
    """(B, *D) in nats: of what each token was drawn from, the next one's too; NaN after it."""
    return _mapped(record, written(record).entropy)


def surprises(record: StepRecord) -> Float32:
    """(B, *D) in nats: -log p of each token that was drawn, the next one's too; NaN after it."""
    with np.errstate(divide="ignore"):  # a token that another guidance leaves no chance
        return _mapped(record, -np.log(written(record).probability))


def _mapped(record: StepRecord, values: Float32) -> Float32:
    out = np.full((len(values), math.prod(record.x_t.shape[1:])), np.nan, np.float32)
    out[:, : values.shape[1]] = values
    return out.reshape(record.x_t.shape)


def logits(record: StepRecord, gamma: float) -> Float32:
    """Of the next token, (B, K), at this guidance scale; those of the run where none guides."""
    if record.base is None or record.direction is None:
        if record.logits is None:
            raise InputError("this record has no logits")
        return record.logits
    return guided(record.base, record.direction, gamma)


def at_gamma(record: StepRecord, spec: RunSpec, gamma: float) -> StepRecord:
    """The record as it would be at another guidance scale: the same tokens before, no network.

    What is chosen is what the same uniform number draws.
    """
    known = written(record)
    choice = chosen(record, spec, gamma)
    if choice is None:
        return record
    x0_hat = record.x_t.copy()
    x0_hat.reshape(len(x0_hat), -1)[:, record.i] = choice.likeliest
    return replace(record, x0_hat=x0_hat, written=known.with_last(choice))


def chosen(record: StepRecord, spec: RunSpec, gamma: float) -> Choice | None:
    """What is drawn for the next token at this guidance scale; None at the end."""
    known = written(record)
    if known.chosen.shape[1] <= record.i:
        return None
    temperature, top_k = float(spec.option("temperature")), int(spec.option("top_k"))
    return choose(logits(record, gamma), known.uniform[:, record.i], temperature, top_k)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A token that could come next: its number, its probability, whether it is the one drawn."""

    token: int
    probability: float
    drawn: bool


def candidates(
    record: StepRecord, spec: RunSpec, gamma: float, sample: int, most: int = 8
) -> tuple[Candidate, ...]:
    """The likeliest next tokens of one sample, and the drawn one, by falling probability."""
    known = written(record)
    if known.chosen.shape[1] <= record.i:
        return ()
    temperature, top_k = float(spec.option("temperature")), int(spec.option("top_k"))
    p = probabilities(logits(record, gamma)[sample : sample + 1], temperature, top_k)[0]
    taken = int(known.chosen[sample, record.i])
    first = [int(token) for token in np.argsort(-p, kind="stable")[:most] if p[token] > 0]
    shown = first if taken in first else [*first[: most - 1], taken]
    return tuple(Candidate(token, float(p[token]), token == taken) for token in shown)
