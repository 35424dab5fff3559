"""Inversion on a device that works through a queue: the host never waits for the newest state."""

import numpy as np

from diffview.engine import host
from diffview.models import inverting
from diffview.models.wrapped import wrap


def test_on_a_gpu_a_state_is_read_when_the_next_one_is_in_the_queue(monkeypatch):
    happened = []

    def network(x_t, t):
        happened.append("asked")
        return x_t

    def read_later(tensor):
        there = tensor.clone()
        happened.append("queued")
        return lambda: happened.append("read") or there

    monkeypatch.setattr(host, "AHEAD", {"cpu": 1})
    monkeypatch.setattr(host, "taken", read_later)
    model = wrap(network, shape=(1, 2, 2), prediction="x0")
    spec = inverting.spec_for(model.card, steps=3)
    states = list(inverting.climb(model, spec, np.ones((1, 1, 2, 2))))
    assert [state.i for state in states] == [3, 2, 1, 0]
    # From the picture to the first level nothing is asked; then once for each of the others.
    turns = ["queued", "queued", "read", "asked", "queued", "read", "asked", "queued", "read"]
    assert happened == [*turns, "read"]
