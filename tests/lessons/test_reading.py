"""What a lesson's file says, and what is told of one that is broken."""

from pathlib import Path

import pytest

from diffview.errors import InputError
from diffview.lessons import lesson, setup
from diffview.models import catalog

GOOD = """---
title: A half-way house
summary: What lies between
---
At $t$ the network says $\\hat{x}_{0}$.

```setup Half-way
model: fashion
label: Sneaker
steps: 10
step: 5
eta: 0.5
left: xt
```

Here σ is [0.92](value:sigma) or [−3 dB](value:snr_db).

```question
Is it sharp?
---
No, it is [10,000](value:nfe) times blurred.
```
"""


def parsed(text):
    return lesson.parse(text, Path("07-half.md"))


def test_a_lesson_is_read_block_by_block():
    read = parsed(GOOD)
    assert (read.name, read.title) == ("half", "A half-way house")
    assert read.summary == "What lies between"
    kinds = [type(block).__name__ for block in read.blocks]
    assert kinds == ["Text", "Setup", "Text", "Question"]
    assert read.blocks[3].asked == "Is it sharp?"
    assert read.setups[0].label == "Half-way"


def test_a_mark_of_byte_order_before_the_front_matter_is_no_part_of_it(tmp_path):
    path = tmp_path / "07-half.md"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert lesson.read(path).title == "A half-way house"


def test_a_title_between_quotes_is_read_without_them():
    quoted = GOOD.replace("title: A half-way house", "title: \"Part 1: 'half'\"")
    assert parsed(quoted.replace("What lies", "'What' lies")).title == "Part 1: 'half'"
    assert parsed(quoted.replace("What lies", "'What' lies")).summary == "'What' lies between"


def test_stated_numbers_know_their_setup_their_line_and_their_last_digit():
    read = parsed(GOOD)
    stated = list(read.stated())
    assert [one.number for one in stated] == [0.92, -3.0, 10_000.0]
    assert [one.tolerance for one in stated] == [0.005, 0.5, 0.5]
    assert all(one.setup is read.setups[0] for one in stated)
    assert [one.line for one in stated] == [16, 16, 21]


def test_a_setup_asks_for_the_run_it_describes():
    arranged = parsed(GOOD).setups[0]
    card = catalog.find("fashion").card
    spec = arranged.spec(card)
    assert (spec.n_steps, spec.condition, dict(spec.options)["eta"]) == (10, 7, 0.5)
    assert arranged.step(spec, card) == 5
    assert arranged.panes == ("xt", None)


def test_a_time_means_the_nearest_step():
    arranged = parsed(GOOD.replace("step: 5", "t: 480")).setups[0]
    card = catalog.find("fashion").card
    spec = arranged.spec(card)
    levels = spec.levels(card.schedule)
    nearest = min(abs(level.t - 480) for level in levels)
    assert abs(levels[arranged.step(spec, card)].t - 480) == nearest


def test_several_labels_are_dealt_out():
    card = catalog.find("fashion").card
    lines = ["model: fashion", "label: Bag, Sneaker", "seeds: 0-3"]
    arranged = setup.parse("Two", lines, Path("a.md"), 1)
    assert arranged.spec(card).condition == (8, 7, 8, 7)


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("---\ntitle", "title", 1, "begins with a line '---'"),
        ("title: A half-way house\n", "", 1, "a lesson has a title"),
        ("summary:", "sumary:", 3, "no 'sumary' here; known are title, summary"),
        ("```setup Half-way", "```setup", 7, "say what the button says"),
        ("model: fashion\n", "", 7, "say which 'model'"),
        ("label: Sneaker", "lable: Sneaker", 9, "no 'lable' here"),
        ("label: Sneaker", "label Sneaker", 9, "no 'key: value'"),
        ("label: Sneaker", "model: fashion", 9, "there twice"),
        ("steps: 10", "steps: ten", 7, "whole number, not 'ten'"),
        ("step: 5", "step: -5", 7, "'step' cannot be -5"),
        ("eta: 0.5", "eta: 7", 7, "eta = 7 is outside 0 to 1"),
        ("eta: 0.5", "seeds: 9-3", 7, "run backwards"),
        ("left: xt", "left: nothing", 7, "cannot show 'nothing'"),
        ("left: xt\n```", "left: xt", 7, "this block has no end"),
        ("value:sigma", "value:sigmas", 16, "nothing measures 'sigmas'"),
        ("value:sigma", "value:sigma:3", 16, "is written sigma"),
        ("value:sigma", "value:curve", 16, "is written curve:NAME"),
        ("[0.92]", "[small]", 16, "'small' states no number"),
        ("---\nNo", "No", 19, "a question is a text"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(old, new, line, said):
    assert old in GOOD
    with pytest.raises(InputError) as told:
        parsed(GOOD.replace(old, new, 1))
    assert str(told.value).startswith(f"07-half.md:{line}: ")
    assert said in str(told.value)


def test_a_number_without_a_setup_cannot_be_measured():
    with pytest.raises(InputError, match=r"07-half.md:4: .*measured in no set-up"):
        parsed("---\ntitle: A\n---\nThat is [3](value:t).\n")


def test_files_that_are_no_texts_are_refused(tmp_path):
    picture = tmp_path / "a.md"
    picture.write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(InputError, match="not a text in UTF-8"):
        lesson.read(picture)
    with pytest.raises(InputError, match="cannot read"):
        lesson.read(tmp_path / "none.md")
    (tmp_path / "b.md").write_text("x" * (lesson.MAX_BYTES + 1))
    with pytest.raises(InputError, match="larger than 1024 kB"):
        lesson.read(tmp_path / "b.md")


def test_a_lecturers_broken_lesson_is_told_of_and_the_others_are_there(monkeypatch, tmp_path):
    monkeypatch.setattr(lesson, "own_folder", lambda: tmp_path)
    (tmp_path / "99-mine.md").write_text(GOOD)
    (tmp_path / "98-broken.md").write_text("no lesson")
    lessons, broken = lesson.every()
    assert lessons[-1].name == "mine"
    assert len(broken) == 1 and "98-broken.md:1:" in str(broken[0])


def own(*settings, path=Path("a.md")):
    return setup.parse("Go", list(settings), path, 3)


def test_what_is_chosen_in_a_workspace_is_told_from_what_is_of_a_run(tmp_path):
    race = own("workspace: race", "pair: emoji-ar, emoji-text", "prompt: red heart")
    assert race.own == {"pair": "emoji-ar, emoji-text", "prompt": "red heart"}
    run = own("workspace: forward", "model: fashion", "label: Bag")
    assert run.own == {} and run.settings["label"] == "Bag"
    both = own("workspace: guidance_bench", "weight: 10", "model: fashion", "label: Bag")
    assert both.own == {"weight": "10"}
    (tmp_path / "cat.png").touch()
    coded = own("workspace: codebook", "picture: cat.png", path=tmp_path / "a.md")
    assert coded.own == {"picture": str(tmp_path / "cat.png")}


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (
            ["wait: 3"],
            "a.md:4: no 'wait' here; known are .* pair, weight",
        ),
        (["weight: 3"], "a.md:3: 'weight' is chosen in a workspace: write 'workspace: guidance"),
        (["workspace: race", "emoji: red apple"], "'emoji' is chosen .* 'workspace: codebook'"),
        (["workspace: training", "label: Bag"], "'label' is of a run: say which 'model'"),
        (["workspace: race", "pair: fashion"], "'pair' is two models with a comma"),
        (["workspace: guidance_bench", "weight: much"], "'weight' is a number, not 'much'"),
        (["workspace: codebook", "picture: no.png"], "a.md:3: there is no picture no.png: put it"),
        (["workspace: codebook", "picture: a.md", "emoji: red apple"], "two pictures"),
    ],
)
def test_a_choice_that_no_workspace_takes_is_told_with_its_line(lines, told):
    with pytest.raises(InputError, match=told):
        own(*lines)
