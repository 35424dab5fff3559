"""The job runner: signals in order, cancelling at any time, generators closed, threads joined."""

import gc
import subprocess
import sys
import threading
import weakref
from functools import partial

import pytest
from PySide6.QtCore import QThread

from diffview.ui.workers import JobRunner

PATIENCE = 20_000


class Counting:
    """A generator that counts, can be held before an item, and remembers how it ended."""

    def __init__(self, items, fails_at=None, held_at=None):
        self.items, self.fails_at, self.held_at = items, fails_at, held_at
        self.gate, self.reached = threading.Event(), threading.Event()
        self.closed, self.thread, self.given = False, None, 0

    def __call__(self):
        self.thread = QThread.currentThread()
        try:
            for item in range(self.items):
                if item == self.held_at:
                    self.reached.set()
                    self.gate.wait(PATIENCE / 1000)
                if item == self.fails_at:
                    raise ValueError(f"item {item} broke")
                self.given += 1
                yield item
        finally:
            self.closed = True


@pytest.fixture
def ended(qtbot, runner):
    """Wait for the end of the jobs so far; says how each ended, in order."""
    ends = []
    runner.finished.connect(lambda job_id: ends.append(("finished", job_id)))
    runner.stopped.connect(lambda job_id: ends.append(("stopped", job_id)))
    runner.failed.connect(lambda job_id, error: ends.append(("failed", job_id)))

    def wait():
        qtbot.waitUntil(lambda: not runner.busy, timeout=PATIENCE)
        return ends

    return wait


def test_a_job_says_started_then_progress_then_finished(qtbot, runner):
    def about(item, job_id, value=None):
        return value is None or value == item

    signals = [runner.started, runner.progressed, runner.progressed, runner.finished]
    checks = [None, partial(about, 0), partial(about, 1), None]
    with qtbot.waitSignals(signals, order="strict", check_params_cbs=checks, timeout=PATIENCE):
        runner.submit(Counting(2))
    assert not runner.busy


def test_a_job_runs_in_the_threads_own_and_its_signals_arrive_here(qtbot, runner):
    job, here = Counting(1), []
    runner.progressed.connect(lambda *_: here.append(QThread.currentThread()))
    with qtbot.waitSignal(runner.finished, timeout=PATIENCE):
        runner.submit(job)
    assert here == [runner.thread()]
    assert job.thread is not None and job.thread != runner.thread()


def test_jobs_run_one_after_the_other_in_the_order_they_came(qtbot, runner, heard):
    said = heard(runner.progressed)
    first = runner.submit(Counting(3))
    second = runner.submit(Counting(2))
    qtbot.waitUntil(lambda: not runner.busy, timeout=PATIENCE)
    assert said == [(first, 0), (first, 1), (first, 2), (second, 0), (second, 1)]


def test_a_job_that_raises_fails_with_its_error_and_the_next_one_runs(qtbot, runner, ended):
    job = Counting(5, fails_at=2)
    with qtbot.waitSignal(runner.failed, timeout=PATIENCE) as failure:
        broken = runner.submit(job)
    assert failure.args[0] == broken
    assert str(failure.args[1]) == "item 2 broke"
    assert job.closed
    after = runner.submit(Counting(1))
    assert ended() == [("failed", broken), ("finished", after)]


def test_a_job_that_cannot_even_be_made_fails(qtbot, runner, ended):
    def refuse():
        raise OSError("no such model")

    job_id = runner.submit(refuse)
    assert ended() == [("failed", job_id)]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_network_that_calls_exit_fails_like_any_other(runner, ended, kind):
    def leave():
        yield 0
        raise kind("a script's own way out")

    job_id = runner.submit(leave)
    after = runner.submit(Counting(1))
    assert ended() == [("failed", job_id), ("finished", after)]


def test_cancel_before_the_start(qtbot, runner, ended):
    before, waiting = Counting(3, held_at=1), Counting(3)
    first = runner.submit(before)
    second = runner.submit(waiting)
    runner.cancel(second)
    before.gate.set()
    assert ended() == [("finished", first), ("stopped", second)]
    assert waiting.given == 0, "a job cancelled while it waits is never begun"


def test_cancel_in_the_middle_closes_the_generator_after_the_step_it_is_in(runner, ended, heard):
    said = heard(runner.progressed)
    job = Counting(1000, held_at=3)
    job_id = runner.submit(job)
    assert job.reached.wait(PATIENCE / 1000)
    runner.cancel(job_id)
    job.gate.set()
    assert ended() == [("stopped", job_id)]
    assert (job.given, job.closed) == (4, True)
    assert len(said) <= 3, "after a cancel nothing more is told"


def test_cancel_at_the_last_item_and_after_the_end(runner, ended):
    job = Counting(3, held_at=2)
    job_id = runner.submit(job)
    assert job.reached.wait(PATIENCE / 1000)
    runner.cancel(job_id)
    job.gate.set()
    assert ended() == [("stopped", job_id)]
    runner.cancel(job_id)
    assert ended() == [("stopped", job_id)]


def test_cancel_twice_is_cancel_once(runner, ended):
    job = Counting(1000, held_at=1)
    job_id = runner.submit(job)
    assert job.reached.wait(PATIENCE / 1000)
    runner.cancel(job_id)
    runner.cancel(job_id)
    job.gate.set()
    assert ended() == [("stopped", job_id)]


def test_a_job_that_breaks_while_it_is_cancelled_ends_once(runner, ended):
    job = Counting(9, fails_at=2, held_at=2)
    job_id = runner.submit(job)
    assert job.reached.wait(PATIENCE / 1000)
    runner.cancel(job_id)
    job.gate.set()
    assert len(ended()) == 1


def test_several_thousand_signals_arrive_in_order(runner, ended, heard):
    said = heard(runner.progressed)
    runner.submit(Counting(5000))
    ended()
    assert [item for _, item in said] == list(range(5000))


def test_nothing_is_accepted_after_close(runner):
    job = Counting(1)
    assert runner.close()
    assert runner.submit(job) == 0
    assert not runner.busy and job.given == 0
    assert runner.close(), "a second close is harmless"


def test_close_of_a_runner_that_was_never_used(qapp):
    assert JobRunner("idle").close()


def test_close_right_after_submit_joins(qapp):
    for _ in range(20):
        runner = JobRunner("hasty")
        runner.submit(Counting(100_000))
        assert runner.close(PATIENCE)


def test_close_while_busy_stops_after_the_step_and_closes_the_generator(runner):
    job, waiting = Counting(1_000_000, held_at=1), Counting(5)
    runner.submit(job)
    runner.submit(waiting)
    assert job.reached.wait(PATIENCE / 1000)
    threading.Timer(0.1, job.gate.set).start()
    assert runner.close(PATIENCE)
    assert job.closed and job.given <= 2
    assert waiting.given == 0


def test_close_says_when_a_step_does_not_end_in_time(runner):
    job = Counting(2, held_at=1)
    runner.submit(job)
    assert job.reached.wait(PATIENCE / 1000)
    assert not runner.close(50)
    job.gate.set()
    assert runner.close(PATIENCE)


def test_a_runner_that_goes_away_with_its_application_does_not_abort():
    script = """
import sys
from PySide6.QtCore import QCoreApplication
from diffview.ui.workers import JobRunner
app = QCoreApplication(sys.argv)
runner = JobRunner("sampling")
runner.submit(lambda: iter(range(10)))
runner.finished.connect(lambda job_id: app.quit())
app.exec()
assert runner.close()
print("joined")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "joined", "")


class Link:
    """A link of a chain that hangs on itself: only the collector of cycles takes it away."""

    def __init__(self, heard):
        self.own = self
        weakref.finalize(self, lambda: heard.append(threading.current_thread()))


def containers(n, heard):
    """Enough new containers to make Python collect at every item, and a hundred cycles each."""
    for _ in range(n):
        kept = [[] for _ in range(1000)]
        kept += [Link(heard) for _ in range(100)]
        yield len(kept)


def test_cycles_are_taken_apart_in_the_thread_of_the_window_alone(qtbot, runner):
    # where a worker destroyed Qt objects, it and the window waited for each other for good
    heard = []
    with qtbot.waitSignal(runner.finished, timeout=PATIENCE):
        runner.submit(partial(containers, 50, heard))
    # Those that were in use while it collected, it looks at again much later.
    qtbot.waitUntil(lambda: len(heard) >= 1000, timeout=PATIENCE)
    assert set(heard) == {threading.main_thread()}


def test_python_collects_by_itself_again_once_the_last_runner_is_closed(qtbot):
    first, second = JobRunner("first"), JobRunner("second")
    for runner in (first, second):
        with qtbot.waitSignal(runner.finished, timeout=PATIENCE):
            runner.submit(lambda: iter(()))
    assert not gc.isenabled()
    first.close()
    assert not gc.isenabled()
    second.close()
    second.close()
    assert gc.isenabled()
