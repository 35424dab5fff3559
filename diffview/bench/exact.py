"""The exact denoiser of 60,000 pictures: one step of 16 samples, on all cores.

Where Fashion-MNIST is not installed, as many pictures of noise take its place: the work is the
same, the pictures are not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from time import perf_counter, process_time

import numpy as np
import torch

from diffview.bench.measures import Plan, Reading, reading, skipped
from diffview.datasets import LabelledPictures, picture_sets
from diffview.errors import InputError
from diffview.models.exact import sets
from diffview.models.exact.memory import memory_needed
from diffview.models.exact.pictures import ExactPictures
from diffview.models.sampling import choose_device

SAMPLES, ROUNDS, QUICK_ROUNDS = 16, 30, 8
TIMES = (999, 800, 500, 100)
"""From where all pictures carry weight to where one does."""


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
    rounds = QUICK_ROUNDS if plan.quick else ROUNDS
    for name, guided in zip(NAMES, (False, True), strict=True):
        walls, processors = zip(*_steps(model, rounds, guided), strict=True)
        used = round(float(np.median(processors)), 1)
        yield reading(name, walls, **facts, processor_ms=used)


NAMES = ("exact.step", "exact.guided")


def _pictures() -> tuple[LabelledPictures, dict[str, object]]:
    known = picture_sets()["fashion"]
    try:
        return known.load(None), {"pictures": "fashion"}
    except InputError:
        rng = np.random.default_rng(0)
        noise = rng.integers(0, 256, (known.count, *known.shape), dtype=np.uint8)
        labels = np.arange(known.count) % len(known.classes)
        return LabelledPictures(noise, labels), {"pictures": "noise: the data set is not here"}


def _steps(model: ExactPictures, rounds: int, guided: bool) -> Iterator[tuple[float, float]]:
    """Milliseconds of each step: on the wall, and of processors."""
    clean = model.pictures[:SAMPLES].float() / 127.5 - 1
    random = torch.Generator(model.device).manual_seed(0)
    labels = model.labels[:SAMPLES]
    for k in range(rounds + 1):
        level = model.schedule.level(TIMES[k % len(TIMES)])
        z = torch.randn(clean.shape, generator=random, device=model.device)
        x, condition = level.alpha * clean + level.sigma * z, None
        if guided:
            null = model.null_condition(SAMPLES)
            condition = labels if null is None else torch.cat([null, labels])
            x = torch.cat([x, x])
        start, used = perf_counter(), process_time()
        model(x, level, condition).cpu()  # a GPU answers before it has computed
        if k:  # the first call warms up
            yield 1e3 * (perf_counter() - start), 1e3 * (process_time() - used)
