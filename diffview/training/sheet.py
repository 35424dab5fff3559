"""Sample sheets: what a network can do by now, drawn from the same seeds every time.

Sampled by the engine's own run() and laid out by frames.sheet, as the window and the exporters do.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from PIL import Image

from diffview.atomic import replacing
from diffview.engine.run import run
from diffview.engine.spec import Guidance, RunSpec
from diffview.engine.trajectory import Trajectory
from diffview.frames.compose import ViewState, compose
from diffview.frames.pixels import Uint8
from diffview.frames.sheet import Layout, sheet
from diffview.models.conditions import condition_tensor
from diffview.models.network import NetworkDenoiser


def class_sheet(
    model: NetworkDenoiser,
    *,
    scales: Sequence[float] = (1.0, 3.0),
    rows: int = 2,
    n_steps: int = 20,
) -> Uint8:
    """(H, W, 3): a column for each class, `rows` rows for each guidance scale, seeds by row.

    The rows of the next scale start from the same noise, so they can be compared.
    """
    layout = Layout(scale=2, gap=2, margin=6, columns=len(model.card.classes))
    parts = [_rows(model, scale, rows, n_steps, layout) for scale in scales]
    return np.concatenate(parts, axis=0)


def plain_sheet(model: NetworkDenoiser, *, count: int = 32, n_steps: int = 20) -> Uint8:
    """(H, W, 3): samples of the seeds from 0 on, in rows of eight; nothing steers them."""
    spec = RunSpec(model.card.id, n_steps=n_steps, seeds=tuple(range(count)))
    return _drawn(model, spec, Layout(scale=2, gap=2, margin=6, columns=8))


def _rows(model: NetworkDenoiser, scale: float, rows: int, n_steps: int, layout: Layout) -> Uint8:
    classes = len(model.card.classes)
    spec = RunSpec(
        model.card.id,
        n_steps=n_steps,
        guidance=Guidance() if scale == 1 else Guidance("cfg", scale),
        condition=tuple(range(classes)) * rows,
        seeds=tuple(range(classes * rows)),
    )
    return _drawn(model, spec, layout)


def _drawn(model: NetworkDenoiser, spec: RunSpec, layout: Layout) -> Uint8:
    condition = condition_tensor(model.card, spec.condition, spec.batch, model.device)
    trajectory = Trajectory(spec, model.data_shape, stride=spec.n_steps)
    with closing(run(model, spec, condition)) as records:
        for record in records:
            trajectory.append(record)
    view = ViewState(index=len(trajectory) - 1, quantities=("xt",), policies=("clamp",))
    return sheet(compose(trajectory, view), layout)


def write(path: Path, picture: Uint8) -> None:
    """The picture (H, W, 3) as a PNG that appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        Image.fromarray(picture).save(partial, format="PNG")
