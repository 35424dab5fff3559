"""Other programs: called, asked, and what is said meanwhile."""

from __future__ import annotations

import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class Stop(Exception):
    """The set-up cannot go on without a person; the message says what to do."""


def call(
    command: Sequence[str | Path],
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> int:
    return subprocess.call(command, env=env, cwd=cwd)


def succeeds(command: Sequence[str | Path]) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0


def command_line(command: Sequence[str | Path]) -> str:
    return shlex.join(str(word) for word in command)


def exit_code(returned: int) -> int:
    """A child's return code as one of ours; a negative one names the signal that ended it."""
    if returned in (0, 1, 2, 130):
        return returned
    return 130 if returned == -signal.SIGINT else 1


def say(text: str) -> None:
    print(f"\n== {text}", flush=True)
