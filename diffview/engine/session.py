"""A run as a file: the trajectory's arrays and its recipe in one safetensors file.

Tensors x_t, x0_hat (K, B, *D) float32 and, where guidance ran, base and direction; t, alpha, sigma
(K,) float64; step, nfe (K,) int64; seconds, w0, w1, noise_std, w_raw (K,) float64. The header's
metadata carries the RunSpec and what is known of the model and the versions, as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import diffview
from diffview import tensorfile
from diffview.engine import spec as specs
from diffview.engine.estimate import Move
from diffview.engine.levels import NoiseLevel
from diffview.engine.trajectory import TENSORS, StepRecord, Trajectory
from diffview.errors import InputError

SESSION_SUFFIX = ".dvsession"
METADATA_KEY = "diffview.session"
SESSION_VERSION = 1


def save(trajectory: Trajectory, path: Path, about: Mapping[str, Any] | None = None) -> None:
    """Write the run to `path`, whole or not at all. `about` is kept as JSON beside the spec.

    Raises InputError when nothing was recorded, OSError when the disk refuses.
    """
    if not len(trajectory):
        raise InputError("this run has no steps yet, so there is nothing to save")
    document = {
        "version": SESSION_VERSION,
        "spec": trajectory.spec.to_json(),
        "data_shape": list(trajectory.data_shape),
        "stride": trajectory.stride,
        "diffview": diffview.__version__,
        "about": dict(about or {}),
    }
    tensorfile.write_numpy(path, _arrays(trajectory), {METADATA_KEY: json.dumps(document)})


def _arrays(trajectory: Trajectory) -> dict[str, NDArray[Any]]:
    records = list(trajectory)
    moves = [record.move or Move(np.nan, np.nan, np.nan, np.nan) for record in records]
    names = TENSORS if trajectory.guided else TENSORS[:2]
    return {
        **{name: trajectory.stack(name) for name in names},
        "step": np.array([r.i for r in records], np.int64),
        "nfe": np.array([r.nfe for r in records], np.int64),
        "seconds": np.array([r.seconds for r in records], np.float64),
        **{k: np.array([getattr(r.level, k) for r in records]) for k in ("t", "alpha", "sigma")},
        **{
            k: np.array([getattr(move, k) for move in moves], np.float64)
            for k in ("w0", "w1", "noise_std", "w_raw")
        },
    }


def load(path: Path) -> tuple[Trajectory, dict[str, Any]]:
    """The run in `path` and what was saved about it.

    Raises InputError naming the file and what is wrong with it.
    """
    header = tensorfile.read_header(path)
    if METADATA_KEY not in header.metadata:
        raise InputError(f"{path} holds no saved run (it has no '{METADATA_KEY}' in its header)")
    try:
        document = json.loads(header.metadata[METADATA_KEY])
        version = document["version"]
        if not isinstance(version, int) or version > SESSION_VERSION:
            raise InputError(
                f"{path} has version {version}, this diffview reads up to {SESSION_VERSION}: "
                "update diffview to open it"
            )
        trajectory = Trajectory(
            specs.from_json(document["spec"]), document["data_shape"], int(document["stride"])
        )
        for record in _records(tensorfile.read_numpy(path), trajectory):
            trajectory.append(record)
        return trajectory, dict(document["about"])
    except InputError as error:
        message = str(error)
        raise InputError(message if str(path) in message else f"{path}: {message}") from None
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"{path} is damaged: {type(error).__name__} {error}") from None


def _records(arrays: Mapping[str, NDArray[Any]], trajectory: Trajectory) -> list[StepRecord]:
    count = len(arrays["step"])
    expected = (count, trajectory.spec.batch, *trajectory.data_shape)
    tensors = {name: arrays[name] for name in TENSORS if name in arrays}
    for name, array in tensors.items():
        if array.shape != expected or array.dtype != np.float32:
            raise InputError(f"'{name}' has shape {array.shape}, the recipe asks for {expected}")
    return [_record(arrays, tensors, k) for k in range(count)]


def _record(
    arrays: Mapping[str, NDArray[Any]], tensors: Mapping[str, NDArray[Any]], k: int
) -> StepRecord:
    number = {name: float(arrays[name][k]) for name in ("t", "alpha", "sigma", "seconds")}
    move = Move(*(float(arrays[name][k]) for name in ("w0", "w1", "noise_std", "w_raw")))
    return StepRecord(
        i=int(arrays["step"][k]),
        level=NoiseLevel(number["t"], number["alpha"], number["sigma"]),
        x_t=tensors["x_t"][k],
        x0_hat=tensors["x0_hat"][k],
        base=tensors["base"][k] if "base" in tensors else None,
        direction=tensors["direction"][k] if "direction" in tensors else None,
        move=None if np.isnan(move.w0) else move,
        nfe=int(arrays["nfe"][k]),
        seconds=number["seconds"],
    )
