"""`diffview verify` replays a run; `diffview export` writes a saved one."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from diffview.cli import main
from diffview.engine import session
from diffview.engine.trajectory import Trajectory
from diffview.models import catalog


@pytest.fixture
def saved(tiny, tmp_path, monkeypatch, capsys):
    """The folder of a guided, stochastic run of the tiny model, saved as a.dvsession."""
    monkeypatch.chdir(tmp_path)
    words = "--label 1 --guidance 2 --option eta=1 --steps 6 --seeds 0-2 --session a.dvsession"
    assert main(["sample", "--model", tiny, *words.split()]) == 0
    capsys.readouterr()
    return tmp_path


def change(step, name, by):
    """Saves b.dvsession: the run with one number of one tensor changed from `step` on."""
    trajectory, about = session.load(Path("a.dvsession"))
    changed = Trajectory(trajectory.spec, trajectory.data_shape)
    for record in trajectory:
        array = getattr(record, name).copy()
        array[1, 0, 3, 3] += by if record.i >= step else 0
        changed.append(replace(record, **{name: array}))
    session.save(changed, Path("b.dvsession"), about)


def test_a_run_replays_to_the_last_bit(saved, tiny, capsys):
    assert main(["verify", "a.dvsession", "--model", tiny]) == 0
    told = capsys.readouterr()
    assert told.out == "equal: all 7 recorded steps replay to the last bit\n"
    assert "the weights are the same" in told.err


def test_an_exported_trajectory_replays_too(saved, tiny, capsys):
    words = "export a.dvsession --out out --format safetensors"
    assert main(words.split()) == 0
    assert main(["verify", "out/trajectory.safetensors", "--model", tiny]) == 0


@pytest.mark.parametrize(("name", "shown"), [("x_t", "x_t"), ("x0_hat", "x̂₀")])
def test_the_first_step_that_differs_is_named_with_its_difference(
    name, shown, saved, tiny, capsys
):
    change(4, name, 0.25)
    assert main(["verify", "b.dvsession", "--model", tiny]) == 1
    assert f"different from step 4 (t = 332): {shown} differs by up to 0.25" in (
        capsys.readouterr().out
    )


def test_every_recorded_tensor_is_compared_and_the_size_of_the_difference_told(
    saved, tiny, capsys
):
    change(3, "direction", 0.5)
    assert main(["verify", "b.dvsession", "--model", tiny, "--json"]) == 1
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    first = told["first"]
    largest = np.abs(session.load(Path("b.dvsession"))[0][3].direction).max()
    assert (first["i"], first["name"], first["sample"]) == (3, "direction", 1)
    assert first["by"] == told["largest"] == pytest.approx(0.5)
    assert first["relative"] == pytest.approx(0.5 / largest, rel=1e-5)


def test_a_folder_or_a_recipe_is_refused_with_what_to_give_instead(saved, tiny, capsys):
    assert main(["export", "a.dvsession", "--out", "pictures", "--format", "png"]) == 0
    assert main(["export", "a.dvsession", "--out", "numbers", "--format", "png,safetensors"]) == 0
    Path("empty").mkdir()
    for name, said in [
        ("pictures", "a folder of exported pictures, which hold none of the run's numbers"),
        ("numbers", f"give the run in it, {Path('numbers/trajectory.safetensors')}"),
        ("empty", "is a folder: give a .dvsession"),
        ("pictures/recipe.json", "says how a run was made, and holds none of its numbers"),
        ("pictures/frame_0000.png", "says how a run was made, and holds none of its numbers"),
    ]:
        assert main(["verify", name, "--model", tiny]) == 2
        assert said in capsys.readouterr().err


def test_a_run_of_a_wrapped_network_says_where_it_can_be_verified(saved, capsys):
    trajectory, about = session.load(Path("a.dvsession"))
    trajectory.spec = replace(trajectory.spec, model_id="wrapped")
    session.save(trajectory, Path("b.dvsession"), about)
    assert main(["verify", "b.dvsession"]) == 2
    assert "diffview.load(FILE).verify(model)" in capsys.readouterr().err


def test_a_tolerance_says_how_much_is_still_the_same(saved, tiny, capsys):
    change(4, "x_t", 0.25)
    assert main(["verify", "b.dvsession", "--model", tiny, "--tolerance", "0.3"]) == 0
    assert main(["verify", "b.dvsession", "--model", tiny, "--tolerance", "-1"]) == 2


def test_a_value_that_is_not_a_number_is_a_difference(saved, tiny):
    change(4, "x_t", float("nan"))
    assert main(["verify", "b.dvsession", "--model", tiny, "--tolerance", "1"]) == 1


def test_other_weights_are_told_and_differ_from_the_first_estimate(saved, model_file, capsys):
    other = model_file(saved / "other.safetensors", seed=1)
    assert main(["verify", "a.dvsession", "--model", str(other), "--json"]) == 1
    told = capsys.readouterr()
    assert "the weights differ" in told.err
    end = json.loads(told.out.splitlines()[-1])
    assert (end["equal"], end["first"]["i"], end["first"]["name"]) == (False, 0, "x0_hat")
    assert end["first"]["by"] > 0


def test_a_run_from_given_noise_replays_from_that_noise(saved, tiny):
    noise = np.random.default_rng(0).standard_normal((1, 1, 8, 8)).astype(np.float32)
    save_file({"x": noise}, "noise.safetensors")
    words = "--steps 3 --init-noise noise.safetensors --session given.dvsession"
    assert main(["sample", "--model", tiny, *words.split()]) == 0
    assert main(["verify", "given.dvsession", "--model", tiny]) == 0


def test_a_thinned_run_replays(saved, tiny, capsys):
    words = ["--steps", "9", "--session", "thin.dvsession", "--budget", "0.003"]
    assert main(["sample", "--model", tiny, *words]) == 0
    assert main(["verify", "thin.dvsession", "--model", tiny]) == 0
    assert "all 4 recorded steps" in capsys.readouterr().out


def test_the_bundled_model_that_the_run_names_is_found(saved, tiny, monkeypatch):
    entry = catalog.entry(Path(tiny), bundled=True)
    monkeypatch.setattr(catalog, "bundled", lambda: (entry,))
    assert main(["verify", "a.dvsession"]) == 0


def test_a_path_in_a_run_is_never_opened(saved, tiny, capsys):
    trajectory, about = session.load(Path("a.dvsession"))
    trajectory.spec = replace(trajectory.spec, model_id=tiny)
    session.save(trajectory, Path("b.dvsession"), about)
    assert main(["verify", "b.dvsession"]) == 2
    assert "give its file with --model FILE" in capsys.readouterr().err


def test_a_model_of_another_shape_is_refused(saved, tiny, model_file, capsys):
    trajectory, about = session.load(Path("a.dvsession"))
    wide = Trajectory(trajectory.spec, (1, 8, 16))
    for record in trajectory:
        doubled = {k: np.concatenate([v, v], -1) for k, v in record.arrays().items()}
        wide.append(replace(record, **doubled))
    session.save(wide, Path("b.dvsession"), about)
    assert main(["verify", "b.dvsession", "--model", tiny]) == 2
    assert "give the right one with --model" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["verify"], ["export", "--out", "out"]])
@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "incomplete"), (b"\x89PNG\r\n\x1a\n" + b"x" * 99, "a PNG picture")],
)
def test_a_file_that_is_no_run_is_refused(command, content, said, saved, capsys):
    Path("c.dvsession").write_bytes(content)
    assert main([*command, "c.dvsession"]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "c.dvsession" in told


@pytest.mark.parametrize("version", ["spec.SPEC_VERSION", "session.SESSION_VERSION"])
def test_a_run_from_a_newer_version_is_refused(version, saved, capsys, monkeypatch):
    trajectory, about = session.load(Path("a.dvsession"))
    with monkeypatch.context() as newer:
        newer.setattr(f"diffview.engine.{version}", 99)
        session.save(trajectory, Path("newer.dvsession"), about)
    for words in (["verify", "newer.dvsession"], ["export", "newer.dvsession", "--out", "out"]):
        assert main(words) == 2
        assert "update diffview to open it" in capsys.readouterr().err


def test_export_writes_a_saved_run_as_sample_would_have(saved, tiny):
    words = "--out {} --format png --show x0hat,diff --every 3 --caption"
    assert main(["export", "a.dvsession", *words.format("one").split()]) == 0
    run = "--label 1 --guidance 2 --option eta=1 --steps 6 --seeds 0-2"
    assert main(["sample", "--model", tiny, *run.split(), *words.format("two").split()]) == 0
    one, two = (sorted(Path(folder).glob("*.png")) for folder in ("one", "two"))
    assert [file.name for file in one] == [file.name for file in two]
    assert len(one) == 3
    for left, right in zip(one, two, strict=True):
        assert np.array_equal(np.asarray(Image.open(left)), np.asarray(Image.open(right)))


def test_export_tells_its_files_as_json(saved, capsys):
    assert main(["export", "a.dvsession", "--out", "out", "--format", "gif,apng", "--json"]) == 0
    end = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {Path(file).name for file in end["files"]} == {"run.gif", "run.apng", "recipe.json"}


def test_export_refuses_what_the_run_cannot_show(saved, capsys):
    assert main(["export", "a.dvsession", "--out", "out", "--sample", "3"]) == 2
    assert "there is no sample 3" in capsys.readouterr().err
    assert not Path("out").exists()
