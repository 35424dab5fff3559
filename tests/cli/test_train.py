"""`diffview train`: its words, and what it says while it works."""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from diffview.cli import train
from diffview.errors import InputError
from diffview.models import catalog
from diffview.training import recipes
from diffview.training.evaluate import Evaluating
from diffview.training.job import Plan
from diffview.training.loop import Progress


def arguments(*words):
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    return parser.parse_args([str(word) for word in words])


def test_without_a_recipe_the_known_ones_are_listed(capsys):
    assert train.run(arguments("--json")) == 0
    names = [json.loads(line)["name"] for line in capsys.readouterr().out.splitlines()]
    assert names == list(recipes.every()) and "fashion" in names


def test_without_out_the_command_asks_for_it():
    with pytest.raises(InputError, match="--out FILE"):
        train.run(arguments("fashion"))


def test_pictures_without_labels_are_refused_with_the_recipe_that_takes_them(tmp_path):
    (tmp_path / "cats").mkdir()
    Image.new("RGB", (40, 40)).save(tmp_path / "cats" / "a.png")
    words = ("fashion", "--data", tmp_path / "cats", "--out", tmp_path / "a.safetensors")
    with pytest.raises(InputError, match=r"cats is a folder of pictures.*recipe 'folder'"):
        train.run(arguments(*words))
    assert not list(tmp_path.glob("a.*"))


def test_the_checkpoint_lies_beside_the_model_unless_named(tmp_path):
    made = train._plan(arguments("fashion", "--out", tmp_path / "a" / "fashion.safetensors"))
    assert made.checkpoint == tmp_path / "a" / "fashion.ckpt"
    assert made.sheets == tmp_path / "a" / "fashion-sheets"


def test_the_way_to_go_on_repeats_what_was_asked():
    args = arguments(
        "fashion", "--out", "my model", "--threads", 1, "--device", "cpu", "--evaluate"
    )
    assert train._again(args) == (
        "diffview train fashion --out 'my model' --resume --threads 1 --device cpu --evaluate"
    )


class Judge:
    """A recipe that finds the same figures in any file."""

    def __init__(self, folder=None):
        self.folder = folder

    def evaluate(self, path, device, n):
        yield Evaluating(n, n, "pictures")
        return {"pictures": n, "right": 0.75, "path": path.name}


def test_a_model_that_is_there_is_judged_beside_its_card(tiny, monkeypatch, capsys):
    entry = catalog.entry(Path(tiny), bundled=True)
    card = dataclasses.replace(entry.card, figures={"pictures": 500, "right": 0.5})
    monkeypatch.setattr(catalog, "bundled", lambda: (dataclasses.replace(entry, card=card),))
    info = recipes.RecipeInfo("tiny", "Tiny", "nothing", "no time", False, Judge)
    monkeypatch.setattr(recipes, "find", lambda name: info)
    before = Path(tiny).read_bytes()
    assert train.run(arguments("tiny", "--evaluate", "--json")) == 0
    out, err = capsys.readouterr()
    assert "  pictures: 500\n" in err and "right: 0.75; its card: 0.5" in err
    facts = json.loads(out)
    assert facts["figures"]["path"] == entry.path.name and facts["stated"]["right"] == 0.5
    assert Path(tiny).read_bytes() == before


@pytest.mark.parametrize("flag", [("--minutes", "1"), ("--samples", "9"), ("--overwrite",)])
def test_a_training_whose_file_was_forgotten_is_not_taken_for_a_judgement(flag):
    with pytest.raises(InputError, match="where shall the model go"):
        train.run(arguments("fashion", *flag, "--evaluate"))


@pytest.mark.parametrize(
    ("seconds", "text"), [(5, "5 s left"), (600, "10 min left"), (7500, "2 h 5 min left")]
)
def test_remaining_time_is_said_as_people_say_it(seconds, text):
    assert train.remaining(seconds) == text


def test_the_smoothed_loss_is_the_plain_mean_at_first():
    smooth = None
    for step, loss in enumerate([4.0, 2.0, 3.0, 7.0], start=1):
        smooth = train.smoothed(smooth, loss, step)
    assert smooth == pytest.approx(4.0)


def test_a_terminal_gets_one_line_that_renews_itself(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    now = iter(range(100))
    plan = Plan(out=tmp_path / "m.safetensors", checkpoint=tmp_path / "m.ckpt")
    teller = train._Teller("fashion", plan, as_json=False, clock=lambda: next(now))
    teller.progress(Progress(1, 10, 16, 0.5, 100.0))
    teller.progress(Progress(2, 10, 32, 0.4, 100.0))
    teller.say("done")
    err = capsys.readouterr().err
    assert err.count("\r") >= 2 and err.endswith("done\n")
    assert "step 2/10" in err and "s left" in err
