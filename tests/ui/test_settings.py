"""Settings: damaged files are kept, unknown keys stay, several windows lose nothing."""

import json
import subprocess
import sys

import pytest

from diffview.ui.settings import Settings

DAMAGED = {
    "cut short": b'{"theme": "dark"',
    "not JSON": b"theme=dark",
    "another encoding": '{"theme": "grün"}'.encode("latin-1"),
    "a list": b'["theme", "dark"]',
    "a number": b"3",
    "empty": b"",
    "zeros after a power cut": b"\0" * 512,
    "nested too deep": b"[" * 200_000,
    "a number of 5,000 digits": b'{"fps": ' + b"9" * 5000 + b"}",
}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "config" / "settings.json"


def written(file, values):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(values))


def test_what_is_saved_is_there_at_the_next_launch(file):
    Settings(file).save(theme="dark", fps=24)
    assert (Settings(file).get("theme", ""), Settings(file).get("fps", 0)) == ("dark", 24)
    assert Settings(file).trouble == ""


def test_no_file_yet_is_no_trouble(file):
    settings = Settings(file)
    assert (settings.get("theme", "system"), settings.trouble) == ("system", "")


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_kept_aside_and_defaults_are_used(file, content):
    file.parent.mkdir()
    file.write_bytes(content)
    settings = Settings(file)
    assert settings.get("theme", "system") == "system"
    assert (file.parent / "settings.json.bad").read_bytes() == content
    assert "damaged" in settings.trouble and "settings.json.bad" in settings.trouble
    settings.save(theme="light")
    assert Settings(file).get("theme", "") == "light"


def test_a_value_of_another_type_than_expected_is_the_default(file):
    written(file, {"fps": "fast", "theme": 7, "choices": [], "budget_mb": None, "loop": 1.5})
    settings = Settings(file)
    assert settings.get("fps", 12) == 12
    assert settings.get("theme", "system") == "system"
    assert settings.get("choices", {}) == {}
    assert settings.get("budget_mb", 64) == 64
    assert settings.get("loop", 0) == 0


def test_yes_is_not_a_number(file):
    written(file, {"budget_mb": True, "autorun": 1})
    assert Settings(file).get("budget_mb", 2048) == 2048
    assert Settings(file).get("autorun", False) is False


def test_keys_of_a_newer_version_stay(file):
    written(file, {"theme": "dark", "hologram": {"depth": 3}})
    Settings(file).save(theme="light")
    assert json.loads(file.read_text()) == {"theme": "light", "hologram": {"depth": 3}}


def test_two_windows_keep_each_others_keys(file):
    one, other = Settings(file), Settings(file)
    one.save(theme="dark")
    other.save(fps=30)
    assert json.loads(file.read_text()) == {"theme": "dark", "fps": 30}


@pytest.mark.parametrize(
    "place", ["a file in place of the folder", "a folder in place of the file"]
)
def test_where_nothing_can_be_written_settings_live_in_memory_and_say_so(tmp_path, place):
    file = tmp_path / "config" / "settings.json"
    if place.startswith("a file"):
        file.parent.write_text("in the way")
    else:
        file.mkdir(parents=True)
    settings = Settings(file)
    settings.save(theme="dark")
    assert settings.get("theme", "") == "dark"
    assert "cannot be" in settings.trouble and str(file) in settings.trouble


def test_without_a_home_settings_live_in_memory_and_say_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings(None)
    settings.save(theme="dark")
    assert settings.get("theme", "") == "dark"
    assert "no home folder" in settings.trouble
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_told_at_once_and_not_only_when_something_is_lost(
    tmp_path,
):
    (tmp_path / "config").write_text("in the way")
    settings = Settings(tmp_path / "config" / "settings.json")
    assert "cannot be saved" in settings.trouble and "until the window closes" in settings.trouble


def test_a_file_that_cannot_be_read_now_is_not_written_over(file, monkeypatch):
    written(file, {"hologram": 1})
    settings = Settings(file)

    def refuse(*args, **kwargs):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(type(file), "read_text", refuse)
        settings.save(theme="dark")
    assert json.loads(file.read_text()) == {"hologram": 1}
    assert "Input/output error" in settings.trouble


WRITER = """
import sys
from pathlib import Path
from diffview.ui.settings import Settings
settings = Settings(Path(sys.argv[1]))
for k in range(50):
    settings.save(**{f"{sys.argv[2]}_{k}": k})
print(settings.trouble)
"""


def test_three_windows_that_write_at_once_lose_nothing(file):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(file), name],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for name in "abc"
    ]  # fmt: skip
    said = [writer.communicate(timeout=100) for writer in writers]
    assert said == [("\n", "")] * 3
    kept = json.loads(file.read_text())
    assert kept == {f"{name}_{k}": k for name in "abc" for k in range(50)}
