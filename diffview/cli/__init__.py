"""The command line: one file per command; Qt only where a window is asked for.

Only the chosen command's file is imported, so help and version cost neither torch nor numpy.
Exit codes: 0 done, 1 failed while running, 2 bad input or usage, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TextIO

import diffview
from diffview.cli.arguments import Parser
from diffview.errors import DiffviewError, InputError

COMMANDS = {
    "gui": "open the window, on FILE if given (this is also what no command does)",
    "models": "list what can be run",
    "fetch": "fetch a model of the Hugging Face hub",
    "convert": "make a model of safetensors of a pickled one, a checkpoint or a folder",
    "sample": "run a model and write pictures, animations or the raw trajectory",
    "invert": "find the noise from which a model comes back to a picture",
    "export": "write pictures, animations or the raw trajectory of a saved run",
    "verify": "replay a saved run and name the first step that differs",
    "train": "make one of the bundled models",
    "bench": "measure diffview's own speed on this machine",
    "info": "versions, devices and folders: what a bug report needs",
}
"""The commands, each the file of its name in this folder, and what it does."""

INTERRUPTED = 130
DEBUG = "DIFFVIEW_DEBUG"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    # Spinning OpenMP threads make sampling many times slower where something else wants a core;
    # torch reads this when it is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    _never_fail_to_print()
    try:
        code = _run(words)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        _say("diffview: interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        _give_up_stdout()
        return 1
    except Exception as error:
        _show_traceback()
        _say(f"diffview: error: {_one_line(error)}")
        return error.exit_code if isinstance(error, DiffviewError) else 1


def _run(words: list[str]) -> int:
    if not words:
        return _run_command("gui", [])
    first = words[0]
    if first in COMMANDS:
        return _run_command(first, words[1:])
    if first in ("-h", "--help"):
        print(usage())
        return 0
    if first == "--version":
        print(f"diffview {diffview.__version__}")
        return 0
    if not first.startswith("-") and Path(first).exists():
        return _run_command("gui", words)
    raise InputError(_unknown(first))


def _run_command(name: str, words: list[str]) -> int:
    module = importlib.import_module(f"diffview.cli.{name}")
    parser = Parser(prog=f"diffview {name}", description=module.__doc__)
    module.add_arguments(parser)
    try:
        args = parser.parse_args(words)
    except SystemExit as end:  # --help has printed itself
        return int(end.code or 0)
    code: int = module.run(args)
    return code


def usage() -> str:
    """What `diffview --help` prints."""
    commands = "\n".join(f"  {name:<8} {what}" for name, what in COMMANDS.items())
    return f"""usage: diffview [COMMAND] ...
       diffview [FILE]

Look inside diffusion models: run one, keep every step, scrub, guide, export.

commands:
{commands}

options:
  -h, --help  this text; 'diffview COMMAND --help' tells a command's own options
  --version   the version

An example, without a window:
  diffview sample --model fashion --label Sneaker --seeds 0-15 --out sneakers

exit codes: 0 done, 1 failed while running, 2 bad input or usage, 130 interrupted
{DEBUG}=1 shows where an error came from."""


def _unknown(word: str) -> str:
    known = [*COMMANDS, "--help", "--version"]
    close = get_close_matches(word, known, n=2)
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else ""
    if not hint and (os.sep in word or Path(word).suffix):
        hint = "no such file"
    what = "option" if word.startswith("-") else "command or file"
    return f"'{word}' is no {what}: {hint or 'commands are ' + ', '.join(COMMANDS)}"


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, DiffviewError | OSError):
        return text
    if isinstance(error, MemoryError):
        return "there is not enough memory: draw fewer samples, or keep less with --budget"
    return f"unexpected {type(error).__name__}: {text} ({DEBUG}=1 shows where; please report it)"


def _show_traceback() -> None:
    if os.environ.get(DEBUG, "") not in ("", "0"):
        traceback.print_exc()


def _say(line: str) -> None:
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def _never_fail_to_print() -> None:
    """Greek letters must not stop a run where the terminal's encoding lacks them."""
    for stream in (sys.stdout, sys.stderr):
        _replace_unknown_letters(stream)


def _replace_unknown_letters(stream: TextIO | None) -> None:
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")


def _give_up_stdout() -> None:
    """Whoever read our output is gone: what Python still flushes at its end goes nowhere."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
