"""The forward process, q(x_t | x_0) = N(alpha x_0, sigma^2), and what a model makes of x_t.

Ho, Jain, Abbeel 2020, arXiv 2006.11239, eq. 4; the one-step estimate is the first step of a run
that begins at (x_t, t), so condition, guidance and finishing are a run's own.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from diffview.engine import spacings
from diffview.engine.conversions import eps_from_x0
from diffview.engine.levels import NoiseLevel
from diffview.engine.options import RUN_OPTIONS
from diffview.engine.schedules import Schedule
from diffview.engine.spacings import LIST
from diffview.engine.spec import RunSpec
from diffview.engine.trajectory import Float32, StepRecord, Trajectory
from diffview.models import codebook, sampling
from diffview.models.card import ModelCard

if TYPE_CHECKING:
    from diffview.engine.run import Guide
    from diffview.models.network import NetworkDenoiser

MOST_PLACES = 1000
ON_THE_WAY = ("schedule", "steps_offset", "rho", "shift", "times", "noise_path", "compat")
"""The options of every run that say which steps it takes, and how; all others have a say in what
one step makes of its state."""


def places(schedule: Schedule) -> tuple[NoiseLevel, ...]:
    """The levels a scrubber goes through, noisiest first: every whole time, or 1000 of them."""
    spacing = "linspace" if schedule.discrete else "logsnr"
    return spacings.levels(schedule, min(schedule.T, MOST_PLACES), spacing)[:-1]


def noise(seed: int, shape: Sequence[int]) -> Float32:
    """eps (*shape), the noise that a run of this seed begins with."""
    from diffview.engine.noise import initial_noise

    eps: Float32 = initial_noise((seed,), shape)[0].numpy()
    return eps


def noised(x_0: Float32, eps: Float32, level: NoiseLevel) -> Float32:
    """x_t = alpha x_0 + sigma eps, of the shape of both."""
    x_t: Float32 = np.asarray(level.alpha * x_0 + level.sigma * eps, np.float32)
    return x_t


def latents(model: NetworkDenoiser, picture: Float32) -> Float32:
    """x_0 (*D) of a picture (*P) within -1 .. 1, as the encoder of the model's first stage says.

    Raises DiffviewError where the model has none.
    """
    import torch

    x_0 = model.latents(torch.from_numpy(picture)[None].to(model.device))[0]
    return np.asarray(x_0.to("cpu", torch.float32).numpy())


def lacking(card: ModelCard) -> str:
    """Why there is no forward process of pictures to be shown of a model; "" if there is one."""
    if card.by_token:
        return (
            f"“{card.title}” writes its picture token by token: it never sees noise, so there is "
            "no forward process to show."
        )
    if len(card.data_shape) == 1:
        return (
            f"The samples of “{card.title}” are points, not pictures: the 2-D lab shows how "
            "points are noised."
        )
    return ""


def space(card: ModelCard) -> Hashable:
    """Where x_0 lives: one picture is the same x_0 in models of equal spaces."""
    return card.data_shape, card.value_range, (card.id, card.weights_sha256) if card.coded else ""


def one_step_spec(spec: RunSpec, level: NoiseLevel) -> RunSpec:
    """`spec` for one sample and one evaluation at `level`."""
    condition = spec.condition[0] if isinstance(spec.condition, tuple) else spec.condition
    kept = {option.name for option in RUN_OPTIONS}.difference(ON_THE_WAY)
    finishing = [(name, value) for name, value in spec.options if name in kept]
    return replace(
        spec,
        sampler="ddim",
        n_steps=1,
        spacing=LIST,
        seeds=spec.seeds[:1],
        condition=condition,
        options=tuple(sorted([*finishing, ("times", repr(float(level.t)))])),
    )


def estimate(
    model: sampling.Model, spec: RunSpec, x_t: Float32, guide: Guide | None = None
) -> Trajectory:
    """A trajectory of one record: what `model` makes of x_t (*D) as `spec` says.

    spec is that of `one_step_spec`, guide what it names. Raises what a run raises.
    """
    trajectory = Trajectory(spec, x_t.shape)
    steps = sampling.sample_into(trajectory, model, init_noise=x_t[None], guide=guide)
    with closing(steps) as records:
        next(records)
    return trajectory


@dataclass(frozen=True, slots=True)
class Error:
    """How far x0_hat is from the x_0 that was noised: sums and means over all values.

    norm: ||x0_hat - x_0||; rms: its root mean square; psnr: 10 log10(range^2 / mean square), in
    dB, of the data's range, not a number where they have none; eps_rms: the same root mean square
    for eps_hat - eps.
    """

    norm: float
    rms: float
    psnr: float
    eps_rms: float


def error(record: StepRecord, x_0: Float32, eps: Float32, data_range: float) -> Error:
    """The error of the one-step estimate in `record` (a batch of one); data_range may be NaN."""
    difference = np.asarray(record.x0_hat[0], np.float64) - x_0
    mean = float(np.mean(difference**2))
    behind = record.x0_hat if record.x0_raw is None else record.x0_raw
    eps_hat = eps_from_x0(record.x_t, behind, record.level)[0]
    return Error(
        norm=float(np.sqrt(np.sum(difference**2))),
        rms=math.sqrt(mean),
        psnr=10 * math.log10(data_range**2 / mean) if mean > 0 else math.inf,
        eps_rms=float(np.sqrt(np.mean(np.square(eps_hat.astype(np.float64) - eps)))),
    )


def model_error(
    card: ModelCard,
    record: StepRecord,
    x_0: Float32,
    eps: Float32,
    decoded: Sequence[Float32] = (),
) -> Error:
    """`error` in the units of a model's samples, with the PSNR of their pictures.

    decoded: of latents what x_0 and x0_hat decode to, (*P) in -1 .. 1; their PSNR is not a number
    as long as both are not there.
    """
    if not card.coded:
        low, high = card.value_range
        return error(record, x_0, eps, high - low)
    found = error(record, x_0, eps, math.nan)
    return replace(found, psnr=codebook.psnr(*decoded)) if len(decoded) == 2 else found
