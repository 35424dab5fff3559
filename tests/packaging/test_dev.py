"""packaging/dev.py decides rightly: what to install, what to say, where to show the window."""

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOP_LEVEL = {"diffview", "resources", "tests", "packaging", "pyproject.toml", "README.md"}


@pytest.fixture
def dev(tmp_path, monkeypatch):
    """The script with its environment moved to an empty folder."""
    monkeypatch.syspath_prepend(str(ROOT / "packaging"))
    module = importlib.import_module("dev")
    places = module.places
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
        monkeypatch.setattr(places, name, path)
    places.PYTHON.touch()
    places.PYPROJECT.write_text("[project]")
    places.CONSTRAINTS.write_text("# a comment\ntorch==2.13.0+cpu; sys_platform == 'linux'\n")
    return module


@pytest.fixture
def environment(dev):
    return dev.environment


@pytest.fixture
def places(dev):
    return dev.places


@pytest.fixture
def processes(dev):
    return dev.processes


@pytest.fixture
def screen(dev):
    return dev.screen


@pytest.fixture
def system(dev):
    return dev.system


def debian_like(system, monkeypatch, *, root=False, known=()):
    monkeypatch.setattr(system, "is_debian_like", lambda: True)
    monkeypatch.setattr(system, "is_root", lambda: root)
    monkeypatch.setattr(system, "apt_knows", lambda package: package in known)


# ---------------------------------------------------------------- torch


def test_without_a_driver_torch_is_the_cpu_build_and_with_one_the_default_build(environment):
    assert environment.torch_choice(None, {}, lambda: False) == "cpu"
    assert environment.torch_choice(None, {}, lambda: True) == "cuda"


def test_what_was_asked_for_wins_over_the_driver_and_over_last_time(environment):
    assert environment.torch_choice("cpu", {"torch": "cuda"}, lambda: True) == "cpu"
    assert environment.torch_choice("cuda", {"torch": "cpu"}, lambda: False) == "cuda"
    assert environment.torch_choice("auto", {"torch": "skip"}, lambda: False) == "cpu"


def test_without_the_option_the_choice_of_last_time_stays(environment):
    assert environment.torch_choice(None, {"torch": "skip"}, lambda: True) == "skip"


def test_only_the_cpu_build_is_constrained(environment, places):
    assert environment.constraint_args("cpu") == ["--constraint", str(places.CONSTRAINTS)]
    assert environment.constraint_args("cuda") == []
    assert environment.constraint_args("skip") == []


def test_the_constraints_file_pins_the_same_torch_for_every_platform(environment):
    lines = (ROOT / "packaging" / "constraints-cpu.txt").read_text().splitlines()
    pins = [line.split(";")[0] for line in lines if not line.startswith("#")]
    version = environment.cpu_torch_version("\n".join(lines))
    assert pins == [f"torch=={version}+cpu", f"torch=={version}"]


def test_where_pip_has_no_cpu_build_uv_is_asked_and_the_failure_says_what_was_tried(
    environment, processes, monkeypatch
):
    commands = []
    monkeypatch.setattr(processes, "call", lambda command, **_: commands.append(command) or 1)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(processes.Stop, match=r"--torch-backend=cpu torch==2\.13\.0"):
        environment.install_torch("cpu")
    assert commands == [
        environment.pip_install("torch>=2.10", *environment.constraint_args("cpu")),
        environment.pip_install("uv"),
    ]


def test_skipping_torch_where_there_is_none_says_how_to_install_it(
    environment, processes, monkeypatch
):
    monkeypatch.setattr(processes, "succeeds", lambda command: False)
    with pytest.raises(processes.Stop, match="pip install"):
        environment.install_torch("skip")


# ---------------------------------------------------------------- the stamp


def stamp(environment, extras=("dev", "video"), choice="cpu"):
    environment.write_stamp(environment.environment_key(choice), extras, choice)
    return environment.read_stamp()


def test_a_second_set_up_calls_nothing(environment, processes, monkeypatch):
    stamp(environment)
    monkeypatch.setattr(environment, "has_nvidia_driver", lambda: False)
    monkeypatch.setattr(processes, "call", lambda *_, **__: pytest.fail("called a command"))
    monkeypatch.setattr(processes, "succeeds", lambda *_: pytest.fail("called a command"))
    environment.set_up(environment.FOR_TESTS, None)
    environment.set_up(environment.FOR_WINDOW, None)


def test_run_after_test_needs_no_set_up_and_test_after_run_does(environment):
    assert environment.is_current(
        stamp(environment, environment.FOR_TESTS), environment.FOR_WINDOW, "cpu"
    )
    assert not environment.is_current(
        stamp(environment, environment.FOR_WINDOW), environment.FOR_TESTS, "cpu"
    )


@pytest.mark.parametrize("name", ["PYPROJECT", "CONSTRAINTS"])
def test_a_changed_file_makes_the_stamp_stale(environment, places, name):
    before = stamp(environment)
    getattr(places, name).write_text("changed")
    assert not environment.is_current(before, environment.FOR_TESTS, "cpu")


def test_another_torch_another_python_or_another_place_makes_the_stamp_stale(
    environment, places, tmp_path
):
    before = stamp(environment)
    assert not environment.is_current(before, environment.FOR_TESTS, "cuda")
    (places.VENV / "pyvenv.cfg").write_text("version = 3.12.1")
    assert not environment.is_current(before, environment.FOR_TESTS, "cpu")
    moved = stamp(environment)
    places.ROOT = tmp_path / "elsewhere"
    assert not environment.is_current(moved, environment.FOR_TESTS, "cpu")


def test_an_interrupted_set_up_is_not_current_but_keeps_its_choices(environment):
    environment.write_stamp("", environment.FOR_TESTS, "skip")
    assert not environment.is_current(environment.read_stamp(), environment.FOR_WINDOW, "skip")
    assert environment.torch_choice(None, environment.read_stamp(), lambda: False) == "skip"


def test_a_damaged_stamp_counts_as_none(environment, places, system):
    places.STAMP.write_text("{half")
    assert environment.read_stamp() == {}


# ---------------------------------------------------------------- system packages


def test_a_person_who_is_not_root_gets_one_exact_line(processes, system, monkeypatch):
    debian_like(system, monkeypatch, known={"libgl1", "libglib2.0-0t64"})
    with pytest.raises(processes.Stop) as stopped:
        system.provide_packages(["libgl1", "libglib2.0-0t64|libglib2.0-0"], "Qt needs these")
    assert str(stopped.value).splitlines()[-1].strip() == (
        "sudo apt-get update && sudo apt-get install -y --no-install-recommends "
        "libgl1 libglib2.0-0t64"
    )


def test_root_on_debian_gets_the_packages_installed_after_an_update(
    processes, system, monkeypatch
):
    debian_like(system, monkeypatch, root=True, known={"libgl1"})
    commands = []
    monkeypatch.setattr(processes, "call", lambda command, **_: commands.append(command) or 0)
    system.provide_packages(["libgl1"], "Qt needs it")
    assert [command[:2] for command in commands] == [
        ["apt-get", "update"],
        ["apt-get", "install"],
    ]
    assert commands[1][-1] == "libgl1"


def test_elsewhere_the_missing_names_are_told(processes, system, monkeypatch):
    monkeypatch.setattr(system, "is_debian_like", lambda: False)
    with pytest.raises(processes.Stop, match=r"libGL\.so\.1"):
        system.provide_packages(["libgl1"], "Qt's window needs libGL.so.1")


def test_the_name_that_the_release_has_is_picked_and_the_old_one_if_unsure(system):
    both = "libglib2.0-0t64|libglib2.0-0"
    assert system.pick_package(both, {"libglib2.0-0t64", "libglib2.0-0"}.__contains__) == (
        "libglib2.0-0t64"
    )
    assert system.pick_package(both, {"libglib2.0-0"}.__contains__) == "libglib2.0-0"
    assert system.pick_package(both, set().__contains__) == "libglib2.0-0"


def test_only_libraries_that_do_not_load_are_missing(system):
    def load(name):
        if name == "libGL.so.1":
            raise OSError(name)

    assert system.missing_libraries(system.QT_LIBRARIES, load) == ["libGL.so.1"]


def test_a_font_is_found_in_any_folder_and_missed_in_empty_ones(system, tmp_path):
    (tmp_path / "empty").mkdir()
    assert not system.has_font([str(tmp_path / "empty"), str(tmp_path / "absent")])
    (tmp_path / "fonts" / "truetype").mkdir(parents=True)
    (tmp_path / "fonts" / "truetype" / "some.ttf").touch()
    assert system.has_font([str(tmp_path / "empty"), str(tmp_path / "fonts")])


def test_a_python_without_pip_asks_for_the_package_of_its_own_version(
    environment, places, processes, system, monkeypatch
):
    minor = sys.version_info.minor
    debian_like(system, monkeypatch, known={f"python3.{minor}-venv", "python3-venv"})
    places.PYTHON.unlink()
    monkeypatch.setattr(environment, "has_ensurepip", lambda: False)
    with pytest.raises(processes.Stop, match=rf"install .* python3\.{minor}-venv$"):
        environment.provide_venv()


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


def test_without_a_display_the_main_job_is_rendered_into_a_fresh_folder(
    dev, places, processes, system, monkeypatch, capsys
):
    commands = []
    monkeypatch.setattr(system, "provide_qt_libraries", lambda: None)
    monkeypatch.setattr(processes, "call", lambda command, **_: commands.append(command) or 0)
    (places.ROOT / "diffview-demo").mkdir()
    assert dev.run_headless() == 0
    assert commands == [
        [places.PYTHON, "-m", "diffview", *dev.DEMO, "--out", places.ROOT / "diffview-demo-2"]
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


def test_every_check_runs_though_one_fails_and_the_summary_names_it(
    dev, processes, monkeypatch, capsys
):
    ran = []

    def call(command, **_):
        ran.append(command[1:])
        return 1 if "mypy" in command else 0

    monkeypatch.setattr(processes, "call", call)
    checks = {name: args for name, (_, args) in dev.CHECKS.items()}
    assert dev.report(dev.run_checks(checks, {})) == 1
    assert ran == list(checks.values())
    assert list(checks)[-1] == "pytest"
    assert "ruff check ok, ruff format ok, mypy FAILED" in capsys.readouterr().out


def test_an_interrupt_is_130_and_a_stop_is_2(dev, environment, processes, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    def stopped(*_):
        raise processes.Stop("type this")

    monkeypatch.setattr(environment, "set_up", interrupted)
    assert dev.main(["setup"]) == 130
    monkeypatch.setattr(environment, "set_up", stopped)
    assert dev.main(["setup"]) == 2
    assert "type this" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("returned", "expected"), [(0, 0), (1, 1), (2, 2), (130, 130), (-2, 130), (-9, 1), (139, 1)]
)
def test_a_childs_return_code_becomes_one_of_ours(processes, returned, expected):
    assert processes.exit_code(returned) == expected


def test_the_tests_folders_are_private_and_gone_afterwards(screen):
    with screen.private_folders() as folders:
        paths = [Path(path) for path in folders.values()]
        assert all(path.stat().st_mode & 0o777 == 0o700 for path in paths)
        assert all(Path.home() not in path.parents for path in paths)
    assert not any(path.exists() for path in paths)


def test_without_xvfb_the_tests_run_offscreen_and_say_so(screen, monkeypatch, capsys):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.delenv("DISPLAY", raising=False)
    with screen.x_displays(2) as variables:
        assert variables == {"QT_QPA_PLATFORM": "offscreen"}
    assert "offscreen" in capsys.readouterr().out


def test_tests_run_side_by_side_only_where_each_process_has_its_own_screen(dev, screen):
    assert dev.side_by_side(2, {screen.DISPLAYS: ":7,:8"})[:2] == ["-n", "2"]
    assert dev.side_by_side(2, {"QT_QPA_PLATFORM": "offscreen"}) == []
    assert dev.side_by_side(1, {screen.DISPLAYS: ":7"}) == []


@pytest.mark.skipif(not shutil.which("Xvfb"), reason="there is no Xvfb here")
def test_every_process_gets_a_screen_of_its_own(screen, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    with screen.x_displays(2) as variables:
        first, second = variables[screen.DISPLAYS].split(",")
    assert first == variables["DISPLAY"] != second


# ---------------------------------------------------------------- the repository


def test_the_top_level_holds_only_what_it_should():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: the tracked files cannot be listed")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    top = {name.split("/")[0] for name in listed.stdout.split("\0") if name}
    assert {name for name in top if not name.startswith(".")} <= TOP_LEVEL


def test_ci_runs_the_tests_and_can_be_executed(dev):
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().rstrip().endswith("exec python3 packaging/dev.py test")
