"""A file appears whole or not at all, and the old one stays until then."""

import errno
import os

import pytest

from diffview.atomic import PARTIAL, replacing


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_appears_under_its_name_when_the_writing_has_ended(tmp_path):
    path = tmp_path / "new.bin"
    with replacing(path) as partial:
        partial.write_bytes(b"whole")
        assert names(tmp_path) == ["new.bin" + PARTIAL]
    assert path.read_bytes() == b"whole"
    assert names(tmp_path) == ["new.bin"]


def test_the_old_file_stays_readable_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    with replacing(path) as partial:
        partial.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left"), ValueError("odd"), KeyboardInterrupt()]
)
def test_an_error_while_writing_leaves_the_old_file_and_no_partial(tmp_path, error):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    with pytest.raises(type(error)), replacing(path) as partial:
        partial.write_bytes(b"ha")
        raise error
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file.bin"]


def test_an_error_without_an_old_file_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="odd"), replacing(tmp_path / "file.bin") as partial:
        partial.write_bytes(b"ha")
        raise ValueError("odd")
    assert names(tmp_path) == []


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_fails_at_the_end_leaves_the_old_file_and_no_partial(
    tmp_path, monkeypatch, call
):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space left"), replacing(path) as partial:
        partial.write_bytes(b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file.bin"]


def test_writing_nothing_is_an_error_and_keeps_the_old_file(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    with pytest.raises(FileNotFoundError), replacing(path):
        pass
    assert path.read_bytes() == b"old"


def test_the_new_file_is_on_the_disk_before_it_takes_the_name(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("fsync"), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("replace"), replace(a, b)))
    with replacing(tmp_path / "file.bin") as partial:
        partial.write_bytes(b"new")
    assert calls == ["fsync", "replace"]


def test_a_partial_left_by_a_killed_process_is_written_over(tmp_path):
    path = tmp_path / "file.bin"
    (tmp_path / ("file.bin" + PARTIAL)).write_bytes(b"half of something much longer")
    with replacing(path) as partial:
        partial.write_bytes(b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["file.bin"]


def test_a_missing_folder_is_reported_as_such(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "no" / "file.bin") as partial:
        partial.write_bytes(b"new")


def test_what_is_no_file_is_never_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="is no file"), replacing(pipe):
        raise AssertionError("nothing is written")
    assert pipe.is_fifo() and names(tmp_path) == ["pipe"]
