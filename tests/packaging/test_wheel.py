"""The wheel is whole: installed into a fresh environment it runs from any folder, checkout or not.

No network: the wheel is built with the hatchling at hand, and the fresh environment finds the
dependencies (torch, Qt) in this one's site-packages, but diffview only in its own.
"""

import json
import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from safetensors import safe_open

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def run(command, cwd, **options):
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environ,
        capture_output=True,
        text=True,
        timeout=100,
        **options,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-index", "--quiet"]
    run([*pip, "--no-build-isolation", "--wheel-dir", folder, ROOT], cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The scripts folder of a fresh environment with the wheel, and this one's dependencies."""
    home = tmp_path_factory.mktemp("fresh")
    venv.create(home, with_pip=False)
    paths = {"base": str(home), "platbase": str(home)}
    scripts = Path(sysconfig.get_path("scripts", "venv", paths))
    library = Path(sysconfig.get_path("purelib", "venv", paths))
    python = scripts / Path(sys.executable).name
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
    run([*pip, "--no-deps", "--no-index", wheel], cwd=home)
    # A plain line in a .pth file is appended to sys.path, and the .pth files of that folder are
    # not read: the editable install there stays out of sight.
    (library / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return scripts


def test_the_wheel_holds_every_module_and_every_resource(wheel):
    package = [f for f in (ROOT / "diffview").rglob("*") if f.suffix == ".py"]
    resources = [f for f in (ROOT / "resources").rglob("*") if f.is_file()]
    expected = {file.relative_to(ROOT).as_posix() for file in package}
    expected |= {f"diffview/{file.relative_to(ROOT).as_posix()}" for file in resources}
    assert expected <= set(zipfile.ZipFile(wheel).namelist())
    assert resources


def test_the_wheel_names_its_licence_and_ships_the_text(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        assert "License-Expression: MIT" in archive.read(metadata).decode()
        (licence,) = (name for name in archive.namelist() if name.endswith("/LICENSE"))
        assert archive.read(licence) == (ROOT / "packaging" / "LICENSE").read_bytes()


def test_the_fresh_environment_uses_the_wheel_and_not_the_checkout(installed, tmp_path):
    code = "import diffview; print(diffview.__file__)"
    file = Path(run([installed / "python", "-c", code], cwd=tmp_path).strip())
    assert installed.parent in file.parents
    assert ROOT not in file.parents


def test_the_installed_program_tells_its_version(installed, tmp_path):
    assert PROJECT["version"] in run([installed / "diffview", "--version"], cwd=tmp_path)


def test_the_installed_program_finds_its_bundled_model(installed, tmp_path):
    lines = run([installed / "diffview", "models", "--json"], cwd=tmp_path).splitlines()
    assert "fashion" in {json.loads(line)["id"] for line in lines}


def test_the_installed_program_samples_from_another_folder(installed, tmp_path):
    options = "--model fashion --sampler ddim --steps 4 --guidance 2 --label Sneaker --seeds 0-1"
    formats = "--format png,safetensors"
    out = tmp_path / "out"
    command = [installed / "diffview", "sample", *options.split(), *formats.split(), "--out", out]
    run(command, cwd=tmp_path)
    assert list(out.rglob("*.png"))
    (trajectory,) = out.rglob("trajectory.safetensors")
    with safe_open(trajectory, framework="numpy") as tensors:
        assert tensors.get_slice("x_t").get_shape()[:2] == [4 + 1, 2]
