"""The mailbox: what runs is let end, what waits is replaced by what comes."""

import threading

import pytest

from diffview.ui.mailbox import Mailbox


@pytest.fixture
def gate():
    made = threading.Event()
    yield made
    made.set()


def held(gate, *items):
    def make():
        gate.wait(20)
        yield from items

    return make


def test_of_many_only_the_running_and_the_newest_are_done(runner, gate, heard, wait):
    box = Mailbox(runner)
    told = heard(box.told)
    for k in range(5):
        box.put(held(gate, k))
    gate.set()
    wait(lambda: not box.busy)
    assert told == [0, 4]


def test_what_another_mailbox_does_on_the_same_thread_is_not_told_here(runner, gate, heard, wait):
    one, other = Mailbox(runner), Mailbox(runner)
    told = heard(one.told)
    one.put(held(gate, "mine"))
    other.put(held(gate, "yours"))
    gate.set()
    wait(lambda: not one.busy and not other.busy)
    assert told == ["mine"]


def test_an_error_is_told_and_the_next_goes_on(runner, gate, heard, wait):
    def broken():
        gate.wait(20)
        raise RuntimeError("broke")

    box = Mailbox(runner)
    failed, told, emptied = heard(box.failed), heard(box.told), []
    box.emptied.connect(lambda: emptied.append(True))
    box.put(broken)
    box.put(held(gate, "after"))
    gate.set()
    wait(lambda: not box.busy)
    assert [str(error) for error in failed] == ["broke"]
    assert told == ["after"] and emptied == [True]


def test_cleared_it_does_nothing_more(runner, gate, heard, wait):
    box = Mailbox(runner)
    told = heard(box.told)
    box.put(held(gate, "running"))
    box.put(held(gate, "waiting"))
    box.clear()
    gate.set()
    wait(lambda: not box.busy)
    assert told == []
