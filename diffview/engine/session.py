"""A run as a file: the trajectory's arrays and its recipe in one safetensors file.

Tensors x_t, x0_hat (K, B, *D) float32 and, of those steps where guidance ran, base and direction,
where eps follows the estimate before clipping, x0_raw (a branched run may have them at some steps
only: its recipe says which); t, alpha, sigma (K,) float64; step, nfe (K,) int64;
seconds, w0, w1, noise_std, w_raw (K,) float64, and where a sampler has them w_past, w_stages
(K, n) float64, short rows filled with NaN. The stages themselves (Heun's second evaluation) are
not kept: x_t and the model give them again.

A run that writes token by token has base and direction, or logits, (K, B, C) float32 of C codes,
and of its n tokens chosen (B, n) int64, probability and entropy (B, n) float32, uniform (B, n)
float64.

The header's metadata carries the RunSpec and what is known of the model and the versions, as JSON,
a checksum of each step's tensors, and one of all of it: a byte that turned over on a disk must not
pass for a result.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import diffview
from diffview import tensorfile
from diffview.engine import spec as specs
from diffview.engine.estimate import Move
from diffview.engine.levels import NoiseLevel
from diffview.engine.next_token import PARTS, Written
from diffview.engine.origin import in_force
from diffview.engine.spec import RunSpec
from diffview.engine.trajectory import StepRecord, Trajectory, keeps_raw
from diffview.errors import InputError

SESSION_SUFFIX = ".dvsession"
METADATA_KEY = "diffview.session"
SESSION_VERSION = 1
PLAIN = ("x_t", "x0_hat")
LEVEL = ("t", "alpha", "sigma")
MOVE = ("w0", "w1", "noise_std", "w_raw")
MOVE_ROWS = ("w_past", "w_stages")
KINDS = (np.int64, np.float32, np.float32, np.float64)
"""Of the parts of what was written."""


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
    kept = trajectory.snapshot()
    arrays = _arrays(kept)
    document["steps"] = [_crcs(record.arrays()) for record in kept]
    text = json.dumps(with_checksum(document, arrays))
    tensorfile.write_numpy(path, arrays, {METADATA_KEY: text})


def _arrays(trajectory: Trajectory) -> dict[str, NDArray[Any]]:
    records = list(trajectory)
    steps = [record.i for record in records]
    moves = [record.move or Move(np.nan, np.nan, np.nan, np.nan) for record in records]
    numbers = {
        **{name: [getattr(record.level, name) for record in records] for name in LEVEL},
        **{name: [getattr(move, name) for move in moves] for name in MOVE},
        "seconds": [record.seconds for record in records],
    }
    rows = {name: _rows([getattr(move, name) for move in moves]) for name in MOVE_ROWS}
    return {
        **{name: array for name, array in rows.items() if array.size},
        **{name: _stacked(records, name) for name in _places(trajectory.spec, steps)},
        **_written(records[-1]),
        **{name: np.array(values, np.float64) for name, values in numbers.items()},
        "step": np.array(steps, np.int64),
        "nfe": np.array([record.nfe for record in records], np.int64),
    }


def _written(last: StepRecord) -> dict[str, NDArray[Any]]:
    """What the last record knows of all tokens, which those before it know the beginning of."""
    if last.written is None:
        return {}
    return {name: np.ascontiguousarray(getattr(last.written, name)) for name in PARTS}


def _stacked(records: Sequence[StepRecord], name: str) -> NDArray[np.float32]:
    arrays = [record.arrays().get(name) for record in records]
    return np.stack([array for array in arrays if array is not None])


def _tensors_of(spec: RunSpec, i: int) -> tuple[str, ...]:
    """Which arrays a run of `spec` records in step `i`."""
    part = in_force(spec, i)
    guided = ("base", "direction") if part.guidance.kind != "none" else ()
    if spec.by_token:
        return (*PLAIN, *(guided or ("logits",)))
    return (*PLAIN, *guided, *(("x0_raw",) if keeps_raw(part) else ()))


def _places(spec: RunSpec, steps: Sequence[int]) -> dict[str, dict[int, int]]:
    """Where in each tensor the recorded step is: name -> {index of the record: row}."""
    places: dict[str, dict[int, int]] = {}
    for k, i in enumerate(steps):
        for name in _tensors_of(spec, i):
            rows = places.setdefault(name, {})
            rows[k] = len(rows)
    return places


def _crcs(arrays: Mapping[str, NDArray[Any]]) -> dict[str, str]:
    """The CRC-32 of each array's bytes."""
    return {name: f"{_crc(array):08x}" for name, array in arrays.items()}


def _crc(array: NDArray[Any], before: int = 0) -> int:
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, before)


def _rows(weights: Sequence[tuple[float, ...]]) -> NDArray[np.float64]:
    """(K, n), n the longest row; NaN where a row is shorter."""
    width = max(map(len, weights))
    return np.array([[*row, *[np.nan] * (width - len(row))] for row in weights], np.float64)


def with_checksum(
    document: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> dict[str, Any]:
    """`document` with the CRC-32 of itself and of `arrays`, by which `load` notices damage."""
    rest = {key: value for key, value in document.items() if key != "checksum"}
    crc = zlib.crc32(json.dumps(rest, sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        crc = _crc(array, zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), crc))
    return {**rest, "checksum": f"{crc:08x}"}


def load(path: Path) -> tuple[Trajectory, dict[str, Any]]:
    """The run in `path` and what was saved about it.

    Raises InputError naming the file and what is wrong with it.
    """
    header = tensorfile.read_header(path)
    if METADATA_KEY not in header.metadata:
        raise InputError(f"{path} holds no saved run (it has no '{METADATA_KEY}' in its header)")
    try:
        document = json.loads(header.metadata[METADATA_KEY])
        _check_version(document["version"])
        arrays = tensorfile.read_numpy(path)
        if document["checksum"] != with_checksum(document, arrays)["checksum"]:
            raise ValueError(f"its checksum does not fit its contents{_damage(document, arrays)}")
        return _trajectory(document, arrays), dict(document["about"])
    except InputError as error:
        message = str(error)
        raise InputError(message if str(path) in message else f"{path}: {message}") from None
    except KeyError as error:
        raise InputError(f"{path} is damaged: it has no {error}") from None
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InputError(f"{path} is damaged: {error}") from None


def _check_version(version: object) -> None:
    if type(version) is not int or version < 1:
        raise ValueError("its version is not a number")
    if version > SESSION_VERSION:
        raise InputError(
            f"the session has version {version}, this diffview reads up to {SESSION_VERSION}: "
            "update diffview to open it"
        )


def _damage(document: Any, arrays: Mapping[str, NDArray[Any]]) -> str:
    """In words the first tensor that is not as it was saved, "" where the file does not tell."""
    try:
        spec, steps = specs.from_json(document["spec"]), arrays["step"].tolist()
        places = _places(spec, steps)
        for k, saved in enumerate(document["steps"]):
            now = _crcs({name: arrays[name][places[name][k]] for name in saved})
            for name in saved:
                if now[name] != saved[name]:
                    t = arrays["t"][k]
                    return f": {name} of step {steps[k]} (t = {t:g}) is not what was saved"
    except (InputError, KeyError, TypeError, ValueError, IndexError):
        pass  # what would tell is damaged too
    return ""


def _trajectory(document: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Trajectory:
    stride, shape = document["stride"], document["data_shape"]
    if not all(type(number) is int and number > 0 for number in (stride, *shape)):
        raise ValueError(f"stride {stride} or shape {shape} is not of whole numbers above 0")
    trajectory = Trajectory(specs.from_json(document["spec"]), shape, stride)
    places = _places(trajectory.spec, arrays["step"].reshape(-1).tolist())
    _check_arrays(arrays, places, trajectory)
    for k in range(len(arrays["step"])):
        trajectory.append(_record(arrays, places, k))
    return trajectory


def _check_arrays(
    arrays: Mapping[str, NDArray[Any]],
    places: Mapping[str, Mapping[int, int]],
    trajectory: Trajectory,
) -> None:
    """Every array is there, of the recipe's shape, and the steps are those a run would keep."""
    count, spec = arrays["step"].size, trajectory.spec
    if count == 0:
        raise ValueError("it holds no steps")
    sample = (spec.batch, *trajectory.data_shape)
    expected = {
        **{name: ((len(rows), *sample), np.float32) for name, rows in places.items()},
        **dict.fromkeys((*LEVEL, *MOVE, "seconds"), ((count,), np.float64)),
        **dict.fromkeys(("step", "nfe"), ((count,), np.int64)),
    }
    for name in MOVE_ROWS:
        if name in arrays:
            expected[name] = ((count, arrays[name].size // count), np.float64)
    if spec.by_token:
        expected |= _expected_of_tokens(arrays, places, trajectory)
    for name, (shape, dtype) in expected.items():
        found = arrays[name]
        if found.shape != shape or found.dtype != dtype:
            raise ValueError(
                f"'{name}' is {found.dtype} of shape {found.shape}, "
                f"the recipe asks for {np.dtype(dtype)} of {shape}"
            )
    steps = [*range(0, spec.n_steps, trajectory.stride)[:count], spec.n_steps][:count]
    if arrays["step"].tolist() != steps:
        raise ValueError("its steps are not those of the recipe")
    if not np.all(np.isfinite([arrays[name] for name in (*LEVEL, "seconds")])):
        raise ValueError("a level or a duration is not a number")
    if not np.all((arrays["alpha"] >= 0) & (arrays["alpha"] <= 1) & (arrays["sigma"] >= 0)):
        raise ValueError("alpha is outside 0 to 1, or sigma below 0")


def _expected_of_tokens(
    arrays: Mapping[str, NDArray[Any]],
    places: Mapping[str, Mapping[int, int]],
    trajectory: Trajectory,
) -> dict[str, tuple[tuple[int, ...], Any]]:
    """Logits are (B, C), C of any number above 0; what was written reaches to the last record."""
    spec, count = trajectory.spec, math.prod(trajectory.data_shape)
    if spec.n_steps != count:
        raise ValueError(f"{spec.n_steps} steps cannot write {count} tokens")
    logits = [name for name in places if name not in PLAIN]
    codes = max(1, arrays[logits[0]].shape[-1]) if logits else 1
    written = (spec.batch, min(int(arrays["step"][-1]) + 1, count))
    return {
        **{name: ((len(places[name]), spec.batch, codes), np.float32) for name in logits},
        **{name: (written, kind) for name, kind in zip(PARTS, KINDS, strict=True)},
    }


def _record(
    arrays: Mapping[str, NDArray[Any]], places: Mapping[str, Mapping[int, int]], k: int
) -> StepRecord:
    kept = {name: arrays[name][rows[k]] for name, rows in places.items() if k in rows}
    rows = (arrays[name][k] if name in arrays else np.array([]) for name in MOVE_ROWS)
    past, stages = (tuple(row[~np.isnan(row)].tolist()) for row in rows)
    w0, w1, noise_std, w_raw = (float(arrays[name][k]) for name in MOVE)
    move = Move(w0, w1, noise_std, w_raw, w_past=past, w_stages=stages)
    return StepRecord(
        i=int(arrays["step"][k]),
        level=NoiseLevel(*(float(arrays[name][k]) for name in LEVEL)),
        x_t=kept["x_t"],
        x0_hat=kept["x0_hat"],
        base=kept.get("base"),
        direction=kept.get("direction"),
        x0_raw=kept.get("x0_raw"),
        logits=kept.get("logits"),
        written=_known(arrays, int(arrays["step"][k])),
        move=None if np.isnan(move.w0) else move,
        nfe=int(arrays["nfe"][k]),
        seconds=float(arrays["seconds"][k]),
    )


def _known(arrays: Mapping[str, NDArray[Any]], i: int) -> Written | None:
    """What was written at step `i`, where a run writes token by token."""
    if PARTS[0] not in arrays:
        return None
    return Written(*(arrays[name] for name in PARTS)).first(i + 1)
