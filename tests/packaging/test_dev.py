"""packaging/dev.py decides rightly: what to install, what to say, where to show the window."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOP_LEVEL = {"diffview", "resources", "tests", "packaging", "pyproject.toml", "README.md"}


def load_dev():
    spec = importlib.util.spec_from_file_location("dev", ROOT / "packaging" / "dev.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def dev(tmp_path, monkeypatch):
    """The module with its environment moved to an empty folder."""
    module = load_dev()
    venv = tmp_path / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "pyvenv.cfg").write_text("version = 3.11.2")
    for name, path in {
        "ROOT": tmp_path,
        "VENV": venv,
        "PYTHON": venv / "bin" / "python",
        "STAMP": venv / "diffview-setup.json",
        "PYPROJECT": tmp_path / "pyproject.toml",
        "CONSTRAINTS": tmp_path / "constraints-cpu.txt",
    }.items():
        monkeypatch.setattr(module, name, path)
    module.PYTHON.touch()
    module.PYPROJECT.write_text("[project]")
    module.CONSTRAINTS.write_text("# a comment\ntorch==2.13.0+cpu; sys_platform == 'linux'\n")
    return module


def debian_like(dev, monkeypatch, *, root=False, known=()):
    monkeypatch.setattr(dev, "is_debian_like", lambda: True)
    monkeypatch.setattr(dev, "is_root", lambda: root)
    monkeypatch.setattr(dev, "apt_knows", lambda package: package in known)


# ---------------------------------------------------------------- torch


def test_without_a_driver_torch_is_the_cpu_build_and_with_one_the_default_build(dev):
    assert dev.torch_choice(None, {}, lambda: False) == "cpu"
    assert dev.torch_choice(None, {}, lambda: True) == "cuda"


def test_what_was_asked_for_wins_over_the_driver_and_over_last_time(dev):
    assert dev.torch_choice("cpu", {"torch": "cuda"}, lambda: True) == "cpu"
    assert dev.torch_choice("cuda", {"torch": "cpu"}, lambda: False) == "cuda"
    assert dev.torch_choice("auto", {"torch": "skip"}, lambda: False) == "cpu"


def test_without_the_option_the_choice_of_last_time_stays(dev):
    assert dev.torch_choice(None, {"torch": "skip"}, lambda: True) == "skip"


def test_only_the_cpu_build_is_constrained(dev):
    assert dev.constraint_args("cpu") == ["--constraint", str(dev.CONSTRAINTS)]
    assert dev.constraint_args("cuda") == []
    assert dev.constraint_args("skip") == []


def test_the_constraints_file_pins_the_same_torch_for_every_platform(dev):
    lines = (ROOT / "packaging" / "constraints-cpu.txt").read_text().splitlines()
    pins = [line.split(";")[0] for line in lines if not line.startswith("#")]
    version = dev.cpu_torch_version("\n".join(lines))
    assert pins == [f"torch=={version}+cpu", f"torch=={version}"]


def test_where_pip_has_no_cpu_build_uv_is_asked_and_the_failure_says_what_was_tried(
    dev, monkeypatch
):
    commands = []
    monkeypatch.setattr(dev, "call", lambda command, **_: commands.append(command) or 1)
    monkeypatch.setattr(dev.sys, "platform", "linux")
    with pytest.raises(dev.Stop, match=r"--torch-backend=cpu torch==2\.13\.0"):
        dev.install_torch("cpu", [])
    assert commands == [
        dev.pip_install("torch>=2.10", *dev.constraint_args("cpu")),
        dev.pip_install("uv"),
    ]


def test_skipping_torch_where_there_is_none_says_how_to_install_it(dev, monkeypatch):
    monkeypatch.setattr(dev, "succeeds", lambda command: False)
    with pytest.raises(dev.Stop, match="pip install"):
        dev.install_torch("skip", [])


# ---------------------------------------------------------------- the stamp


def stamp(dev, extras=("dev", "video"), choice="cpu"):
    dev.write_stamp(dev.environment_key(choice), extras, choice)
    return dev.read_stamp()


def test_a_second_set_up_calls_nothing(dev, monkeypatch):
    stamp(dev)
    monkeypatch.setattr(dev, "has_nvidia_driver", lambda: False)
    monkeypatch.setattr(dev, "call", lambda *_, **__: pytest.fail("called a command"))
    monkeypatch.setattr(dev, "succeeds", lambda *_: pytest.fail("called a command"))
    dev.set_up(dev.FOR_TESTS, None)
    dev.set_up(dev.FOR_WINDOW, None)


def test_run_after_test_needs_no_set_up_and_test_after_run_does(dev):
    assert dev.is_current(stamp(dev, dev.FOR_TESTS), dev.FOR_WINDOW, "cpu")
    assert not dev.is_current(stamp(dev, dev.FOR_WINDOW), dev.FOR_TESTS, "cpu")


@pytest.mark.parametrize("name", ["PYPROJECT", "CONSTRAINTS"])
def test_a_changed_file_makes_the_stamp_stale(dev, name):
    before = stamp(dev)
    getattr(dev, name).write_text("changed")
    assert not dev.is_current(before, dev.FOR_TESTS, "cpu")


def test_another_torch_another_python_or_another_place_makes_the_stamp_stale(dev, tmp_path):
    before = stamp(dev)
    assert not dev.is_current(before, dev.FOR_TESTS, "cuda")
    (dev.VENV / "pyvenv.cfg").write_text("version = 3.12.1")
    assert not dev.is_current(before, dev.FOR_TESTS, "cpu")
    moved = stamp(dev)
    dev.ROOT = tmp_path / "elsewhere"
    assert not dev.is_current(moved, dev.FOR_TESTS, "cpu")


def test_an_interrupted_set_up_is_not_current_but_keeps_its_choices(dev):
    dev.write_stamp("", dev.FOR_TESTS, "skip")
    assert not dev.is_current(dev.read_stamp(), dev.FOR_WINDOW, "skip")
    assert dev.torch_choice(None, dev.read_stamp(), lambda: False) == "skip"


def test_a_damaged_stamp_counts_as_none(dev):
    dev.STAMP.write_text("{half")
    assert dev.read_stamp() == {}


# ---------------------------------------------------------------- system packages


def test_a_person_who_is_not_root_gets_one_exact_line(dev, monkeypatch):
    debian_like(dev, monkeypatch, known={"libgl1", "libglib2.0-0t64"})
    with pytest.raises(dev.Stop) as stopped:
        dev.provide_packages(["libgl1", "libglib2.0-0t64|libglib2.0-0"], "Qt needs these")
    assert str(stopped.value).splitlines()[-1].strip() == (
        "sudo apt-get update && sudo apt-get install -y --no-install-recommends "
        "libgl1 libglib2.0-0t64"
    )


def test_root_on_debian_gets_the_packages_installed_after_an_update(dev, monkeypatch):
    debian_like(dev, monkeypatch, root=True, known={"libgl1"})
    commands = []
    monkeypatch.setattr(dev, "call", lambda command, **_: commands.append(command) or 0)
    dev.provide_packages(["libgl1"], "Qt needs it")
    assert [command[:2] for command in commands] == [
        ["apt-get", "update"],
        ["apt-get", "install"],
    ]
    assert commands[1][-1] == "libgl1"


def test_elsewhere_the_missing_names_are_told(dev, monkeypatch):
    monkeypatch.setattr(dev, "is_debian_like", lambda: False)
    with pytest.raises(dev.Stop, match=r"libGL\.so\.1"):
        dev.provide_packages(["libgl1"], "Qt's window needs libGL.so.1")


def test_the_name_that_the_release_has_is_picked_and_the_old_one_if_unsure(dev):
    both = "libglib2.0-0t64|libglib2.0-0"
    assert dev.pick_package(both, {"libglib2.0-0t64", "libglib2.0-0"}.__contains__) == (
        "libglib2.0-0t64"
    )
    assert dev.pick_package(both, {"libglib2.0-0"}.__contains__) == "libglib2.0-0"
    assert dev.pick_package(both, set().__contains__) == "libglib2.0-0"


def test_only_libraries_that_do_not_load_are_missing(dev):
    def load(name):
        if name == "libGL.so.1":
            raise OSError(name)

    assert dev.missing_libraries(dev.QT_LIBRARIES, load) == ["libGL.so.1"]


def test_a_font_is_found_in_any_folder_and_missed_in_empty_ones(dev, tmp_path):
    (tmp_path / "empty").mkdir()
    assert not dev.has_font([str(tmp_path / "empty"), str(tmp_path / "absent")])
    (tmp_path / "fonts" / "truetype").mkdir(parents=True)
    (tmp_path / "fonts" / "truetype" / "some.ttf").touch()
    assert dev.has_font([str(tmp_path / "empty"), str(tmp_path / "fonts")])


def test_a_python_without_pip_asks_for_the_package_of_its_own_version(dev, monkeypatch):
    minor = sys.version_info.minor
    debian_like(dev, monkeypatch, known={f"python3.{minor}-venv", "python3-venv"})
    dev.PYTHON.unlink()
    monkeypatch.setattr(dev, "has_ensurepip", lambda: False)
    with pytest.raises(dev.Stop, match=rf"install .* python3\.{minor}-venv$"):
        dev.provide_venv()


# ---------------------------------------------------------------- run and test


@pytest.mark.parametrize(
    ("platform", "environ", "expected"),
    [
        ("linux", {}, False),
        ("linux", {"DISPLAY": ""}, False),
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("darwin", {}, True),
        ("win32", {}, True),
    ],
)
def test_a_window_opens_where_there_is_a_display(dev, platform, environ, expected):
    assert dev.has_display(platform, environ) is expected


def test_without_a_display_the_main_job_is_rendered_into_a_fresh_folder(dev, monkeypatch, capsys):
    commands = []
    monkeypatch.setattr(dev, "provide_qt_libraries", lambda: None)
    monkeypatch.setattr(dev, "call", lambda command, **_: commands.append(command) or 0)
    (dev.ROOT / "diffview-demo").mkdir()
    assert dev.run_headless() == 0
    assert commands == [
        [dev.PYTHON, "-m", "diffview", *dev.DEMO, "--out", dev.ROOT / "diffview-demo-2"]
    ]
    assert "no display" in capsys.readouterr().out


def test_arguments_after_two_dashes_are_the_windows(dev, monkeypatch):
    seen = []
    monkeypatch.setattr(dev, "run", lambda torch, args: seen.append((torch, args)) or 0)
    dev.main(["run", "--torch", "cpu", "--", "some.dvsession", "--verbose"])
    assert seen == [("cpu", ["some.dvsession", "--verbose"])]


def test_other_arguments_of_test_go_to_pytest(dev, monkeypatch):
    seen = []
    monkeypatch.setattr(dev, "test", lambda torch, only, args: seen.append((only, args)) or 0)
    dev.main(["test", "--only", "ruff,pytest", "-k", "wheel", "tests/packaging", "-x"])
    assert seen == [(("ruff", "pytest"), ["-k", "wheel", "tests/packaging", "-x"])]


def test_every_check_runs_though_one_fails_and_the_summary_names_it(dev, monkeypatch, capsys):
    ran = []

    def call(command, **_):
        ran.append(command[1:])
        return 1 if "mypy" in command else 0

    monkeypatch.setattr(dev, "call", call)
    checks = {name: args for name, (_, args) in dev.CHECKS.items()}
    assert dev.report(dev.run_checks(checks, {})) == 1
    assert ran == list(checks.values())
    assert list(checks)[-1] == "pytest"
    assert "ruff check ok, ruff format ok, mypy FAILED" in capsys.readouterr().out


def test_an_interrupt_is_130_and_a_stop_is_2(dev, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    def stopped(*_):
        raise dev.Stop("type this")

    monkeypatch.setattr(dev, "set_up", interrupted)
    assert dev.main(["setup"]) == 130
    monkeypatch.setattr(dev, "set_up", stopped)
    assert dev.main(["setup"]) == 2
    assert "type this" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("returned", "expected"), [(0, 0), (1, 1), (2, 2), (130, 130), (-2, 130), (-9, 1), (139, 1)]
)
def test_a_childs_return_code_becomes_one_of_ours(dev, returned, expected):
    assert dev.exit_code(returned) == expected


def test_the_tests_folders_are_private_and_gone_afterwards(dev):
    with dev.private_folders() as folders:
        paths = [Path(path) for path in folders.values()]
        assert all(path.stat().st_mode & 0o777 == 0o700 for path in paths)
        assert all(Path.home() not in path.parents for path in paths)
    assert not any(path.exists() for path in paths)


def test_without_xvfb_the_tests_run_offscreen_and_say_so(dev, monkeypatch, capsys):
    monkeypatch.setattr(dev.sys, "platform", "linux")
    monkeypatch.setattr(dev.shutil, "which", lambda _: None)
    monkeypatch.delenv("DISPLAY", raising=False)
    with dev.x_display() as variables:
        assert variables == {"QT_QPA_PLATFORM": "offscreen"}
    assert "offscreen" in capsys.readouterr().out


# ---------------------------------------------------------------- the repository


def test_the_top_level_holds_only_what_it_should():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: the tracked files cannot be listed")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    top = {name.split("/")[0] for name in listed.stdout.split("\0") if name}
    assert {name for name in top if not name.startswith(".")} <= TOP_LEVEL


def test_ci_runs_the_tests_and_can_be_executed():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().rstrip().endswith("exec python3 packaging/dev.py test")
