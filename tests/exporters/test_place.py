"""Names that every system takes, and folders that appear whole or not at all."""

import os
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffview.errors import InputError
from diffview.exporters import place


@pytest.mark.parametrize(
    ("proposed", "expected"),
    [
        ("Sneaker γ=3", "Sneaker γ=3"),
        ("猫 ☃", "猫 ☃"),
        ("a/b\\c:d", "a_b_c_d"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("con", "_con"),
        ("NUL.txt", "_NUL.txt"),
        ("com¹", "_com¹"),
        ("console", "console"),
        ("report. . .", "report"),
        ("gnp\u202eexe.png", "gnpexe.png"),
        ("two\nlines\tand\x00\x07", "two lines and"),
        ("-rf", "rf"),
        ("...", "export"),
        ("", "export"),
        ('<>:"/\\|?*', "_"),
    ],
)
def test_proposed_names_become_ones_that_every_system_takes(proposed, expected):
    assert place.safe_name(proposed) == expected


@given(st.text(st.characters(codec="utf-8"), max_size=300))
def test_any_text_becomes_a_usable_name(text):
    name = place.safe_name(text)
    assert name and len(name.encode()) <= 121
    assert not set(name) & set('<>:"/\\|?*\0')
    assert not any(unicodedata.category(c) in ("Cc", "Cf") for c in name)
    assert name[-1] not in " ." and name[0] not in " .-"
    assert place.safe_name(name) == name


def test_long_names_are_cut_between_characters():
    name = place.safe_name("ä" * 200)
    assert name == "ä" * 60


def test_names_too_long_for_the_file_system_are_refused_before_anything_is_written(tmp_path):
    place.check_name(tmp_path / ("x" * 246))
    with pytest.raises(InputError, match="1 bytes too long: shorten it"):
        place.check_name(tmp_path / ("x" * 247))
    with pytest.raises(InputError, match="bytes too long"):
        place.check_name(tmp_path / ("ä" * 128))


@pytest.mark.parametrize("name", ["con", "a:b", "end.", "what?", "LPT1.gif"])
def test_names_that_windows_reserves_are_refused_there_with_a_better_one(tmp_path, name):
    with pytest.raises(InputError, match=r"Windows takes no name such as .*: try"):
        place.check_name(tmp_path / name, windows=True)
    place.check_name(tmp_path / name, windows=False)


def test_a_name_with_a_nul_is_refused(tmp_path):
    with pytest.raises(InputError, match="not a name that can be written to"):
        place.check_name(tmp_path / "a\0b")


def staged(folder, overwrite=False):
    return place.staged(folder, lambda name: name.startswith("ours"), overwrite=overwrite)


def test_the_folder_appears_when_whole_and_not_before(tmp_path):
    out = tmp_path / "new" / "deep" / "out"
    with staged(out) as partial:
        (partial / "ours").write_text("x")
        assert not out.exists() and partial.name == "out.partial"
    assert os.listdir(out) == ["ours"] and os.listdir(out.parent) == ["out"]


def test_an_error_leaves_neither_folder_nor_the_parents_made_for_it(tmp_path):
    with pytest.raises(KeyError), staged(tmp_path / "new" / "deep" / "out") as partial:
        (partial / "ours").write_text("x")
        raise KeyError
    assert not list(tmp_path.iterdir())


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "out").mkdir()
    with staged(tmp_path / "out") as partial:
        (partial / "ours").write_text("x")
    assert os.listdir(tmp_path) == ["out"]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "out").write_text("precious")
    with (
        pytest.raises(InputError, match="is a file, not a folder: choose another name"),
        staged(tmp_path / "out"),
    ):
        pass
    assert (tmp_path / "out").read_text() == "precious"


def test_a_file_in_place_of_a_parent_is_refused(tmp_path):
    (tmp_path / "file").write_text("precious")
    with pytest.raises(InputError, match="cannot be written"), staged(tmp_path / "file" / "out"):
        pass


def test_a_place_that_the_system_refuses_is_named(tmp_path, monkeypatch):
    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    with (
        pytest.raises(InputError, match="out cannot be written: Permission denied; choose"),
        staged(tmp_path / "out"),
    ):
        pass


def test_somebody_elses_partial_is_not_touched(tmp_path):
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / "thesis.tex").write_text("precious")
    with pytest.raises(InputError, match="in the way and was not left by an export"):
        staged(tmp_path / "out").__enter__()
    assert (tmp_path / "out.partial" / "thesis.tex").read_text() == "precious"


def test_a_link_is_followed_to_the_folder_it_names(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert place.located(tmp_path / "link") == tmp_path / "real"
    assert place.located(tmp_path / "real" / "..") == tmp_path


def test_a_rename_that_fails_brings_the_older_folder_back(tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "recipe.json").write_text('{"diffview": "0.1.0", "recipe": 1}')
    rename = type(tmp_path).rename

    def failing(self, target):
        if self.name == "out.partial":
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr("pathlib.Path.rename", failing)
    entered = place.staged(tmp_path / "out", lambda name: True, overwrite=True)
    with pytest.raises(OSError, match="Input/output error"), entered:
        pass
    assert os.listdir(tmp_path) == ["out"]
    assert os.listdir(tmp_path / "out") == ["recipe.json"]
