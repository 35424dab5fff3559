"""Making a set-up's run without a window, to measure what the lesson states of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from diffview.engine.spec import RunSpec
from diffview.engine.trajectory import Trajectory
from diffview.errors import InputError
from diffview.lessons import readouts
from diffview.lessons.lesson import Lesson, Stated
from diffview.lessons.readouts import Seen
from diffview.lessons.setup import Setup
from diffview.models import catalog, guides, sampling

JUDGES = ("fashion-classifier-clean", "fashion-classifier-noisy")
"""Recognise the pictures of Fashion-MNIST; the first judges where it did not guide."""


def run(setup: Setup) -> Seen:
    """The set-up's run, made to its end. Raises InputError where a model is missing or refuses."""
    entry = catalog.find(setup.model)
    model = sampling.open_model(entry, "cpu")
    guide_entry = catalog.find(setup.guide) if setup.guide else None
    judge = None if guide_entry is None else guide_entry.card
    spec = setup.spec(entry.card, judge)
    trajectory = sampling.trajectory_for(entry.card, spec)
    opened = None if guide_entry is None else guides.open_guide(guide_entry, entry.card, "cpu")
    for _ in sampling.sample_into(trajectory, model, guide=opened):
        pass
    step = setup.step(spec, entry.card)
    index = len(trajectory) - 1 if step is None else step
    return Seen(entry.card, trajectory, index, model, judged)


def measured(lesson: Lesson) -> Iterator[tuple[Stated, float]]:
    """Every number that the lesson states, and what it really is; each set-up is run once.

    Raises InputError where something cannot be measured here.
    """
    seen, of = None, None
    for stated in lesson.stated():
        readout, argument = readouts.find(stated.readout)
        if not readout.of_card and stated.setup is not None and stated.setup is not of:
            seen, of = run(stated.setup), stated.setup
        yield stated, readout.measure(seen, argument)


def judge_of(spec: RunSpec) -> str:
    """The id of the classifier that says how well a run went: one that did not guide it."""
    return next(name for name in JUDGES if name != spec.guidance.guide)


def judged(trajectory: Trajectory) -> float:
    """The share of the run's pictures that a classifier takes for what they were asked to be.

    Raises InputError for a run that was asked for no class.
    """
    import torch

    wanted = trajectory.spec.condition
    if wanted is None or isinstance(wanted, str):
        raise InputError("this run was asked for no class, so nothing can be recognised")
    judge = catalog.find(judge_of(trajectory.spec))
    classifier = guides.as_classifier(sampling.open_model(judge, "cpu"))
    pictures = torch.tensor(trajectory[-1].x_t)
    with torch.no_grad():
        found = classifier(pictures, torch.zeros(len(pictures))).argmax(-1).numpy()
    return float(np.mean(found == np.broadcast_to(np.asarray(wanted), found.shape)))
