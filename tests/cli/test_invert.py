"""`diffview invert`: a picture's noise, the way back, and how far it is from the picture."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from diffview.cli import main
from diffview.engine import session


@pytest.fixture
def here(tiny, tmp_path, monkeypatch):
    """The folder with two pictures of other sizes than the model's."""
    monkeypatch.chdir(tmp_path)
    numbers = np.random.default_rng(0)
    Image.fromarray(numbers.integers(0, 256, (16, 24), np.uint8)).save("wide.png")
    Image.fromarray(numbers.integers(0, 256, (8, 8, 3), np.uint8)).save("rgb.png")
    return tmp_path


def invert(tiny, words):
    return main(["invert", "--model", tiny, *words.split()])


def test_pictures_are_inverted_and_what_was_found_is_written(here, tiny, capsys):
    assert invert(tiny, "wide.png rgb.png --label 1 --steps 12 --out found") == 0
    told = capsys.readouterr()
    assert "wide.png: 24 × 16 → 8 × 8" in told.err
    assert {path.name for path in Path("found").iterdir()} == {
        "x_T.safetensors",
        "way-back.dvsession",
        "inversion.json",
    }
    noise = load_file("found/x_T.safetensors")["x"]
    back, about = session.load(Path("found/way-back.dvsession"))
    np.testing.assert_array_equal(back[0].x_t, noise)
    assert (back.spec.sampler, back.spec.guidance.scale) == ("ddim", 1.0)
    assert about["init_noise"] == "given"
    found = json.loads(Path("found/inversion.json").read_text())
    assert [one["i"] for one in found["errors"]] == list(range(13))
    assert found["errors"][0]["psnr_db"] is None
    end = found["errors"][-1]
    assert f"PSNR {end['psnr_db']:.1f} dB" in told.out
    assert main(["verify", "found/way-back.dvsession", "--model", tiny]) == 0
    words = "--init-noise found/x_T.safetensors --label 2 --seeds 0-1 --steps 12 --session b"
    assert main(["sample", "--model", tiny, *words.split()]) == 0


def test_refining_brings_the_way_back_nearer_to_the_picture(here, tiny, capsys):
    def end(refine):
        words = f"rgb.png --steps 12 --out r{refine} --refine {refine} --json"
        assert invert(tiny, words) == 0
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    assert end(8)["psnr_db"] > end(0)["psnr_db"] + 10


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("nowhere.png --out found", "nowhere.png cannot be read"),
        ("tiny.safetensors --out found", "is no picture"),
        ("rgb.png --out rgb.png", "is there already"),
        ("rgb.png --out no/found", "there is no folder"),
        ("rgb.png --out found --option eta=0.5", "adds noise, which cannot be inverted"),
        ("rgb.png --out found --refine 101", "outside 0 to 100"),
        ("rgb.png --out found --label 7", "out of range"),
    ],
)
def test_what_cannot_be_inverted_is_refused(words, said, here, tiny, capsys):
    assert invert(tiny, f"--steps 3 {words}") == 2
    assert said in capsys.readouterr().err
    assert not Path("found").exists()
