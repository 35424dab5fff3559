"""What every command shares: dispatch, one-line errors, exit codes."""

import importlib
import subprocess
import sys

import pytest

import diffview
from diffview.cli import COMMANDS, main, models
from diffview.cli.arguments import Parser
from diffview.engine import samplers
from diffview.engine.spec import declared_options


def test_version_is_the_packages_own(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"diffview {diffview.__version__}\n"


def test_python_dash_m_is_the_same_program():
    command = [sys.executable, "-m", "diffview", "--version"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"diffview {diffview.__version__}\n")


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(f"  {name} " in told for name in COMMANDS)


@pytest.mark.parametrize("command", ["gui", "models", "sample", "export", "verify", "info"])
def test_every_command_has_help(command, capsys):
    assert main([command, "--help"]) == 0
    assert f"usage: diffview {command}" in capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_an_empty_value_is_refused_by_whatever_takes_one_but_a_prompt(command, capsys):
    module = importlib.import_module(f"diffview.cli.{command}")
    parser = Parser(prog=command)
    module.add_arguments(parser)
    for action in parser._actions:
        flag = action.option_strings[:1]
        if action.nargs == 0 or flag in (["--prompt"], ["--negative-prompt"]):
            continue
        assert main([command, *flag, ""]) == 2
        assert f"argument {'/'.join(flag) or action.metavar}: " in capsys.readouterr().err


def test_the_help_of_sample_tells_where_each_option_and_sampler_comes_from(capsys):
    assert main(["sample", "--help"]) == 0
    told = capsys.readouterr().out
    for name, info in (samplers.every() | samplers.by_token()).items():
        assert f"  {name}: {info.source}\n" in told
        for option in declared_options(name).values():
            assert f"      {option.help}\n      {option.source}\n" in told


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sampel"], "did you mean 'sample'"),
        (["qqqq"], "commands are gui, models, fetch, convert"),
        (["--verison"], "did you mean '--version'"),
        (["runs/missing.dvsession"], "no such file"),
        (["sample", "--stpes", "3"], "did you mean --steps"),
        (["export"], "SESSION"),
        (["models", "--jsno"], "did you mean --json"),
    ],
)
def test_a_mistyped_word_is_refused_with_the_nearest_one(words, said, capsys):
    assert main(words) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.startswith("diffview: error: ")
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.fixture
def broken_models(monkeypatch):
    def fail(args):
        raise KeyError("some\nthing")

    monkeypatch.setattr(models, "run", fail)


def test_an_unexpected_error_is_one_line_and_exit_code_1(broken_models, capsys):
    assert main(["models"]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "unexpected KeyError" in told
    assert "DIFFVIEW_DEBUG=1" in told


def test_the_debug_variable_shows_where_an_error_came_from(broken_models, capsys, monkeypatch):
    monkeypatch.setenv("DIFFVIEW_DEBUG", "1")
    assert main(["models"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_greek_letters_do_not_stop_a_terminal_that_lacks_them(tiny):
    words = ["sample", "--model", tiny, "--label", "0", "--guidance", "nan", "--out", "x"]
    done = subprocess.run(
        [sys.executable, "-m", "diffview", *words],
        capture_output=True,
        env={"PYTHONIOENCODING": "ascii:strict", "PATH": ""},
    )
    assert done.returncode == 2
    assert done.stderr.startswith(b"diffview: error: guidance ? = nan cannot be used")


def without_display(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("words", [[], ["gui"]])
def test_without_a_display_the_window_is_refused_and_the_way_out_named(words, capsys, monkeypatch):
    without_display(monkeypatch)
    assert main(words) == 2
    told = capsys.readouterr().err
    assert "no display" in told
    assert "diffview sample" in told


def test_an_existing_file_is_opened_in_the_window(tiny, capsys, monkeypatch):
    without_display(monkeypatch)
    assert main([tiny]) == 2
    assert "no display" in capsys.readouterr().err


def test_a_missing_file_is_refused_before_a_window_is_tried(capsys):
    assert main(["gui", "missing.dvsession"]) == 2
    assert "missing.dvsession is not there" in capsys.readouterr().err
