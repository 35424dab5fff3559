"""Inverting a picture in the window: what is asked, the run that leads back, what was found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from diffview.engine.trajectory import Float32, Trajectory
from diffview.errors import InputError
from diffview.models import inverting, sampling
from diffview.models.card import ModelCard
from diffview.ui.jobs import Climb, ModelSource
from diffview.ui.state import Choices

OF_LEVELS = ("rho", "steps_offset", "shift", "times")
"""The chosen options that have a say in the levels of both ways."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture to invert: a file, or samples (B, *D); gamma on both ways, and refinements."""

    picture: Path | Float32
    name: str
    gamma: float | None = None
    refine: int = 0


def check(card: ModelCard) -> None:
    """Raise InputError for a model that makes no pictures."""
    if card.latent or card.by_token:
        what = "writes tokens" if card.by_token else "samples latents"
        raise InputError(f"model '{card.id}' {what}: it takes no pictures to invert")
    if len(card.data_shape) != 3 or card.data_shape[0] not in (1, 3):
        raise InputError(f"model '{card.id}' makes no pictures: there is none to invert")


def way_back(asked: Picture, choices: Choices, source: ModelSource, budget: int) -> Trajectory:
    """The run that will lead back from x_T, empty: DDIM on the chosen levels. Raises InputError.

    Guided by gamma (1 unless asked) where a condition is chosen.
    """
    card = source.card
    check(card)
    chosen = choices.spec(card, guidable=source.guidable)
    names = [name for name in OF_LEVELS if name in dict(chosen.options)]
    samples = 1 if isinstance(asked.picture, Path) else len(asked.picture)
    steered = card.guidable and source.guidable and chosen.condition is not None
    one = chosen.condition[0] if isinstance(chosen.condition, tuple) else chosen.condition
    spec = inverting.spec_for(
        card,
        steps=choices.n_steps,
        spacing=choices.spacing,
        guidance=(1.0 if asked.gamma is None else asked.gamma) if steered else None,
        seeds=range(choices.seeds[0], choices.seeds[0] + samples),
        options={name: chosen.option(name) for name in names},
        guidable=source.guidable,
        **{"prompt" if card.takes_text else "label": one},
    )
    return sampling.trajectory_for(card, spec, budget)


def found(climb: Climb) -> str:
    """How close the way back comes, in words."""
    end, x_t = climb.errors[-1], climb.states[-1].x_t
    done = f" ({', '.join(climb.done)})" if climb.done else ""
    return (
        f"{climb.name}{done}: back at the picture within {end.mean_abs:.3g} on average, PSNR "
        f"{end.psnr:.1f} dB; its x_T has mean {x_t.mean():.3f} and standard deviation "
        f"{x_t.std():.3f}"
    )
