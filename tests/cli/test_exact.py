"""Models without weights from the command line: sampled, guided, saved, verified, exported."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffview.cli import main
from diffview.engine import session

QUICK = ["--steps", "4", "--seeds", "0-2"]


@pytest.mark.parametrize("name", ["moons", "mixture"])
def test_a_distribution_is_sampled_saved_and_replayed_to_the_last_bit(name, tmp_path, capsys):
    session = str(tmp_path / "run.dvsession")
    flags = ["--label", "0", "--guidance", "2", "--session", session]
    assert main(["sample", "--model", name, *QUICK, *flags]) == 0
    assert main(["verify", session]) == 0
    told = capsys.readouterr()
    assert "equal: all 5 recorded steps replay to the last bit" in told.out
    assert "the weights are the same" in told.err


def test_an_exact_model_goes_by_any_schedule_and_is_replayed_by_it(tmp_path, capsys):
    path = str(tmp_path / "run.dvsession")
    flags = ["--schedule", "edm", "--spacing", "karras", "--steps", "18", "--sampler", "heun"]
    assert main(["sample", "--model", "moons", *flags, "--session", path]) == 0
    run, _ = session.load(Path(path))
    times = [record.level.t for record in run]
    # Karras et al. 2022, table 1 and eq. 5: sigma from 80 to 0.002, rho 7, 18 steps.
    published = [80, 57.5860, 40.7856, 28.3746, 19.3525, 12.9101]
    np.testing.assert_allclose(times[:6], published, rtol=1e-5)
    assert times[17] == pytest.approx(0.002)
    assert main(["verify", path]) == 0
    assert "equal: all 19 recorded steps" in capsys.readouterr().out


def test_a_network_is_asked_by_no_other_schedule_than_its_own(tmp_path, capsys):
    out = str(tmp_path / "run.dvsession")
    assert main(["sample", "--model", "fashion", "--schedule", "flow", "--session", out]) == 2
    assert "a network knows only the schedule" in capsys.readouterr().err
    assert main(["sample", "--model", "moons", "--schedule", "bent", "--session", out]) == 2
    assert "schedule = bent is not one of own, linear" in capsys.readouterr().err


def test_a_run_of_points_is_exported_as_one_picture_of_all(tmp_path):
    out = tmp_path / "out"
    assert main(["sample", "--model", "rings", *QUICK, "--out", str(out), "--show", "xt"]) == 0
    frames = sorted(out.glob("*.png"))
    assert len(frames) == 5
    assert Image.open(frames[0]).size == (512, 512)


def test_a_folder_of_pictures_is_sampled_and_replayed(tmp_path, capsys, monkeypatch):
    # What is opened is remembered, and other tests of this session list what is.
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    rng = np.random.default_rng(0)
    for kind in ("one", "two"):
        (tmp_path / "set" / kind).mkdir(parents=True)
        for k in range(3):
            picture = rng.integers(0, 256, (12, 12), dtype=np.uint8)
            Image.fromarray(picture).save(tmp_path / "set" / kind / f"{k}.png")
    session = str(tmp_path / "run.dvsession")
    model = ["--model", str(tmp_path / "set")]
    assert main(["sample", *model, "--label", "two", *QUICK, "--session", session]) == 0
    assert main(["verify", session, *model]) == 0
    assert "to the last bit" in capsys.readouterr().out


def test_exact_models_are_listed_with_what_they_are(capsys):
    assert main(["models", "--json"]) == 0
    told = {f["id"]: f for f in map(json.loads, capsys.readouterr().out.splitlines())}
    assert told["moons"]["shape"] == [2]
    assert told["moons"]["classes"] == ["Upper moon", "Lower moon"]
    assert told["exact:fashion"]["shape"] == [1, 28, 28]
    assert told["exact:fashion"]["bundled"] is True


def test_a_missing_data_set_ends_with_how_to_get_it(tmp_path, capsys):
    session = str(tmp_path / "run.dvsession")
    model = ["--model", f"exact:fashion:{tmp_path}"]
    assert main(["sample", *model, *QUICK, "--session", session]) == 2
    assert "apt-get install dataset-fashion-mnist" in capsys.readouterr().err
