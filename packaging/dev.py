"""From a fresh clone to a window, or to every check, with nothing but Python and git.

    python3 packaging/dev.py run  [-- ARGS]          set up, then open the window
    python3 packaging/dev.py test [PYTEST ARGS]      set up, then run every check
    python3 packaging/dev.py setup                   set up only

Standard library only: it runs before anything is installed. The set-up is `.venv` in the
repository root; a stamp inside it says what it was made from, so that a second run calls no pip.
Exit codes: 0 fine, 1 something failed, 2 the set-up needs a person, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from devtools import environment, places, processes, screen, system
from devtools.processes import Stop

DEMO = shlex.split(
    "sample --model fashion --sampler ddim --steps 50 --guidance 3 --label Sneaker "
    "--seeds 0-15 --format png,gif,safetensors"
)

LINT_IMPORTS = "from importlinter.cli import lint_imports_command as check; check()"
MOST_WORKERS = 4  # each takes up to 2 GB
PARTS = ("ruff", "mypy", "imports", "pytest")
CHECKS = {  # name: (part, arguments for the environment's python); pytest last, its line counts
    "ruff check": ("ruff", ["-m", "ruff", "check", "."]),
    "ruff format": ("ruff", ["-m", "ruff", "format", "--check", "."]),
    "mypy": ("mypy", ["-m", "mypy"]),
    "layer contracts": ("imports", ["-c", LINT_IMPORTS]),
    "pytest": ("pytest", ["-m", "pytest"]),
}


def main(argv: Sequence[str]) -> int:
    own, after_dashes = split_at_dashes(argv)
    args, unknown = build_parser().parse_known_args(own)
    if args.command != "test" and unknown:
        build_parser().error(f"unknown: {shlex.join(unknown)} (for the window: after --)")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as an exception: Xvfb gets stopped
    try:
        if sys.version_info < environment.OLDEST:
            return processes.exit_code(
                processes.call([environment.newer_python(), __file__, *argv])
            )
        if args.command == "run":
            return run(args.torch, after_dashes)
        if args.command == "test":
            return test(args.torch, args.only, [*unknown, *after_dashes])
        environment.set_up(environment.FOR_TESTS, args.torch)
        return 0
    except Stop as stop:
        print(f"\n{stop}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dev.py", allow_abbrev=False)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--torch",
        choices=("cpu", "cuda", "auto", "skip"),
        help="which build of torch: auto takes the CPU build unless an NVIDIA driver is found, "
        "skip leaves the one in .venv alone; default: as last time, at first auto",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("run", "set up, then open the window; arguments for it after --"),
        ("test", "set up, then run every check; other arguments go to pytest"),
        ("setup", "set up only, with what the checks need"),
    ):
        command = commands.add_parser(name, parents=[shared], help=text, allow_abbrev=False)
        if name == "test":
            command.add_argument(
                "--only", type=parts, default=PARTS, help=f"some of {','.join(PARTS)}"
            )
    return parser


def parts(text: str) -> tuple[str, ...]:
    chosen = tuple(text.split(","))
    unknown = set(chosen) - set(PARTS)
    if unknown:
        raise argparse.ArgumentTypeError(f"no part {', '.join(sorted(unknown))}")
    return chosen


def split_at_dashes(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    at = list(argv).index("--") if "--" in argv else len(argv)
    return list(argv[:at]), list(argv[at + 1 :])


# ---------------------------------------------------------------- run


def run(torch: str | None, window_args: Sequence[str]) -> int:
    environment.set_up(environment.FOR_WINDOW, torch)
    if has_display(sys.platform, os.environ):
        system.provide_qt_libraries()
        processes.say("opening the window")
        return processes.exit_code(
            processes.call([places.PYTHON, "-m", "diffview", "gui", *window_args])
        )
    return run_headless()


def has_display(platform: str, environ: Mapping[str, str]) -> bool:
    if platform in ("darwin", "win32"):
        return True
    return bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def run_headless() -> int:
    try:
        system.provide_qt_libraries()
    except Stop as stop:
        processes.say(f"the window will need this, the pictures below do not:\n{stop}")
    out = fresh_folder(places.ROOT / "diffview-demo")
    processes.say(f"no display here, so no window: rendering the main job into {out}")
    code = processes.exit_code(
        processes.call([places.PYTHON, "-m", "diffview", *DEMO, "--out", out])
    )
    if code == 0:
        processes.say(f"rendered: {out}")
    return code


def fresh_folder(wanted: Path) -> Path:
    """`wanted`, or `wanted-2`, `wanted-3` ... where it exists already."""
    folder, number = wanted, 1
    while folder.exists():
        number += 1
        folder = wanted.with_name(f"{wanted.name}-{number}")
    return folder


# ---------------------------------------------------------------- test


def test(torch: str | None, only: Sequence[str], pytest_args: Sequence[str]) -> int:
    environment.set_up(environment.FOR_TESTS, torch)
    checks = {name: args for name, (part, args) in CHECKS.items() if part in only}
    if "pytest" not in checks:
        return report(run_checks(checks, dict(os.environ)))
    workers = 1 if pytest_args else min(os.cpu_count() or 1, MOST_WORKERS)
    if sys.platform.startswith("linux"):
        system.provide_qt_libraries()
        screen.provide_test_tools()
    with screen.private_folders() as folders, screen.x_displays(workers) as display:
        checks["pytest"] = [*checks["pytest"], *side_by_side(workers, display), *pytest_args]
        return report(run_checks(checks, {**os.environ, **folders, **display}))


def side_by_side(workers: int, display: Mapping[str, str]) -> list[str]:
    """Options with which pytest keeps several cores busy, where each can have its own screen."""
    if workers == 1 or screen.DISPLAYS not in display:
        return []
    return ["-n", str(workers), "--dist", "worksteal", "--durations", "15"]


def run_checks(checks: Mapping[str, Sequence[str]], env: Mapping[str, str]) -> dict[str, bool]:
    passed = {}
    for name, args in checks.items():
        processes.say(name)
        passed[name] = processes.call([places.PYTHON, *args], env=env, cwd=places.ROOT) == 0
    return passed


def report(passed: Mapping[str, bool]) -> int:
    processes.say(
        ", ".join(f"{name} {'ok' if fine else 'FAILED'}" for name, fine in passed.items())
    )
    return 0 if all(passed.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
