"""The exact denoiser of 60,000 pictures: one step of 16 samples, on all cores.

Beside it, in turns, the plain way: pictures kept as numbers, one product, one softmax, one more
product. In float64 that is as exact and takes eight times the memory; in float32 it takes four
times the memory, and its weights are wrong where sigma is small.

Where Fashion-MNIST is not installed, as many pictures of noise take its place: the work is the
same, the pictures are not.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from diffview.bench.measures import Plan, Reading, reading, skipped
from diffview.bench.race import Racer, of_medians, race
from diffview.datasets import LabelledPictures, picture_sets
from diffview.engine.levels import NoiseLevel
from diffview.errors import InputError
from diffview.models.exact import sets
from diffview.models.exact.memory import memory_needed
from diffview.models.exact.pictures import ExactPictures
from diffview.models.sampling import choose_device

SAMPLES, ROUNDS, QUICK_ROUNDS = 16, 8, 2
TIMES = (999, 800, 500, 100)
"""From where all pictures carry weight to where one does."""

NAMES = ("exact.step", "exact.guided", "exact.plain")

Ask = Callable[[Tensor, NoiseLevel], Tensor]


def measure(plan: Plan) -> Iterator[Reading]:
    """Milliseconds of a step, over the noise levels of a run; without and with guidance."""
    device = choose_device(plan.device)
    if device.type == "mps":
        yield from (skipped(name, "Apple's GPUs have no float64") for name in NAMES)
        return
    torch.set_num_threads(os.cpu_count() or 1)
    data, facts = _pictures()
    model = ExactPictures(sets.set_card(picture_sets()["fashion"]), data, device)
    facts |= {"device": str(device), "threads": torch.get_num_threads(), "samples": SAMPLES}
    facts["megabytes"] = round(memory_needed(len(data), model.data_shape) / 1e6)
    facts["plain_megabytes"] = round(8 * math.prod(data.pictures.shape) / 1e6)
    clean = model.pictures[:SAMPLES].float() / 127.5 - 1
    single = model.pictures.flatten(1).float() / 127.5 - 1
    double = model.pictures.flatten(1).double() / 127.5 - 1
    rounds = QUICK_ROUNDS if plan.quick else ROUNDS
    racers = {
        "step": lambda: _steps(model, clean, lambda x, level: model(x, level, None)),
        "guided": lambda: _steps(model, clean, lambda x, level: _guided(model, x, level)),
        "float64": lambda: _steps(model, clean, _plain(double)),
        "float32": lambda: _steps(model, clean, _plain(single)),
    }
    times = race(racers, len(TIMES), rounds)
    for racer in ("step", "guided"):
        walls, used = (1e3 * part.ravel() for part in times[racer])
        yield reading(
            f"exact.{racer}",
            walls.tolist(),
            **facts,
            processor_ms=round(float(np.median(used)), 1),
        )
    ratios = {
        name: of_medians(times["step"][1], times[name][1]) for name in ("float64", "float32")
    }
    walls = {f"wall_{name}": of_medians(times["step"][0], times[name][0]) for name in ratios}
    yield Reading("exact.plain", ratios["float64"], detail={**facts, **_rounded(ratios | walls)})


def _rounded(ratios: Mapping[str, float]) -> dict[str, float]:
    return {name: round(ratio, 3) for name, ratio in ratios.items()}


def _pictures() -> tuple[LabelledPictures, dict[str, object]]:
    known = picture_sets()["fashion"]
    try:
        return known.load(None), {"pictures": "fashion"}
    except InputError:
        rng = np.random.default_rng(0)
        noise = rng.integers(0, 256, (known.count, *known.shape), dtype=np.uint8)
        labels = np.arange(known.count) % len(known.classes)
        return LabelledPictures(noise, labels), {"pictures": "noise: the data set is not here"}


def _steps(model: ExactPictures, clean: Tensor, ask: Ask) -> Racer:
    """A step at each of TIMES, on noised pictures of the set."""
    random = torch.Generator(model.device).manual_seed(0)
    for t in TIMES:
        level = model.schedule.level(t)
        z = torch.randn(clean.shape, generator=random, device=model.device)
        ask(level.alpha * clean + level.sigma * z, level).cpu()  # a GPU answers before it is done
        yield


def _guided(model: ExactPictures, x: Tensor, level: NoiseLevel) -> Tensor:
    null, labels = model.null_condition(SAMPLES), model.labels[:SAMPLES]
    condition = labels if null is None else torch.cat([null, labels])
    return model(torch.cat([x, x]), level, condition)


def _plain(pictures: Tensor) -> Ask:
    """As it is written down first: x_0 is the softmax's mean, all in the numbers' own type."""
    norms = pictures.square().sum(1)

    def ask(x: Tensor, level: NoiseLevel) -> Tensor:
        rows = x.flatten(1).to(pictures.dtype)
        products = rows @ pictures.mT
        squares = norms * level.alpha**2 - 2 * level.alpha * products
        squares += rows.square().sum(1, keepdim=True)
        return (-squares / (2 * level.sigma**2)).softmax(1) @ pictures

    return ask
