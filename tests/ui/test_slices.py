"""Slices: an item at a time, so that other jobs get their turn; latest wins."""

import pytest

from diffview.ui.slices import Slices


@pytest.fixture
def slices(runner):
    return Slices(runner)


def test_items_come_one_job_each_and_others_get_their_turn(slices, runner, wait, heard):
    order = []
    told, ended = heard(slices.told), heard(slices.ended)

    def items():
        for k in range(3):
            order.append(k)
            yield k

    def other():
        order.append("other")
        return iter(())

    slices.start(items)
    runner.submit(other)
    wait(lambda: bool(ended))
    assert told == [0, 1, 2] and order == [0, "other", 1, 2]
    assert not slices.busy


def test_what_starts_anew_replaces_what_was_going_on(slices, wait, heard):
    told, ended = heard(slices.told), heard(slices.ended)
    slices.start(lambda: iter(range(100)))
    slices.start(lambda: iter("ab"))
    wait(lambda: bool(ended))
    assert told == ["a", "b"] and len(ended) == 1


def test_after_stop_nothing_is_told(slices, runner, wait, heard):
    told = heard(slices.told)
    slices.start(lambda: iter(range(5)))
    slices.stop()
    wait(lambda: not runner.busy)
    assert told == [] and not slices.busy


def test_a_break_is_told_once_and_the_next_one_runs(slices, wait, heard):
    failed, told, ended = heard(slices.failed), heard(slices.told), heard(slices.ended)

    def broken():
        yield 1
        raise RuntimeError("broken")

    slices.start(broken)
    wait(lambda: bool(failed))
    assert told == [1] and str(failed[0]) == "broken"
    slices.start(lambda: iter([2]))
    wait(lambda: bool(ended))
    assert told == [1, 2]


def test_a_closed_runner_begins_nothing(slices, runner):
    runner.close()
    slices.start(lambda: iter([1]))
    assert not runner.busy
