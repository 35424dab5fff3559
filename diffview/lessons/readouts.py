"""Read-outs: what measures the numbers that a lesson states, in the run of its set-up.

A read-out is written NAME or NAME:ARGUMENT, such as `sigma` or `curve:eps`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffview.engine.trajectory import StepRecord, Trajectory
from diffview.errors import InputError
from diffview.frames import curves
from diffview.models import catalog
from diffview.models.card import ModelCard


@dataclass(frozen=True, slots=True)
class Seen:
    """What a set-up shows: the run, the record that is looked at, and the card of its model.

    model: the denoiser itself. judged: the run's last pictures -> the share, from 0 to 1, that a
    classifier takes for what they were asked to be.
    """

    card: ModelCard
    run: Trajectory
    index: int
    model: Any = None
    judged: Callable[[Trajectory], float] | None = None

    @property
    def record(self) -> StepRecord:
        """The record that is looked at."""
        return self.run[self.index]


@dataclass(frozen=True, slots=True)
class Readout:
    """One thing that can be measured; `takes` says what its argument is, "" for none.

    One `of_card` is read in a model's card: it needs no run.
    """

    name: str
    help: str
    measure: Callable[[Any, str], float]
    takes: str = ""

    @property
    def of_card(self) -> bool:
        """Whether it is of a model and of no run."""
        return self.takes.startswith("model")


def find(text: str) -> tuple[Readout, str]:
    """The read-out that `text` names and its argument. Raises InputError naming the known ones."""
    name, _, argument = text.partition(":")
    readout = READOUTS.get(name)
    if readout is None:
        raise InputError(f"nothing measures '{name}'; known are {', '.join(READOUTS)}")
    if bool(argument) != bool(readout.takes):
        wanted = f"{name}:{readout.takes.upper()}" if readout.takes else name
        raise InputError(f"'{text}' is written {wanted}")
    if name == "curve":
        curves.find(argument)
    return readout, argument


def _weight(name: str) -> Callable[[Seen, str], float]:
    def measure(seen: Seen, argument: str) -> float:
        if seen.record.move is None:
            raise InputError("there is no move from here: this is the end of the run")
        return float(getattr(seen.record.move, name))

    return measure


def _curve(seen: Seen, argument: str) -> float:
    return float(np.mean(curves.curve(seen.run, argument)[seen.index]))


def _to_end(seen: Seen, argument: str) -> float:
    return _rms(seen.record.x0_hat - seen.run[-1].x_t)


def _between(seen: Seen, argument: str) -> float:
    return _rms(seen.run[-1].x_t - seen.run[-1].x_t.mean(0))


def _rms(values: Any) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def _card(model: str) -> ModelCard:
    return catalog.find(model).card


def _figure(seen: Seen | None, argument: str) -> float:
    model, *keys = argument.split("/")
    value: Any = _card(model).figures
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    if not isinstance(value, int | float):
        raise InputError(f"the card of '{model}' has no figure '{'/'.join(keys)}'")
    return float(value)


def _numbers(seen: Seen | None, argument: str) -> float:
    return math.prod(_card(argument).data_shape)


def _rows(seen: Seen | None, argument: str) -> float:
    return _card(argument).shown_shape[-2]


def _times(seen: Seen | None, argument: str) -> float:
    return _card(argument).schedule.T


def _pixels(seen: Seen | None, argument: str) -> float:
    return math.prod(_card(argument).shown_shape)


def _thousands(seen: Seen | None, argument: str) -> float:
    return _card(argument).parameters / 1000


def _effective(seen: Seen, argument: str) -> float:
    return float(_posterior(seen).effective.median())


def _nearest(seen: Seen, argument: str) -> float:
    return 100 * float(_posterior(seen).weights[:, 0].median())


def _posterior(seen: Seen) -> Any:
    import torch

    if not hasattr(seen.model, "posterior"):
        raise InputError(f"'{seen.card.id}' is no exact denoiser of pictures")
    return seen.model.posterior(torch.tensor(seen.record.x_t), seen.record.level)


def _recognised(seen: Seen, argument: str) -> float:
    if seen.judged is None:
        raise InputError(f"nothing here judges what '{seen.card.id}' makes")
    return 100 * seen.judged(seen.run)


_ALL = (
    Readout("t", "the time", lambda seen, _: seen.record.level.t),
    Readout("alphas_cumprod", "ᾱ", lambda seen, _: seen.record.level.alphas_cumprod),
    Readout("alpha", "α", lambda seen, _: seen.record.level.alpha),
    Readout("sigma", "σ", lambda seen, _: seen.record.level.sigma),
    Readout("snr", "(α / σ)²", lambda seen, _: seen.record.level.snr),
    Readout("snr_db", "the same in decibels", lambda seen, _: seen.record.level.snr_db),
    Readout("w0", "the weight of x̂₀ in the move", _weight("w0")),
    Readout("w1", "the weight of x_t in the move", _weight("w1")),
    Readout("noise", "the standard deviation of the move's noise", _weight("noise_std")),
    Readout("steps", "the steps of the run", lambda seen, _: seen.run.spec.n_steps),
    Readout("nfe", "evaluations of the network", lambda seen, _: seen.record.nfe),
    Readout("samples", "the samples of the run", lambda seen, _: seen.run.spec.batch),
    Readout("numbers", "numbers in a sample of a model", _numbers, takes="model"),
    Readout("pixels", "numbers in a picture of a model", _pixels, takes="model"),
    Readout("rows", "rows of pixels in a picture of a model", _rows, takes="model"),
    Readout("times", "steps of noise that a model was trained on", _times, takes="model"),
    Readout("thousands", "weights of a model's network, in thousands", _thousands, takes="model"),
    Readout("figure", "a figure of a model's card", _figure, takes="model/key/key"),
    Readout("curve", "the mean over the samples of a curve here", _curve, takes="name"),
    Readout("to_end", "the rms difference of x̂₀ here and the picture at the end", _to_end),
    Readout("between", "the rms spread of the pictures at the end about their mean", _between),
    Readout("recognised", "% of the pictures that a classifier recognises", _recognised),
    Readout("effective", "how many pictures share the exact posterior (median)", _effective),
    Readout("nearest", "% of the exact posterior's weight on one picture (median)", _nearest),
)

READOUTS: dict[str, Readout] = {readout.name: readout for readout in _ALL}
