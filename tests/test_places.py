"""A person's folders: where they are, and that none is made up where there is no home."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from diffview import places
from diffview.errors import InputError

posix = pytest.mark.skipif(sys.platform == "win32", reason="HOME is POSIX's")
XDG = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME")
NOBODY = """
import pwd
def unknown(uid):
    raise KeyError(uid)
pwd.getpwuid = unknown
"""


@pytest.fixture
def homeless(monkeypatch):
    """No HOME, and the system does not know this user."""
    for name in ("HOME", *XDG):
        monkeypatch.delenv(name, raising=False)
    import pwd

    def unknown(uid):
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)


@posix
def test_without_a_home_there_is_no_folder_of_ones_own(homeless):
    assert places.home() is None
    assert [places.folder(kind) for kind in places.KINDS] == [None] * 4
    with pytest.raises(InputError, match="names a home that is not there"):
        places.expanded("~/run.dvsession")
    assert places.expanded("/tmp/run.dvsession") == Path("/tmp/run.dvsession")


@posix
def test_an_empty_home_is_none(monkeypatch):
    for name in XDG:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "")
    assert places.home() is None
    assert all(found is None or found.is_absolute() for found in map(places.folder, places.KINDS))
    with pytest.raises(InputError, match="names a home that is not there"):
        places.expanded("~/run.dvsession")


@posix
def test_with_a_home_they_lie_in_it(monkeypatch, tmp_path):
    for name in XDG:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert places.home() == tmp_path
    assert all(tmp_path in places.folder(kind).parents for kind in places.KINDS)
    assert places.expanded("~/a") == tmp_path / "a"


def test_a_file_in_place_of_a_folder_cannot_be_written_in(tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert places.writable(tmp_path / "new" / "deep")
    assert not places.writable(tmp_path / "file" / "deep")


@posix
@pytest.mark.parametrize("words", [["info"], ["models"]])
def test_the_command_line_works_without_a_home_and_makes_no_folder(tmp_path, words):
    code = f"{NOBODY}\nimport sys\nfrom diffview.cli import main\nsys.exit(main({words!r}))"
    env = {name: value for name, value in os.environ.items() if name not in ("HOME", *XDG)}
    env["PYTHONPATH"] = str(Path(places.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())
