"""Models opened last, and hashes that are kept: both survive damage, neither is ever needed."""

import os

import pytest

from diffview import places, tensorfile
from diffview.models import catalog, hashes, recent, sampling


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "folder", lambda kind: tmp_path / kind)
    return tmp_path


def test_an_opened_file_is_remembered_and_found_by_its_hash(model_file):
    path = model_file()
    entry = catalog.find(str(path))
    assert catalog.recent() == () and catalog.by_hash(entry.card.weights_sha256) is None
    sampling.open_model(entry, "cpu")
    assert [found.path for found in catalog.recent()] == [path]
    assert catalog.by_hash(entry.card.weights_sha256).path == path


def test_the_newest_is_first_and_old_ones_are_forgotten(tmp_path):
    files = [tmp_path / f"{k}.safetensors" for k in range(recent.MOST + 2)]
    for file in files:
        file.write_bytes(b"")
        recent.remember(file)
    recent.remember(files[5])
    found = recent.paths()
    assert (found[0], found[1], len(found)) == (files[5], files[-1], recent.MOST)


def test_what_is_gone_is_left_out(tmp_path):
    recent.remember(tmp_path / "gone.safetensors")
    assert recent.paths() == ()


@pytest.mark.parametrize("text", ["", "{}", "[1, null]", "[" * 100_000, '["a\\u0000b"]'])
def test_a_damaged_note_is_an_empty_one(folders, text):
    (folders / "data").mkdir()
    (folders / "data" / recent.FILE).write_text(text)
    assert recent.paths() == ()
    recent.remember(folders)
    assert recent.paths() == (folders,)


def test_without_a_home_nothing_is_remembered(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "folder", lambda kind: None)
    recent.remember(tmp_path)
    assert recent.paths() == ()


def test_a_large_file_is_hashed_once_until_it_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(hashes, "SMALL", 10)
    file = tmp_path / "weights"
    file.write_bytes(b"a" * 20)
    first = hashes.sha256(file)
    assert first == tensorfile.sha256(file)
    with monkeypatch.context() as patch:
        patch.setattr(tensorfile, "sha256", lambda path: pytest.fail("hashed again"))
        assert hashes.sha256(file) == first
    file.write_bytes(b"b" * 20)
    os.utime(file, ns=(1, 1))
    assert hashes.sha256(file) == tensorfile.sha256(file) != first


@pytest.mark.parametrize("text", ["", "[]", "{", '{"x": 3}'])
def test_damaged_hashes_are_made_anew(tmp_path, monkeypatch, text):
    monkeypatch.setattr(hashes, "SMALL", 0)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / hashes.FILE).write_text(text)
    file = tmp_path / "weights"
    file.write_bytes(b"a")
    assert hashes.sha256(file) == tensorfile.sha256(file)
