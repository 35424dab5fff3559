"""What a shell does to a program: Ctrl-C, a pipe that closes, a full disk."""

import json
import os
import signal
import subprocess
import sys

import pytest

from diffview.engine import session

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

DIFFVIEW = [sys.executable, "-m", "diffview"]


@pytest.fixture
def start(tiny, tmp_path):
    """Starts a long `diffview sample`, its stderr a terminal; yields (process, terminal)."""
    running, descriptors = [], []

    def run(*words):
        terminal, theirs = os.openpty()
        command = [*DIFFVIEW, "sample", "--model", tiny, "--json", *words]
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=theirs,
            text=True,
        )
        os.close(theirs)
        running.append(process)
        descriptors.append(terminal)
        return process, terminal

    yield run
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()
    for descriptor in descriptors:
        os.close(descriptor)


def read_until(process, event, count):
    seen = 0
    for line in process.stdout:
        seen += json.loads(line)["event"] == event
        if seen == count:
            return
    pytest.fail(f"the run ended before {count} events '{event}' came")


def everything(terminal):
    """What was written to a terminal whose other end is closed."""
    told = b""
    try:
        while chunk := os.read(terminal, 4096):
            told += chunk
    except OSError:  # Linux says so at the end
        pass
    return told.decode()


def test_an_interrupt_keeps_the_session_of_the_steps_so_far(start, tmp_path):
    process, terminal = start(
        *["--sampler", "ddpm", "--steps", "1000", "--session", "a.dvsession"]
    )
    read_until(process, "step", 5)
    process.send_signal(signal.SIGINT)
    process.stdout.read()
    assert process.wait(30) == 130
    kept, _ = session.load(tmp_path / "a.dvsession")
    assert 5 <= len(kept) < 1001
    told = everything(terminal)
    assert "a.dvsession; go on with --from" in told and "Traceback" not in told


@pytest.mark.parametrize("event", ["step", "written"])
def test_an_interrupt_exits_130_and_leaves_nothing_behind(event, start, tmp_path):
    words = "--sampler ddpm --steps 1000 --seeds 0-3 --out out"
    if event == "written":
        words = words.replace("1000", "100")
    before = sorted(tmp_path.rglob("*"))
    process, terminal = start(*words.split())
    read_until(process, event, 5)
    process.send_signal(signal.SIGINT)
    process.stdout.read()
    assert process.wait(30) == 130
    assert sorted(tmp_path.rglob("*")) == before
    told = everything(terminal)
    assert "\r" in told
    assert told.endswith("\r\ndiffview: interrupted\r\n")
    assert told.count("diffview: interrupted") == 1
    assert "Traceback" not in told


def test_a_pipe_that_closes_is_no_error_message(start, tmp_path):
    process, terminal = start(*["--steps", "1000", "--seeds", "0-3", "--out", "out"])
    read_until(process, "step", 1)
    process.stdout.close()
    assert process.wait(30) == 1
    told = everything(terminal)
    assert "rror" not in told
    assert "Exception" not in told
    assert not (tmp_path / "out").exists()


def test_a_pipe_that_nobody_reads_is_no_error_message():
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*DIFFVIEW, "--help"], stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert done.stderr == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_one_line_and_exit_code_1():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*DIFFVIEW, "--help"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert done.stderr.startswith("diffview: error: ")
    assert done.stderr.count("\n") == 1


def test_output_that_is_no_terminal_gets_no_control_codes(tiny, tmp_path):
    words = ["--label", "0", "--steps", "3", "--out", "out", "--session", "a.dvsession"]
    done = subprocess.run(
        [*DIFFVIEW, "sample", "--model", tiny, *words], cwd=tmp_path, capture_output=True
    )
    assert done.returncode == 0
    assert not set(done.stdout + done.stderr) & set(b"\r\x1b\b")
