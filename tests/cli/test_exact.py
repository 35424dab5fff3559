"""Models without weights from the command line: sampled, guided, saved, verified, exported."""

import json

import numpy as np
import pytest
from PIL import Image

from diffview.cli import main

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
