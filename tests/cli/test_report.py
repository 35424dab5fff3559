"""Progress: rewritten in place on a terminal, a line now and then in a log, never negative."""

import json
import sys

import pytest

from diffview.cli import report
from diffview.cli.report import Report


@pytest.fixture
def clock(monkeypatch):
    """A monotonic clock to set by hand."""
    now = [100.0]
    monkeypatch.setattr(report.time, "monotonic", lambda: now[0])
    return now


def on_a_terminal(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)


def test_a_log_gets_no_control_codes_and_few_lines(clock, capsys):
    with Report() as telling:
        for done in range(101):
            telling.progress("sampling", done, 100)
            clock[0] += 1
    told = capsys.readouterr().err
    assert not set(told) & {"\r", "\x1b", "\b"}
    assert len(told.splitlines()) == 10


def test_a_terminal_gets_one_line_that_is_closed_at_the_end(clock, capsys, monkeypatch):
    on_a_terminal(monkeypatch)
    with Report() as telling:
        for done in range(11):
            telling.progress("sampling", done, 10)
            clock[0] += 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert told.endswith("\n")
    assert "sampling 5/10  00:05 left" in told


def test_the_line_is_closed_when_the_command_breaks_off(clock, capsys, monkeypatch):
    on_a_terminal(monkeypatch)
    with pytest.raises(KeyboardInterrupt), Report() as telling:
        telling.progress("sampling", 1, 10)
        raise KeyboardInterrupt
    assert capsys.readouterr().err.endswith("\n")


def test_a_shorter_line_leaves_nothing_of_a_longer_one(clock, capsys, monkeypatch):
    on_a_terminal(monkeypatch)
    with Report() as telling:
        telling.progress("sampling", 1, 10, extra="  a long remark")
        clock[0] += 1
        telling.progress("sampling", 2, 10)
    first, second = capsys.readouterr().err.rstrip("\n").split("\r")[1:]
    assert len(second) >= len(first)


def test_remaining_time_is_elapsed_time_scaled_to_what_is_left(clock):
    telling = Report()
    telling.remaining("sampling", 0, 50)
    clock[0] += 10
    assert telling.remaining("sampling", 20, 50) == pytest.approx(15)


def test_remaining_time_is_never_negative_when_the_clock_jumps_back(clock):
    telling = Report()
    telling.remaining("sampling", 0, 50)
    clock[0] -= 1000
    assert telling.remaining("sampling", 20, 50) == 0


def test_results_go_to_stdout_for_people_and_to_stderr_beside_json(capsys):
    Report().result("done")
    assert capsys.readouterr().out == "done\n"
    machine = Report(as_json=True)
    machine.result("done")
    machine.event("done", files=[])
    captured = capsys.readouterr()
    assert captured.err == "done\n"
    assert json.loads(captured.out) == {"event": "done", "files": []}
