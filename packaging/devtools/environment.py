"""The environment `.venv`: made once, with a stamp that says what it was made from, so that a
second run calls no pip.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from devtools import places, processes, system
from devtools.processes import Stop

OLDEST = (3, 11)
NEWEST = (3, 14)
FOR_WINDOW = frozenset({"video"})  # the extras that each command wants
FOR_TESTS = FOR_WINDOW | {"dev"}
SIZES = {"cpu": "some 200 MB", "cuda": "some 3 GB"}  # to download, with what it needs


def set_up(extras: frozenset[str], torch: str | None) -> None:
    """Make `.venv` hold the project with at least `extras`; nothing to do where the stamp fits."""
    stamp = read_stamp()
    choice = torch_choice(torch, stamp, has_nvidia_driver)
    if is_current(stamp, extras, choice):
        return
    provide_venv()
    wanted = extras | set(stamp.get("extras", ()))  # `run` does not undo what `test` installed
    write_stamp("", wanted, choice)  # an interrupted set-up is taken up again, with its choices
    install_torch(choice)
    install_project(wanted, constraint_args(choice))
    write_stamp(environment_key(choice), wanted, choice)


def write_stamp(key: str, extras: Iterable[str], choice: str) -> None:
    places.STAMP.write_text(json.dumps({"key": key, "extras": sorted(extras), "torch": choice}))


def read_stamp() -> dict[str, Any]:
    try:
        return dict(json.loads(places.STAMP.read_text()))
    except (OSError, ValueError):
        return {}


def is_current(stamp: Mapping[str, Any], extras: frozenset[str], choice: str) -> bool:
    return (
        places.PYTHON.exists()
        and stamp.get("key") == environment_key(choice)
        and extras <= set(stamp.get("extras", ()))
    )


def environment_key(choice: str) -> str:
    """A hash of all that the environment is made from; the extras are compared apart."""
    digest = hashlib.sha256(f"{choice} {places.ROOT} ".encode())
    for file in (places.PYPROJECT, places.CONSTRAINTS, places.VENV / "pyvenv.cfg"):
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
    return bool(shutil.which("nvidia-smi")) and processes.succeeds(["nvidia-smi", "-L"])


def provide_venv() -> None:
    if places.PYTHON.exists() and processes.succeeds([places.PYTHON, "-m", "pip", "--version"]):
        return
    if not has_ensurepip():
        provide_ensurepip()
    processes.say(f"making {places.VENV}")
    if processes.call([sys.executable, "-m", "venv", "--clear", places.VENV]):
        raise Stop(f"`{sys.executable} -m venv` failed, see above.")


def has_ensurepip() -> bool:
    return processes.succeeds([sys.executable, "-c", "import venv, ensurepip"])


def provide_ensurepip() -> None:
    why = f"{sys.executable} has no venv and pip"
    system.provide_packages([f"python3.{sys.version_info.minor}-venv|python3-venv"], why)
    if not has_ensurepip():
        raise Stop(f"{why}, also with Debian's package; run this with /usr/bin/python3.")


def newer_python() -> str:
    """The newest Python on PATH that the project runs on, where this one is too old."""
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        if found and processes.succeeds([found, "-c", ""]):
            return found
    raise Stop(
        f"This is Python {sys.version.split()[0]}; diffview needs 3.{OLDEST[1]} to "
        f"3.{NEWEST[1]}, and none is on PATH. Install one and run this again."
    )


def install_torch(choice: str) -> None:
    if choice == "skip":
        require_torch()
        return
    processes.say(f"installing torch ({choice}, {SIZES[choice]}; the first time takes minutes)")
    pip = pip_install("torch>=2.10", *constraint_args(choice))
    if processes.call(pip) == 0:
        return
    tried = [pip]
    if choice == "cpu" and sys.platform.startswith("linux"):
        processes.say(
            "pip has no CPU build to offer; asking uv, which knows where PyTorch keeps it"
        )
        uv = uv_install_torch(cpu_torch_version(places.CONSTRAINTS.read_text()))
        if processes.call(pip_install("uv")) == 0 and processes.call(uv) == 0:
            return
        tried.append(uv)
    raise Stop(
        "torch could not be installed. Tried:\n"
        + "".join(f"  {processes.command_line(command)}\n" for command in tried)
        + "Their messages are above. Check the network and the free disk space, or install a\n"
        + f"torch of your own with `{own_pip()} ...` and run this with --torch skip."
    )


def require_torch() -> None:
    if not processes.succeeds(
        [places.PYTHON, "-c", "import importlib.metadata as m; m.version('torch')"]
    ):
        raise Stop(
            "--torch skip uses the torch that is in .venv, and there is none. Install one with\n"
            f"  {own_pip()} ...\nand run this again."
        )


def constraint_args(choice: str) -> list[str]:
    return ["--constraint", str(places.CONSTRAINTS)] if choice == "cpu" else []


def cpu_torch_version(constraints: str) -> str:
    found = re.search(r"^torch==([\d.]+)", constraints, re.MULTILINE)
    assert found, "constraints-cpu.txt pins torch"
    return found[1]


def uv_install_torch(version: str) -> list[str]:
    uv = str(places.PYTHON.with_name("uv"))
    return [
        uv,
        "pip",
        "install",
        f"--python={places.PYTHON}",
        "--torch-backend=cpu",
        f"torch=={version}",
    ]


def install_project(extras: Iterable[str], options: Sequence[str]) -> None:
    project = f"{places.ROOT}[{','.join(sorted(extras))}]"
    processes.say("installing diffview and what it needs")
    if processes.call(pip_install("--editable", project, *options)):
        raise Stop("pip could not install diffview's dependencies, see above.")


def pip_install(*args: str) -> list[str]:
    # Quiet: what went wrong is told all the same, every package that was there already is not.
    own = [str(places.PYTHON), "-m", "pip", "install"]
    return [*own, "--quiet", "--disable-pip-version-check", *args]


def own_pip() -> str:
    """What a person types to install something of their own."""
    return processes.command_line([places.PYTHON, "-m", "pip", "install"])
