"""What states look like: one decoding at a time, each state once, the newest first in mind."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from diffview.engine import schedules
from diffview.frames import lens as lenses
from diffview.frames.lens import Lens
from diffview.models.card import ModelCard
from diffview.ui.jobs import ModelSource
from diffview.ui.looks import Looks

CARD = ModelCard(
    "latent", "Latent", "wrapped", (3, 4, 4), "x0", schedules.named("cosine"),
    latent=True, picture_shape=(3, 8, 8),
)  # fmt: skip


class Decoder:
    """Decodes by the negative; `held` waits for `gate`, `broken` raises."""

    def __init__(self):
        self.asked, self.broken, self.gate = [], False, threading.Event()
        self.gate.set()

    def picture(self, latents):
        self.asked.append(float(latents.flat[0]))
        self.gate.wait(20)
        if self.broken:
            raise RuntimeError("the decoder broke")
        return -latents


class Source(ModelSource):
    """A model of latents of which nothing but the decoder is there."""

    def __init__(self, decoder):
        super().__init__(CARD, lambda device: None)
        self._lens = Lens(lenses.DECODED, (3, 8, 8), decoder.picture)

    def decoder(self):
        return self._lens


def state(value):
    return np.full((3, 4, 4), value, np.float32)


@pytest.fixture
def decoder():
    made = Decoder()
    yield made
    made.gate.set()


@pytest.fixture
def looks(runner, decoder, monkeypatch):
    monkeypatch.setattr("diffview.ui.looks.fitted", lambda source: iter(()))
    made = Looks(SimpleNamespace(jobs=runner))
    made.begin(Source(decoder))
    return made


@pytest.fixture
def settle(looks, wait):
    return lambda: wait(lambda: not looks.busy)


def test_a_decoder_that_fails_is_asked_once_for_each_state_and_told_of_once(
    looks, decoder, heard, settle
):
    states = {"x0hat": state(1), "xt": state(2), "x0": state(3)}
    failures = heard(looks.failed)
    looks.failed.connect(lambda error: looks.ask(states))  # as a view does that shows itself
    decoder.broken = True
    looks.ask(states)
    settle()
    looks.ask(states)
    settle()
    assert decoder.asked == [1, 2, 3] and len(failures) == 1
    decoder.broken = False
    looks.ask(states | {"xt": state(4)})
    settle()
    assert decoder.asked == [1, 2, 3, 4]
    assert np.array_equal(looks.of("xt", looks._tried["xt"]).picture, state(-4))


def test_another_model_is_asked_for_the_same_states_anew(looks, decoder, settle):
    states = {"xt": state(1)}
    looks.ask(states)
    settle()
    other = Decoder()
    looks.begin(Source(other))
    looks.ask(states)
    settle()
    assert decoder.asked == other.asked == [1]


def test_what_is_being_decoded_is_not_asked_again_by_every_look_at_it(looks, decoder, settle):
    states = {"x0hat": state(1), "xt": state(2)}
    decoder.gate.clear()
    for _ in range(5):
        looks.ask(states)
    decoder.gate.set()
    settle()
    assert decoder.asked == [1, 2]


def test_each_state_is_told_of_as_soon_as_it_is_decoded_and_the_newest_comes_next(
    looks, decoder, heard, settle, wait
):
    old, new = state(1), state(5)
    told = heard(looks.changed)
    decoder.gate.clear()
    looks.ask({"x0hat": old, "xt": state(2), "x0": state(3)})
    wait(lambda: decoder.asked == [1])
    looks.ask({"x0hat": new, "xt": state(6), "x0": state(3)})
    decoder.gate.set()
    settle()
    assert decoder.asked == [1, 5, 6, 3] and len(told) == 4
    assert looks.of("x0hat", new).lens == lenses.DECODED


def test_what_is_not_wanted_any_more_is_not_decoded(looks, decoder, settle, wait):
    decoder.gate.clear()
    looks.ask({"x0hat": state(1), "xt": state(2)})
    wait(lambda: decoder.asked == [1])
    looks.ask({})
    decoder.gate.set()
    settle()
    assert decoder.asked == [1]
