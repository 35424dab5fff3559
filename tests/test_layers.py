"""The engine runs without Qt, and asking for help costs neither torch nor Qt.

Each test starts a fresh interpreter: this one has imported everything already.
"""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import diffview

QT = {"PySide6", "shiboken6", "pyqtgraph"}

IMPORT_ALL_BELOW_UI = """
import importlib, json, pkgutil, sys
import diffview

def below_ui(package):
    for found in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        if found.name in ("diffview.ui", "diffview.__main__"):
            continue
        module = importlib.import_module(found.name)
        yield found.name
        if found.ispkg:
            yield from below_ui(module)

names = list(below_ui(diffview))
print(json.dumps({"names": names, "loaded": sorted({m.split(".")[0] for m in sys.modules})}))
"""

RUN_MAIN = """
import json, sys
from diffview.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
print(json.dumps(sorted({m.split(".")[0] for m in sys.modules})))
"""


def last_line_of(code, *args):
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_importing_everything_below_the_ui_loads_no_qt():
    result = last_line_of(IMPORT_ALL_BELOW_UI)
    assert {"diffview.engine", "diffview.frames", "diffview.exporters"} <= set(result["names"])
    assert not QT & set(result["loaded"])


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_version_and_help_load_neither_torch_nor_qt(option):
    assert not (QT | {"torch", "numpy"}) & set(last_line_of(RUN_MAIN, option))


def test_importing_the_package_loads_neither_torch_nor_qt():
    code = "import diffview, json, sys; print(json.dumps([m.split('.')[0] for m in sys.modules]))"
    assert not (QT | {"torch", "numpy"}) & set(last_line_of(code))


STARTS_THREADS = {"Thread", "QThread", "QThreadPool", "QRunnable", "ThreadPoolExecutor"}


def test_threads_are_started_in_three_places_alone():
    """The window's workers, the pool that writes files, and the look-up that may hang."""
    package = Path(diffview.__file__).parent
    found = set()
    for path in package.rglob("*.py"):
        tree = ast.walk(ast.parse(path.read_text("utf-8")))
        names = {getattr(node, "attr", None) or getattr(node, "id", None) for node in tree}
        if names & STARTS_THREADS:
            found.add(path.relative_to(package).as_posix())
    assert found == {"ui/workers.py", "exporters/pool.py", "models/hf/resolving.py"}
