"""`diffview sample` with every kind of guidance: what it takes, says, saves and replays."""

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.numpy import load_file

import diffview
from diffview import tensorfile
from diffview.cli import main
from diffview.engine import schedules, session
from diffview.models.card import ModelCard
from diffview.models.classifier import Classifier, ClassifierConfig

CLASSES = ("Shirt", "Sneaker", "Bag")


@pytest.fixture
def judge(tmp_path):
    """The path of a classifier of random weights for the tiny model's pictures."""
    torch.manual_seed(3)
    config = ClassifierConfig(channels=1, classes=3, width=8)
    card = ModelCard(
        id="judge",
        title="Judge",
        family="classifier",
        data_shape=(1, 8, 8),
        prediction="class",
        schedule=schedules.named("cosine"),
        classes=CLASSES,
        licence="MIT",
    )
    metadata = {
        "diffview.card": json.dumps(card.to_json()),
        "diffview.config": json.dumps(config.to_json()),
    }
    path = tmp_path / "judge.safetensors"
    weights = {k: v.numpy() for k, v in Classifier(config).state_dict().items()}
    tensorfile.write_numpy(path, weights, metadata)
    return str(path)


@pytest.fixture
def weak(tmp_path, model_file):
    """The path of another tiny model."""
    return str(model_file(tmp_path / "weak.safetensors", seed=1))


@pytest.fixture
def sample(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*words):
        return main(["sample", "--model", tiny, "--steps", "4", *words])

    return run


def saved(path="run.dvsession"):
    return session.load(Path(path))


KINDS = {
    "cfg": ("--label", "Bag", "--curve", "-3:0,0:1", "--interval", "0.01,50"),
    "classifier": ("--label", "Bag", "--guidance", "2"),
    "autoguidance": ("--label", "Bag", "--guidance", "1.5", "--option", "rescale=0.7"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_of_every_kind_is_saved_replayed_and_exported(
    kind, sample, tiny, judge, weak, capsys
):
    guide = {"cfg": None, "classifier": judge, "autoguidance": weak}[kind]
    words = () if guide is None else ("--guide", guide)
    assert sample("--guidance-kind", kind, *words, *KINDS[kind], "--session", "run.dvsession") == 0
    run, about = saved()
    assert run.spec.guidance.kind == kind
    assert run.spec.guidance.guide == {None: "", judge: "judge", weak: "tiny"}[guide]
    assert ("guide" in about) == (guide is not None)
    replay = () if guide is None else ("--guide", guide)
    assert main(["verify", "run.dvsession", "--model", tiny, *replay]) == 0
    assert "to the last bit" in capsys.readouterr().out
    assert main(["export", "run.dvsession", "--out", "out", "--format", "safetensors"]) == 0
    arrays = load_file("out/trajectory.safetensors")
    assert abs(arrays["direction"][0]).max() > 0


def test_both_conventions_of_gamma_are_told(sample, capsys):
    sample("--label", "Bag", "--guidance", "2.5", "--session", "run.dvsession")
    assert "γ 2.5, w = γ − 1 = 1.5" in capsys.readouterr().out


def test_a_curve_of_factor_zero_is_the_conditional_run(sample):
    sample("--label", "Bag", "--guidance", "5", "--curve", "-1:0", "--session", "a.dvsession")
    sample("--label", "Bag", "--guidance", "1", "--session", "b.dvsession")
    a, b = saved("a.dvsession")[0], saved("b.dvsession")[0]
    assert abs(a[-1].x_t - b[-1].x_t).max() < 1e-6


def test_an_interval_that_no_level_meets_is_the_conditional_run(sample):
    nowhere = ("--interval", "1e-6,2e-6", "--session", "a.dvsession")
    sample("--label", "Bag", "--guidance", "5", *nowhere)
    sample("--label", "Bag", "--guidance", "1", "--session", "b.dvsession")
    a, b = saved("a.dvsession")[0], saved("b.dvsession")[0]
    assert abs(a[-1].x_t - b[-1].x_t).max() < 1e-6


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--guidance-kind", "clasifier"), "unknown --guidance-kind 'clasifier'; known are none"),
        (
            ("--guidance-kind", "classifier", "--label", "Bag"),
            "needs a second model: choose",
        ),
        (("--guidance-kind", "autoguidance"), "needs a second model"),
        (("--guidance-kind", "autoguidance", "--guide", "JUDGE"), "only names classes"),
        (("--guidance-kind", "classifier", "--guide", "WEAK", "--label", "0"), "names no classes"),
        (("--guidance-kind", "autoguidance", "--guide", "TINY"), "not weaker than itself"),
        (("--guide", "JUDGE"), "needs a condition to steer to"),
        (("--guidance-kind", "cfg"), "needs a condition to steer to"),
        (("--guidance-kind", "cfg", "--guide", "JUDGE", "--label", "0"), "uses no second model"),
        (("--guidance-kind", "none", "--guidance", "2", "--label", "0"), "does nothing without"),
        (("--guide", "nowhere.safetensors", "--label", "0"), "does not exist"),
        (("--interval", "2,1", "--label", "0"), "is empty: give the smaller"),
        (("--interval", "1", "--label", "0"), "it takes 2"),
        (("--interval", "1,2", "--option", "interval=1,2", "--label", "0"), "say the same"),
        (("--interval", "1,2"), "there is no guidance to limit"),
        (("--curve", "0.5", "--label", "0"), "is no knot λ:factor"),
        (("--curve", "0:1,0:2", "--label", "0"), "must rise"),
        (("--curve", "0:1"), "needs a condition to steer to"),
    ],
)
def test_what_cannot_be_guided_is_refused_with_a_reason(
    words, reason, sample, tiny, judge, weak, tmp_path, capsys
):
    places = {"JUDGE": judge, "WEAK": weak, "TINY": tiny}
    words = [places.get(word, word) for word in words]
    assert sample(*words, "--session", "run.dvsession") == 2
    assert re.search(re.escape(reason), capsys.readouterr().err)
    assert not (tmp_path / "run.dvsession").exists()


def test_a_replay_without_the_guide_says_what_to_give(sample, tiny, judge, capsys):
    sample("--guide", judge, "--label", "Bag", "--session", "run.dvsession")
    assert main(["verify", "run.dvsession", "--model", tiny]) == 2
    assert "guided by model 'judge'" in capsys.readouterr().err


def test_python_makes_the_run_of_the_command_line(sample, tiny, judge):
    sample(
        *("--guide", judge, "--label", "Bag", "--guidance", "2"),
        *("--curve", "-3:0,0:1", "--interval", "0.01,50", "--session", "run.dvsession"),
    )
    run = diffview.sample(
        tiny,
        steps=4,
        label="Bag",
        guidance=2.0,
        guidance_kind="classifier",
        guide=judge,
        interval=(0.01, 50),
        curve=[(0, 1), (-3, 0)],
    )
    there = saved()[0]
    assert run.spec == there.spec
    assert torch.equal(run.x_t, torch.from_numpy(there.stack("x_t")))


def test_python_takes_an_opened_weaker_model_and_a_classifier_of_ones_own(tiny, weak):
    by_weak = diffview.sample(tiny, steps=3, guide=diffview.open(weak), guidance=2.0, label=1)
    assert by_weak.spec.guidance.kind == "autoguidance" and by_weak.nfe == 6

    def judge(x, t):
        return torch.stack([x.mean((1, 2, 3)), -x.mean((1, 2, 3)), 0 * x.mean((1, 2, 3))], 1)

    pulls = [
        diffview.sample(tiny, steps=3, spacing="leading", guide=judge, guidance=9.0, label=label)
        for label in (0, 1)
    ]
    assert pulls[0].x_t[-1].mean() > pulls[1].x_t[-1].mean()  # label 0 is the brighter one


def test_a_classifier_gives_its_labels_to_a_model_without_classes(judge):
    model = diffview.wrap(lambda x_t, t: 0.3 * x_t, shape=(1, 8, 8), prediction="x0")
    run = diffview.sample(model, steps=3, guide=judge, label="Sneaker", guidance=2.0)
    assert run.spec.condition == 1 and run.spec.guidance.guide == "judge"
    assert run.direction is not None and run.direction[0].abs().max() > 0
