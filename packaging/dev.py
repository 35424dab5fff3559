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
import ctypes
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "diffview-setup.json"
PYPROJECT = ROOT / "pyproject.toml"
CONSTRAINTS = ROOT / "packaging" / "constraints-cpu.txt"

OLDEST = (3, 11)
NEWEST = (3, 14)
FOR_WINDOW = frozenset({"video"})  # the extras that each command wants
FOR_TESTS = FOR_WINDOW | {"dev"}

DEMO = shlex.split(
    "sample --model fashion --sampler ddim --steps 50 --guidance 3 --label Sneaker "
    "--seeds 0-15 --format png,gif,safetensors"
)

LINT_IMPORTS = "from importlinter.cli import lint_imports_command as check; check()"
PARTS = ("ruff", "mypy", "imports", "pytest")
CHECKS = {  # name: (part, arguments for the environment's python); pytest last, its line counts
    "ruff check": ("ruff", ["-m", "ruff", "check", "."]),
    "ruff format": ("ruff", ["-m", "ruff", "format", "--check", "."]),
    "mypy": ("mypy", ["-m", "mypy"]),
    "layer contracts": ("imports", ["-c", LINT_IMPORTS]),
    "pytest": ("pytest", ["-m", "pytest"]),
}

# What Qt's xcb platform plugin, QtGui and QtWidgets load from the system: soname -> Debian
# package. Where the name differs between releases, alternatives are separated by "|".
QT_LIBRARIES = {
    "libglib-2.0.so.0": "libglib2.0-0t64|libglib2.0-0",
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libX11-xcb.so.1": "libx11-xcb1",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-shm.so.0": "libxcb-shm0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-util.so.1": "libxcb-util1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
}
LOAD_QT = (
    "import ctypes, pathlib, PySide6.QtWidgets; plugins = pathlib.Path(PySide6.__file__).parent"
    " / 'Qt/plugins/platforms'; ctypes.CDLL(str(plugins / 'libqxcb.so'))"
)
FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts")
PRIVATE_FOLDERS = (
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_CACHE_HOME",
    "XDG_STATE_HOME",
    "XDG_RUNTIME_DIR",
)
TEST_TOOLS = {"Xvfb": "xvfb", "xauth": "xauth", "xdotool": "xdotool"}  # program -> package


class Stop(Exception):
    """The set-up cannot go on without a person; the message says what to do."""


def main(argv: Sequence[str]) -> int:
    own, after_dashes = split_at_dashes(argv)
    args, unknown = build_parser().parse_known_args(own)
    if args.command != "test" and unknown:
        build_parser().error(f"unknown: {shlex.join(unknown)} (for the window: after --)")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as an exception: Xvfb gets stopped
    try:
        if sys.version_info < OLDEST:
            return exit_code(call([newer_python(), __file__, *argv]))
        if args.command == "run":
            return run(args.torch, after_dashes)
        if args.command == "test":
            return test(args.torch, args.only, [*unknown, *after_dashes])
        set_up(FOR_TESTS, args.torch)
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
    set_up(FOR_WINDOW, torch)
    if has_display(sys.platform, os.environ):
        provide_qt_libraries()
        say("opening the window")
        return exit_code(call([PYTHON, "-m", "diffview", "gui", *window_args]))
    return run_headless()


def has_display(platform: str, environ: Mapping[str, str]) -> bool:
    if platform in ("darwin", "win32"):
        return True
    return bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def run_headless() -> int:
    try:
        provide_qt_libraries()
    except Stop as stop:
        say(f"the window will need this, the pictures below do not:\n{stop}")
    out = fresh_folder(ROOT / "diffview-demo")
    say(f"no display here, so no window: rendering the main job into {out}")
    code = exit_code(call([PYTHON, "-m", "diffview", *DEMO, "--out", out]))
    if code == 0:
        say(f"rendered: {out}")
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
    set_up(FOR_TESTS, torch)
    checks = {name: args for name, (part, args) in CHECKS.items() if part in only}
    if "pytest" not in checks:
        return report(run_checks(checks, dict(os.environ)))
    checks["pytest"] = [*checks["pytest"], *pytest_args]
    if sys.platform.startswith("linux"):
        provide_qt_libraries()
        provide_test_tools()
    with private_folders() as folders, x_display() as display:
        return report(run_checks(checks, {**os.environ, **folders, **display}))


def run_checks(checks: Mapping[str, Sequence[str]], env: Mapping[str, str]) -> dict[str, bool]:
    passed = {}
    for name, args in checks.items():
        say(name)
        passed[name] = call([PYTHON, *args], env=env, cwd=ROOT) == 0
    return passed


def report(passed: Mapping[str, bool]) -> int:
    say(", ".join(f"{name} {'ok' if fine else 'FAILED'}" for name, fine in passed.items()))
    return 0 if all(passed.values()) else 1


def provide_test_tools() -> None:
    missing = [package for tool, package in TEST_TOOLS.items() if not shutil.which(tool)]
    if not missing:
        return
    try:
        provide_packages(missing, "the window tests want " + ", ".join(TEST_TOOLS))
    except Stop as stop:
        say(str(stop))


@contextmanager
def private_folders() -> Iterator[dict[str, str]]:
    """A person's settings, data and caches are never touched by a test."""
    with tempfile.TemporaryDirectory(prefix="diffview-test-", ignore_cleanup_errors=True) as top:
        env = {name: os.path.join(top, name) for name in PRIVATE_FOLDERS}
        for path in env.values():
            os.mkdir(path, mode=0o700)
        yield env


@contextmanager
def x_display() -> Iterator[dict[str, str]]:
    """The variables with which Qt finds a screen: the present one, an own Xvfb, or none."""
    if not sys.platform.startswith("linux"):
        yield {}
    elif os.environ.get("DISPLAY"):
        yield {"QT_QPA_PLATFORM": os.environ.get("QT_QPA_PLATFORM", "xcb")}
    elif not shutil.which("Xvfb"):
        say("no Xvfb: the window tests run on Qt's offscreen platform, not on a real X server")
        yield {"QT_QPA_PLATFORM": "offscreen"}
    else:
        with xvfb() as display:
            yield {"DISPLAY": display, "QT_QPA_PLATFORM": "xcb"}


@contextmanager
def xvfb() -> Iterator[str]:
    reading, writing = os.pipe()
    command = shlex.split(
        f"Xvfb -displayfd {writing} -screen 0 1920x1200x24 -nolisten tcp -noreset"
    )
    # Its own session: Ctrl+C reaches the tests first and the server last.
    server = subprocess.Popen(
        command, pass_fds=[writing], stderr=subprocess.DEVNULL, start_new_session=True
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as pipe:
            number = pipe.readline().strip()
        if not number:
            raise Stop(f"Xvfb did not start; try it by hand: {command[0]} :99")
        say(f"started Xvfb on :{number}")
        yield f":{number}"
    finally:
        server.terminate()
        server.wait()


# ---------------------------------------------------------------- the environment


def set_up(extras: frozenset[str], torch: str | None) -> None:
    """Make `.venv` hold the project with at least `extras`; nothing to do where the stamp fits."""
    stamp = read_stamp()
    choice = torch_choice(torch, stamp, has_nvidia_driver)
    if is_current(stamp, extras, choice):
        return
    provide_venv()
    wanted = extras | set(stamp.get("extras", ()))  # `run` does not undo what `test` installed
    verbosity = ["--quiet"] if stamp.get("key") else []  # the first time there is much to wait for
    write_stamp("", wanted, choice)  # an interrupted set-up is taken up again, with its choices
    install_torch(choice, verbosity)
    install_project(wanted, [*verbosity, *constraint_args(choice)])
    write_stamp(environment_key(choice), wanted, choice)


def write_stamp(key: str, extras: Iterable[str], choice: str) -> None:
    STAMP.write_text(json.dumps({"key": key, "extras": sorted(extras), "torch": choice}))


def read_stamp() -> dict[str, Any]:
    try:
        return dict(json.loads(STAMP.read_text()))
    except (OSError, ValueError):
        return {}


def is_current(stamp: Mapping[str, Any], extras: frozenset[str], choice: str) -> bool:
    return (
        PYTHON.exists()
        and stamp.get("key") == environment_key(choice)
        and extras <= set(stamp.get("extras", ()))
    )


def environment_key(choice: str) -> str:
    """A hash of all that the environment is made from; the extras are compared apart."""
    digest = hashlib.sha256(f"{choice} {ROOT} ".encode())
    for file in (PYPROJECT, CONSTRAINTS, VENV / "pyvenv.cfg"):
        digest.update(file.read_bytes() if file.exists() else b"-")
    return digest.hexdigest()


def torch_choice(
    asked: str | None, stamp: Mapping[str, Any], driver_found: Callable[[], bool]
) -> str:
    """cpu, cuda or skip: what was asked for, else last time's, else by the driver."""
    choice = asked or str(stamp.get("torch", "auto"))
    if choice != "auto":
        return choice
    return "cuda" if driver_found() else "cpu"


def has_nvidia_driver() -> bool:
    if Path("/proc/driver/nvidia/version").exists():
        return True
    return bool(shutil.which("nvidia-smi")) and succeeds(["nvidia-smi", "-L"])


def provide_venv() -> None:
    if PYTHON.exists() and succeeds([PYTHON, "-m", "pip", "--version"]):
        return
    if not has_ensurepip():
        provide_ensurepip()
    say(f"making {VENV}")
    if call([sys.executable, "-m", "venv", "--clear", VENV]):
        raise Stop(f"`{sys.executable} -m venv` failed, see above.")


def has_ensurepip() -> bool:
    return succeeds([sys.executable, "-c", "import venv, ensurepip"])


def provide_ensurepip() -> None:
    why = f"{sys.executable} has no venv and pip"
    provide_packages([f"python3.{sys.version_info.minor}-venv|python3-venv"], why)
    if not has_ensurepip():
        raise Stop(f"{why}, also with Debian's package; run this with /usr/bin/python3.")


def newer_python() -> str:
    """The newest Python on PATH that the project runs on, where this one is too old."""
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        if found and succeeds([found, "-c", ""]):
            return found
    raise Stop(
        f"This is Python {sys.version.split()[0]}; diffview needs 3.{OLDEST[1]} to "
        f"3.{NEWEST[1]}, and none is on PATH. Install one and run this again."
    )


def install_torch(choice: str, options: Sequence[str]) -> None:
    if choice == "skip":
        require_torch()
        return
    say(f"installing torch ({choice})")
    pip = pip_install("torch>=2.10", *constraint_args(choice), *options)
    if call(pip) == 0:
        return
    tried = [pip]
    if choice == "cpu" and sys.platform.startswith("linux"):
        say("pip has no CPU build to offer; asking uv, which knows where PyTorch keeps it")
        uv = uv_install_torch(cpu_torch_version(CONSTRAINTS.read_text()))
        if call(pip_install("uv")) == 0 and call(uv) == 0:
            return
        tried.append(uv)
    raise Stop(
        "torch could not be installed. Tried:\n"
        + "".join(f"  {command_line(command)}\n" for command in tried)
        + "Their messages are above. Check the network and the free disk space, or install a\n"
        + f"torch of your own with `{command_line([PYTHON, '-m', 'pip', 'install'])} ...` "
        + "and run this with --torch skip."
    )


def require_torch() -> None:
    if not succeeds([PYTHON, "-c", "import importlib.metadata as m; m.version('torch')"]):
        raise Stop(
            "--torch skip uses the torch that is in .venv, and there is none. Install one with\n"
            f"  {command_line([PYTHON, '-m', 'pip', 'install'])} ...\nand run this again."
        )


def constraint_args(choice: str) -> list[str]:
    return ["--constraint", str(CONSTRAINTS)] if choice == "cpu" else []


def cpu_torch_version(constraints: str) -> str:
    found = re.search(r"^torch==([\d.]+)", constraints, re.MULTILINE)
    assert found, "constraints-cpu.txt pins torch"
    return found[1]


def uv_install_torch(version: str) -> list[str]:
    uv = str(PYTHON.with_name("uv"))
    return [uv, "pip", "install", f"--python={PYTHON}", "--torch-backend=cpu", f"torch=={version}"]


def install_project(extras: Iterable[str], options: Sequence[str]) -> None:
    project = f"{ROOT}[{','.join(sorted(extras))}]"
    say("installing diffview and what it needs")
    if call(pip_install("--editable", project, *options)):
        raise Stop("pip could not install diffview's dependencies, see above.")


def pip_install(*args: str) -> list[str]:
    return [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", *args]


# ---------------------------------------------------------------- system libraries


def provide_qt_libraries() -> None:
    """Qt's wheels bring Qt, but not the system's own libraries that it loads."""
    if not sys.platform.startswith("linux"):
        return
    missing = missing_libraries(QT_LIBRARIES, ctypes.CDLL)
    packages = sorted({QT_LIBRARIES[name] for name in missing})
    if not has_font(FONT_FOLDERS):
        missing.append("any font")
        packages.append("fonts-dejavu-core")
    if missing:
        provide_packages(packages, f"Qt's window needs {', '.join(missing)}")
    loading = subprocess.run([PYTHON, "-c", LOAD_QT], stderr=subprocess.PIPE, text=True)
    if loading.returncode:
        raise Stop(f"Qt does not load: {loading.stderr.strip().splitlines()[-1]}")


def missing_libraries(names: Iterable[str], load: Callable[[str], object]) -> list[str]:
    return [name for name in names if not loads(name, load)]


def loads(name: str, load: Callable[[str], object]) -> bool:
    try:
        load(name)
    except OSError:
        return False
    return True


def has_font(folders: Iterable[str]) -> bool:
    kinds = {".ttf", ".otf", ".ttc", ".pfb"}
    return any(
        file.suffix in kinds
        for folder in folders
        for file in Path(folder).expanduser().rglob("*.*")
    )


def provide_packages(packages: Sequence[str], why: str) -> None:
    """Install Debian packages when root; else stop with what to type.

    Each entry is a name, or alternatives "new|old" where releases differ.
    """
    if not is_debian_like():
        raise Stop(f"{why}. Install it with your system's package manager.")
    if not is_root():
        raise Stop(f"{why}. Type this, then run the same command again:\n  {apt_line(packages)}")
    say(f"{why}: installing")
    call(["apt-get", "update"])
    names = [pick_package(package, apt_knows) for package in packages]
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if call(["apt-get", "install", "-y", "--no-install-recommends", *names], env=env):
        raise Stop(f"{why}, and apt-get could not install {' '.join(names)}, see above.")


def is_debian_like() -> bool:
    return Path("/etc/debian_version").exists() and shutil.which("apt-get") is not None


def is_root() -> bool:
    return os.geteuid() == 0


def apt_line(packages: Sequence[str]) -> str:
    names = " ".join(pick_package(package, apt_knows) for package in packages)
    return f"sudo apt-get update && sudo apt-get install -y --no-install-recommends {names}"


def pick_package(alternatives: str, known: Callable[[str], bool]) -> str:
    """The first alternative that the release has; the last, which apt resolves, if unsure."""
    names = alternatives.split("|")
    return next((name for name in names if known(name)), names[-1])


def apt_knows(package: str) -> bool:
    """Whether apt has a version of the package to install (false before any apt-get update)."""
    policy = subprocess.run(
        ["apt-cache", "policy", package],
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C"},
    )
    return "Candidate: " in policy.stdout and "Candidate: (none)" not in policy.stdout


# ---------------------------------------------------------------- processes


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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
