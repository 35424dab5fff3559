"""`diffview sample`, `export` and `verify` with models that write token by token."""

import json

import numpy as np
import pytest
from PIL import Image

from diffview.cli import main
from diffview.engine import session


def sample(writers, model, tmp_path, *more, out="out"):
    asked = ["--prompt", "red apple"] if model == "text" else ["--label", "Sneaker"]
    return main(
        ["sample", "--model", str(writers / f"{model}.safetensors"), *asked, "--seeds", "0-1",
         "--device", "cpu", "--out", str(tmp_path / out), *more]
    )  # fmt: skip


@pytest.mark.parametrize(("model", "count"), [("text", 16), ("pixel", 25)])
def test_it_writes_pictures_animations_and_numbers(writers, tmp_path, model, count):
    formats = ("--format", "png,gif,webp,apng,safetensors", "--option", "temperature=0.9")
    assert sample(writers, model, tmp_path, *formats, "--option", "top_k=5") == 0
    out = tmp_path / "out"
    assert len(list(out.glob("frame_*.png"))) == count + 1
    for name in ("run.gif", "run.webp", "run.apng"):
        with Image.open(out / name) as animation:
            assert animation.n_frames > 1
    run, about = session.load(out / "trajectory.safetensors")
    assert len(run) == count + 1
    assert dict(run.spec.options) == {"temperature": 0.9, "top_k": 5}
    assert about["model"]["id"] == f"tiny-{'ar' if model == 'text' else 'pixel'}"


def test_each_step_tells_what_was_drawn(writers, tmp_path, capsys):
    assert sample(writers, "pixel", tmp_path, "--every", "25", "--json") == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    steps = [event for event in events if event["event"] == "step"]
    assert [step["row"] * 5 + step["column"] for step in steps[:-1]] == list(range(25))
    assert "row" not in steps[-1]
    assert main(
        ["sample", "--model", str(writers / "pixel.safetensors"), "--label", "Sneaker", "--seeds",
         "0-1", "--device", "cpu", "--session", str(tmp_path / "run.dvsession")]
    ) == 0  # fmt: skip
    saved, _ = session.load(tmp_path / "run.dvsession")
    np.testing.assert_array_equal(
        np.array([step["token"] for step in steps[:-1]]).T, saved[-1].written.chosen
    )


def test_a_saved_run_is_verified_and_exported(writers, tmp_path, capsys):
    saved, model = tmp_path / "run.dvsession", str(writers / "text.safetensors")
    assert sample(writers, "text", tmp_path, "--session", str(saved), "--every", "16") == 0
    assert main(["verify", str(saved), "--model", model]) == 0
    assert "to the last bit" in capsys.readouterr().out
    shown = ["--show", "xt,entropy,surprise", "--every", "8", "--scale", "1"]
    out = tmp_path / "decoded"
    assert main(["export", str(saved), "--model", model, "--out", str(out), *shown]) == 0
    with Image.open(out / "frame_0002.png") as picture:
        assert picture.height == 16  # as high as the decoded pictures
    numbers = str(tmp_path / "numbers")
    assert main(["export", str(saved), "--decode", "none", "--out", numbers, *shown]) == 0
    with Image.open(tmp_path / "numbers" / "frame_0002.png") as picture:
        assert picture.height == 4


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--sampler", "ddim"], "no noise that sampler 'ddim' could remove"),
        (["--steps", "20"], "writes 16 tokens, one a step: choose 16 steps"),
        (["--spacing", "leading"], "no spacing to choose"),
        (["--option", "eta=1"], "no option 'eta'"),
        (["--option", "temperature=99"], "temperature = 99 is outside 0 to 10"),
        (["--option", "top_k=1.5"], "top_k = 1.5 is not a whole number"),
        (["--init-noise", "none.safetensors"], "begins with nothing"),
        (["--show", "eps"], "'eps' is of a run that removes noise"),
        (["--decode", "preview"], "tokens have no linear preview"),
        (["--label", "2"], "a label and a prompt"),
        (["--curve=-1:0,1:1"], "a guidance curve goes by the noise"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_written(
    writers, tmp_path, capsys, flags, reason
):
    assert sample(writers, "text", tmp_path, *flags) == 2
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_quantities_of_tokens_are_refused_for_a_model_of_noise(tiny, tmp_path, capsys):
    asked = ["sample", "--model", tiny, "--steps", "2", "--out", str(tmp_path / "out")]
    assert main([*asked, "--show", "entropy"]) == 2
    assert "'entropy' is of a run that writes tokens" in capsys.readouterr().err
    assert main([*asked, "--sampler", "autoregressive"]) == 2
    assert "for models that predict the next token" in capsys.readouterr().err
