"""`diffview sample`: what it writes, what it says, and what it refuses before it starts."""

import json
import re
import stat
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file

import diffview
from diffview.cli import main
from diffview.cli.exporting import listed
from diffview.engine import session
from diffview.models import sampling


@pytest.fixture
def sample(tiny, tmp_path, monkeypatch):
    """Runs `diffview sample` on the tiny model, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*words, model=tiny):
        return main(["sample", "--model", model, *words])

    return run


def events(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_seed_that_is_given_twice_is_told_of_except_under_noise_of_its_own(sample, capsys):
    words = ("--steps", "2", "--seeds", "7,7", "--session", "a.dvsession", "--overwrite")
    assert sample(*words) == 0
    assert (
        "warning: seed 7 is given twice: samples 0 and 1 will be equal" in capsys.readouterr().err
    )
    save_file({"x": np.eye(2, 64, dtype=np.float32).reshape(2, 1, 8, 8)}, "start.safetensors")
    assert sample(*words, "--init-noise", "start.safetensors") == 0
    assert "twice" not in capsys.readouterr().err


def test_a_run_is_written_in_every_format_asked_for(sample, capsys):
    words = [
        "--label",
        "Sneaker",
        "--steps",
        "3",
        "--seeds",
        "0-3",
        "--out",
        "out",
        "--format",
        "png,gif,safetensors",
    ]
    assert sample(*words) == 0
    assert {path.name for path in Path("out").iterdir()} == {
        *(f"frame_000{k}.png" for k in range(4)),
        "run.gif",
        "trajectory.safetensors",
        "recipe.json",
    }
    tensors = load_file("out/trajectory.safetensors")
    assert {tensors[name].shape for name in ("x_t", "x0_hat", "base", "direction")} == {
        (4, 4, 1, 8, 8)
    }
    assert tensors["t"].shape == (4,)
    told = capsys.readouterr()
    assert "4 samples of tiny (Sneaker, γ 3, w = γ − 1 = 2) by ddim in 3 steps" in told.out
    assert "4 PNG frames" in told.out


def test_the_last_picture_of_the_sequence_is_the_end_of_the_run(sample):
    words = "--label 1 --steps 2 --out out --format png,safetensors --show x0hat --scale 1"
    assert sample(*words.split()) == 0
    end = load_file("out/trajectory.safetensors")["x_t"][-1, 0, 0]
    shown = np.asarray(Image.open("out/frame_0002.png").convert("L"))
    assert np.array_equal(shown, np.rint((np.clip(end, -1, 1) + 1) * 127.5).astype(np.uint8))


def test_every_scale_and_sample_choose_what_is_written(sample):
    words = "--label 1 --steps 5 --seeds 0-3 --out out --every 2 --scale 3 --sample 2 --show xt"
    assert sample(*words.split()) == 0
    frames = sorted(Path("out").glob("*.png"))
    assert len(frames) == 4
    assert {Image.open(frame).size for frame in frames} == {(24, 24)}


def test_events_are_one_json_object_a_line(sample, capsys):
    words = "--label 1 --steps 3 --out out --format gif --json"
    assert sample(*words.split()) == 0
    told = events(capsys)
    steps = [event for event in told if event["event"] == "step"]
    assert [event["i"] for event in steps] == [0, 1, 2, 3]
    assert [event["nfe"] for event in steps] == [2, 4, 6, 6]
    assert steps[0]["t"] == 999
    assert all(event["remaining_s"] >= 0 for event in steps)
    assert told[0]["event"] == "start"
    assert told[0]["spec"]["condition"] == 1
    assert told[-1]["event"] == "done"
    assert all(Path(file).is_file() for file in told[-1]["files"])
    assert told[-1]["nfe"] == 6
    written = [event for event in told if event["event"] == "written"]
    assert [event["done"] for event in written] == [1, 2, 3, 4]
    assert {(event["total"], event["path"]) for event in written} == {(4, "out/run.gif")}


def test_a_label_without_guidance_takes_the_cards_default(tmp_path, model_file):
    model = model_file(tmp_path / "m.safetensors", defaults={"guidance": 2.5, "steps": 2})
    words = ["--model", str(model), "--label", "Bag", "--session", str(tmp_path / "a.dvsession")]
    assert main(["sample", *words]) == 0
    spec = diffview.load(tmp_path / "a.dvsession").spec
    assert (spec.guidance.kind, spec.guidance.scale) == ("cfg", 2.5)
    assert spec.n_steps == 2
    assert spec.condition == 2


def test_at_guidance_1_both_branches_are_recorded(sample):
    words = "--label 0 --guidance 1 --steps 2 --session a.dvsession"
    assert sample(*words.split()) == 0
    run = diffview.load("a.dvsession")
    assert torch.allclose(run.base + run.direction, run.x0_hat, atol=1e-6)
    assert run.direction[0].abs().max() > 0


def test_without_a_label_the_run_is_unconditional_and_says_so(sample, capsys):
    assert sample("--steps", "2", "--session", "a.dvsession") == 0
    assert "without a condition" in capsys.readouterr().err
    run = diffview.load("a.dvsession")
    assert (run.spec.guidance.kind, run.spec.condition, run.base) == ("none", None, None)


def test_a_session_of_the_command_line_equals_the_same_run_from_python(sample, tiny):
    words = "--label sneak --guidance 2 --sampler ddim --option eta=0.5 --steps 4 --seeds 3,5"
    assert sample(*words.split(), "--session", "a.dvsession") == 0
    saved = diffview.load("a.dvsession")
    again = diffview.sample(
        tiny, label="Sneaker", guidance=2, options={"eta": 0.5}, steps=4, seeds=[3, 5]
    )
    assert saved.spec == again.spec
    assert torch.equal(saved.x_t, again.x_t)
    assert torch.equal(saved.x0_hat, again.x0_hat)
    assert saved.about["model"]["sha256"] == again.about["model"]["sha256"] != ""


def test_given_noise_is_where_the_run_starts(sample):
    noise = np.random.default_rng(0).standard_normal((2, 1, 8, 8)).astype(np.float32)
    save_file({"x": noise}, "noise.safetensors")
    words = "--label 0 --steps 2 --seeds 0-1 --init-noise noise.safetensors --session a.dvsession"
    assert sample(*words.split()) == 0
    assert np.array_equal(diffview.load("a.dvsession").x_t[0].numpy(), noise)


def test_a_small_budget_keeps_fewer_steps_and_says_so(sample, capsys):
    one_step = 4 * 8 * 8 * 4  # four tensors of 64 float32
    words = ["--label", "0", "--steps", "10", "--session", "a.dvsession"]
    assert sample(*words, "--budget", str(6.5 * one_step / 1e6)) == 0
    assert "one step in 2 of 10" in capsys.readouterr().err
    assert len(diffview.load("a.dvsession").x_t) == 6


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--model nosuch", "unknown model 'nosuch'"),
        ("--model fashoin", "unknown model 'fashoin'"),
        ("--label 3", "label 3 is out of range: model 'tiny' has labels 0 to 2"),
        ("--label -1", "label -1 is out of range"),
        ("--label Hat", "model 'tiny' has no class 'Hat'; it has 0 Shirt, 1 Sneaker, 2 Bag"),
        ("--steps 0", "0 steps cannot be taken"),
        ("--steps -3", "-3 steps cannot be taken"),
        ("--steps 1001", "choose 1 to 1000 steps"),
        ("--steps 2.5", "'2.5' is not a whole number"),
        ("--label 0 --guidance nan", "guidance γ = nan"),
        ("--label 0 --guidance inf", "guidance γ = inf"),
        ("--label 0 --guidance 3,5", "'3,5' is not a number such as 3 or 2.5"),
        ("--guidance 3", "choose --label, one of Shirt, Sneaker, Bag"),
        ("--seeds 5-3", "write 3-5"),
        ("--seeds x", "seeds 'x' cannot be read"),
        ("--seeds 9223372036854775808", "outside 0 to 9223372036854775807"),
        ("--seeds 0-99999", "more than 4096 samples"),
        ("--sampler magic", "unknown sampler 'magic'; known are ddim, ddpm"),
        ("--spacing odd", "unknown spacing 'odd'"),
        ("--option eta=2", "eta = 2 is outside 0 to 1"),
        ("--option beta=2", "has no option 'beta'"),
        ("--option eta", "must look like eta=0.5"),
        ("--prompt shoes", "model 'tiny' takes no prompt: choose --label"),
        ("--negative-prompt shoes", "takes no prompt"),
        ("--device tpu", "unknown device 'tpu'"),
        ("--device cuda:99", "device 'cuda:99' is not here"),
        ("--budget 0", "must be above 0"),
        ("--budget 0.0001", "draw fewer samples"),
        ("--format bmp", "unknown format 'bmp'"),
        ("--format ,", "at least one name"),
        ("--show nothing", "cannot show 'nothing'"),
        ("--show diff", "'diff' needs a run with guidance"),
        ("--brightness dark", "unknown brightness 'dark'"),
        ("--brightness latents", "model 'tiny' samples no latents that are decoded"),
        ("--every 0", "give 1 or more"),
        ("--scale 0", "scale 0 is outside"),
        ("--scale 64 --seeds 0-4095", "too large"),
        ("--sample 1", "there is no sample 1"),
        ("--fps 0", "frames/s"),
        ("--fps nan", "frames/s"),
        ("--out file", "is a file, not a folder"),
        ("--out file/below", "file"),
        ("--out foreign", "foreign exists and holds what no export wrote"),
        (
            "--out ours",
            "ours exists and holds an earlier export: choose another folder, or add --overwrite",
        ),
        ("--session foreign", "foreign is a folder"),
        ("--session file", "is there already"),
        ("--session nowhere/a.dvsession", "there is no folder nowhere"),
        ("--init-noise missing.safetensors", "missing.safetensors cannot be read"),
        ("--init-noise wrong.safetensors", "has shape 3x1x8x8, this run needs 1x1x8x8"),
        ("--init-noise nameless.safetensors", "no tensor 'x'"),
        ("--init-noise nan.safetensors", "NaN or infinite"),
    ],
)
def test_what_cannot_be_run_is_refused_before_weights_are_read(
    words, said, sample, tmp_path, capsys, monkeypatch
):
    assert sample("--steps", "1", "--out", "ours", "--format", "png") == 0
    Path("file").write_text("mine")
    Path("foreign").mkdir()
    Path("foreign/thesis.txt").write_text("mine")
    zeros = np.zeros((3, 1, 8, 8), np.float32)
    save_file({"x": zeros}, "wrong.safetensors")
    save_file({"y": zeros[:1]}, "nameless.safetensors")
    save_file({"x": zeros[:1] * np.nan}, "nan.safetensors")
    capsys.readouterr()

    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr(
        "diffview.models.families.load", lambda *_: pytest.fail("model was loaded")
    )
    out = [] if "--out" in words else ["--out", "out"]
    assert sample(*out, *words.split()) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.splitlines()[-1].startswith("diffview: error: ")
    assert captured.out == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_nowhere_to_write_is_refused(sample, capsys):
    assert sample("--steps", "1") == 2
    assert "give --out DIR, or --session FILE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: data[:-100], "incomplete"),
        (lambda data: data[:4], "incomplete"),
        (lambda data: b"", "incomplete"),
        (lambda data: b"version https://git-lfs.github.com/spec/v1\n", "git-lfs pointer"),
        (lambda data: b"<!doctype html>", "web page"),
        (lambda data: b"\x80\x02pickle", "pickle"),
        (lambda data: b"\xff" * 100, "not a safetensors file"),
    ],
)
def test_a_damaged_or_foreign_weights_file_is_refused(damage, said, sample, tiny, capsys):
    damaged = Path("damaged.safetensors")
    damaged.write_bytes(damage(Path(tiny).read_bytes()))
    assert sample("--out", "out", model=str(damaged)) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "damaged.safetensors" in told
    assert not Path("out").exists()


def test_a_weights_file_without_a_card_is_refused_with_the_way_from_python(sample, capsys):
    save_file({"w": np.zeros(3, np.float32)}, "foreign.safetensors")
    assert sample("--out", "out", model="foreign.safetensors") == 2
    assert "diffview.wrap" in capsys.readouterr().err


def test_a_folder_that_is_not_writable_is_refused(sample, tmp_path, capsys, monkeypatch):
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(stat.S_IRUSR | stat.S_IXUSR)
    # The super-user may write anywhere, so the question is answered for an ordinary one.
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != locked)
    assert sample("--out", str(locked / "out")) == 2
    assert "not writable" in capsys.readouterr().err
    locked.chmod(stat.S_IRWXU)


def test_overwrite_replaces_an_earlier_export(sample):
    assert sample("--steps", "4", "--out", "out") == 0
    assert sample("--steps", "2", "--out", "out", "--overwrite") == 0
    assert len(list(Path("out").glob("*.png"))) == 3


def breaking_at(step, monkeypatch, how):
    """Lets the model answer `step` times, then does `how` to its answer."""
    really_open = sampling.open_model

    def open_model(entry, device, dtype="auto"):
        model = really_open(entry, device)
        network, calls = model._network, iter(range(10**6))
        model._network = lambda *args: (
            how(network(*args)) if next(calls) >= step else network(*args)
        )
        return model

    monkeypatch.setattr(sampling, "open_model", open_model)


def boom(out):
    raise RuntimeError("boom\non two lines")


def nan(out):
    return out * float("nan")


@pytest.mark.parametrize(("how", "said"), [(boom, "RuntimeError: boom"), (nan, "NaN or infinite")])
def test_a_model_that_breaks_at_step_3_keeps_the_frames_before_it(
    how, said, sample, capsys, monkeypatch
):
    breaking_at(3, monkeypatch, how)
    assert sample("--steps", "6", "--out", "out", "--session", "a.dvsession") == 1
    told = capsys.readouterr().err.splitlines()[-1]
    assert said in told
    assert re.search(r"at step 3 \(t = \d+\)", told)
    assert told.endswith("the 3 frames before it are in out and a.dvsession")
    assert len(list(Path("out").glob("*.png"))) == 3
    trajectory, _ = session.load(Path("a.dvsession"))
    assert len(trajectory) == 3
    assert not trajectory.complete


def interrupted(out):
    raise KeyboardInterrupt


def test_an_interrupt_keeps_the_steps_so_far_and_the_run_can_go_on(sample, capsys, monkeypatch):
    words = ("--sampler", "ddpm", "--steps", "6", "--session")
    assert sample(*words, "whole.dvsession") == 0
    with monkeypatch.context() as breaking:
        breaking_at(3, breaking, interrupted)
        assert sample(*words, "a.dvsession") == 130
    told = capsys.readouterr().err
    assert "interrupted at step 2 of 6: the steps so far are in a.dvsession" in told
    assert "--from a.dvsession --step 2" in told and told.endswith("diffview: interrupted\n")
    assert len(session.load(Path("a.dvsession"))[0]) == 3
    assert sample(*["--from", "a.dvsession", "--step", "2", "--session", "b.dvsession"]) == 0
    ends = [
        session.load(Path(name))[0].stack("x_t") for name in ("whole.dvsession", "b.dvsession")
    ]
    assert np.array_equal(*ends)


def test_an_interrupt_of_a_run_without_a_session_says_how_to_keep_it(sample, capsys, monkeypatch):
    breaking_at(3, monkeypatch, interrupted)
    assert sample("--steps", "6", "--out", "out") == 130
    assert "nothing is kept (--session FILE keeps" in capsys.readouterr().err
    assert not Path("out").exists()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_a_session_where_no_file_can_be_made_is_refused_before_sampling(sample, capsys):
    assert sample("--steps", "2", "--session", "/proc/x.dvsession", "--json") == 2
    told = capsys.readouterr()
    assert "/proc/x.dvsession cannot be made" in told.err and not told.out


@pytest.mark.parametrize(
    "flag",
    [
        "model",
        "label",
        "sampler",
        "spacing",
        "seeds",
        "curve",
        "interval",
        "guide",
        "guidance-kind",
    ],
)
def test_an_empty_value_is_not_a_flag_left_out(flag, sample, capsys):
    assert sample(f"--{flag}", "", "--out", "out") == 2
    assert f"--{flag}: an empty value: give one" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("--eta", "0.5"), ("--eta=0.5",)])
def test_an_option_of_samplers_as_a_flag_is_told_how_to_be_written(words, sample, capsys):
    assert sample("--out", "out", *words) == 2
    assert "write --option eta=0.5" in capsys.readouterr().err


def test_one_step_is_no_plural(sample, capsys):
    assert sample("--steps", "1", "--out", "out") == 0
    assert "by ddim in 1 step on" in capsys.readouterr().out


def test_an_option_that_other_samplers_have_says_which(sample, capsys):
    assert sample("--out", "out", "--option", "churn=5") == 2
    told = capsys.readouterr().err
    assert "sampler 'ddim' has no option 'churn' (those that have it: euler)" in told


def test_a_model_that_breaks_at_once_leaves_nothing(sample, tmp_path, capsys, monkeypatch):
    breaking_at(0, monkeypatch, boom)
    assert sample("--steps", "6", "--out", "out") == 1
    assert "the model failed at step 0" in capsys.readouterr().err
    assert not Path("out").exists()


def test_a_model_that_judges_cannot_be_sampled(sample, tmp_path, model_file, capsys):
    judge = model_file(tmp_path / "judge.safetensors", family="classifier", prediction="class")
    assert sample("--out", "out", model=str(judge)) == 2
    assert "it cannot be sampled" in capsys.readouterr().err


def test_files_are_told_by_their_folder_and_those_of_this_one_by_their_names_alone():
    found = listed(["a.dvsession", "out/step_0.png", "out/step_1.png", "out/run.gif"])
    assert found == "a.dvsession; out: run.gif, 2 PNG frames"
