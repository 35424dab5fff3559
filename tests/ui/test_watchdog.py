"""A model that stands still is told of once, and not one that is merely slow."""

import pytest

from diffview.ui import watchdog
from diffview.ui.state import Activity
from diffview.ui.watchdog import Watchdog


@pytest.fixture
def clock(monkeypatch):
    """Sets what time it is (s)."""
    now = [0.0]
    monkeypatch.setattr(watchdog.time, "monotonic", lambda: now[0])

    def to(seconds):
        now[0] = seconds

    return to


@pytest.fixture
def dog(qapp, clock):
    made = Watchdog()
    yield made
    made.show_activity(Activity())


def busy(done):
    return Activity(busy=True, done=done, total=51)


def test_a_run_that_stands_still_is_told_of_once(dog, clock, heard):
    told = heard(dog.noticed)
    dog.show_activity(busy(0))
    clock(2)
    dog.show_activity(busy(1))
    clock(61)
    dog.look()
    assert told == []
    clock(63)
    dog.look()
    clock(90)
    dog.look()
    assert len(told) == 1 and told[0].kind == "warning"
    assert "no step for 61 s" in told[0].text and "saved (Ctrl+S)" in told[0].text


def test_a_slow_model_is_given_the_time_it_takes(dog, clock, heard):
    """At 30 s a step, ten minutes are no sign of trouble."""
    told = heard(dog.noticed)
    for done in range(5):
        clock(30 * done)
        dog.show_activity(busy(done))
    clock(30 * 4 + 599)
    dog.look()
    assert told == []
    clock(30 * 4 + 601)
    dog.look()
    assert len(told) == 1


def test_loading_takes_longer_than_a_step(dog, clock, heard):
    told = heard(dog.noticed)
    dog.show_activity(busy(0))
    clock(299)
    dog.look()
    assert told == []
    clock(301)
    dog.look()
    assert len(told) == 1 and "steps so far" not in told[0].text


def test_nothing_is_told_of_what_has_ended(dog, clock, heard):
    told = heard(dog.noticed)
    dog.show_activity(busy(3))
    dog.show_activity(Activity())
    clock(1000)
    dog.look()
    assert told == []
