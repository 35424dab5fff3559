"""Order, look-ahead and end of the threads that compress."""

import threading
import time

import pytest

from diffview.exporters.pool import in_order


def test_results_come_in_order_however_long_each_takes():
    def work(index):
        time.sleep(0.002 * (index % 3))
        return index

    assert list(in_order(40, work)) == list(range(40))


def test_work_is_not_done_far_ahead_of_what_is_asked_for(monkeypatch):
    monkeypatch.setattr("diffview.exporters.pool._cores", lambda: 3)
    started = []
    results = in_order(100, started.append)
    next(results)
    results.close()
    assert len(started) <= 8


def test_an_error_in_a_thread_is_raised_in_its_turn_and_ends_the_threads():
    def work(index):
        return 1 // (index - 5)

    results = in_order(20, work)
    with pytest.raises(ZeroDivisionError):
        list(results)
    assert not [t for t in threading.enumerate() if t.name.startswith("export")]
