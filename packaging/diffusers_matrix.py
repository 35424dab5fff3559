"""The tests of Hugging Face models, on the oldest and the newest releases that are supported.

    .venv/bin/python packaging/diffusers_matrix.py [oldest] [newest] [-- PYTEST ARGS]

Run with an environment that has diffview and its tests' packages (packaging/dev.py setup). Each
release goes into a folder of its own that is looked into first, so the environment stays as it is.
What is oldest and newest, pyproject.toml's extra `hf` says. Exit code 0 when all passed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTS = "tests/models/hf"
KINDS = ("oldest", "newest")
OVERLAID = ("diffusers", "transformers")
"""The packages that are exchanged; torch and all else stay."""


def main(argv: Sequence[str]) -> int:
    at = list(argv).index("--") if "--" in argv else len(argv)
    kinds, pytest_args = argv[:at] or KINDS, argv[at + 1 :]
    unknown = set(kinds) - set(KINDS)
    if unknown:
        print(f"unknown: {', '.join(sorted(unknown))}; give oldest, newest or both")
        return 2
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needs = wanted(extra["optional-dependencies"]["hf"])
    failed = [kind for kind in kinds if not passes(kind, needs, pytest_args)]
    print(f"\n== {', '.join(kinds)}: " + (f"{', '.join(failed)} FAILED" if failed else "ok"))
    return bool(failed)


def wanted(extra: Sequence[str]) -> dict[str, str]:
    """Package -> its version range, of those that are exchanged."""
    split = [re.match(r"([A-Za-z0-9_-]+)(.*)", need) for need in extra]
    return {found[1]: found[2] for found in split if found and found[1] in OVERLAID}


def requirement(kind: str, name: str, versions: str) -> str:
    """What pip is asked for: the lower bound itself, or anything within the range."""
    if kind == "newest":
        return f"{name}{versions}"
    lowest = re.search(r">=([\d.]+)", versions)
    assert lowest, f"the extra gives {name} no oldest version"
    return f"{name}=={lowest[1]}"


def passes(kind: str, needs: dict[str, str], pytest_args: Sequence[str]) -> bool:
    """Install and test one kind."""
    with tempfile.TemporaryDirectory(prefix="diffview-matrix-") as folder:
        asked = [requirement(kind, name, versions) for name, versions in needs.items()]
        print(f"\n== {kind}: {', '.join(asked)}", flush=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", folder]
        if subprocess.call([*pip, *asked]):
            return False
        env = {**os.environ, "PYTHONPATH": folder}
        shown = "import diffusers, transformers as t; print(diffusers.__version__, t.__version__)"
        subprocess.call([sys.executable, "-c", shown], env=env)
        tests = [sys.executable, "-m", "pytest", "-q", TESTS, *pytest_args]
        return subprocess.call(tests, env=env, cwd=ROOT) == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
