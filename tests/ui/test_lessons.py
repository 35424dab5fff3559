"""Lessons in the window: read, set up, and taken back; formulas in the text."""

import dataclasses
from pathlib import Path

import pytest
from PySide6.QtGui import QTextDocument
from PySide6.QtWidgets import QLabel, QPushButton

from diffview.datasets.fashion import FASHION_CLASSES
from diffview.engine import schedules
from diffview.errors import InputError
from diffview.lessons import lesson, setup
from diffview.models.card import ModelCard
from diffview.training.recipes import RecipeInfo
from diffview.training.survey import Offer
from diffview.ui import state, workspaces
from diffview.ui.jobs import ModelSource
from diffview.ui.judging import GUIDES
from diffview.ui.panels.lesson_dock import NARROWEST
from diffview.ui.panels.lesson_page import Prose
from diffview.ui.widgets import math_text

PAGE = """---
title: A lesson
---
A state $x_{t}$ and

$$\\hat{x}_{0} = \\frac{x_{t}}{\\sqrt{\\alpha}}$$

```setup Look
model: fake
steps: 3
seeds: 5-6
step: 1
left: eps
```

```setup Refused
model: fake
steps: 900000
left: score
workspace: forward
```

```setup Not here
model: nobody-has-it
```

```setup Half of it
workspace: race
pair: fake, nobody-has-it
```

```question
Why?
---
Because of [0.5](value:sigma).
```
"""


def formulas(document):
    block, found = document.begin(), []
    while block.isValid():
        fragments = block.begin()
        while not fragments.atEnd():
            format = fragments.fragment().charFormat()
            if format.objectType() == math_text.FORMULA:
                found.append(format.property(math_text.MARKUP))
            fragments += 1
        block = block.next()
    return found


def test_formulas_stand_in_the_text_and_are_spoken(qapp):
    document = QTextDocument()
    math_text.show(
        document, "The *mean* of $x_{t}$ costs $5 or so.\n\n$$a = \\frac{b}{c}$$\n\nEnd."
    )
    assert formulas(document) == ["x_{t}", r"a = \dfrac{b}{c}"]
    assert "$5 or so" in document.toPlainText()
    assert math_text.plain(document).startswith("The mean of x t costs")
    assert "b over c" in math_text.plain(document)


def test_a_formula_that_cannot_be_read_is_refused(qapp):
    with pytest.raises(InputError, match=r"the formula \$.*\$ cannot be read: unknown command"):
        math_text.show(QTextDocument(), r"It is $\nothing{x}$.")


@pytest.mark.parametrize("braces", ["{" * 5000 + "x" + "}" * 5000, r"\sqrt{" * 300 + "}" * 300])
def test_a_formula_nested_without_end_is_refused(qapp, braces):
    with pytest.raises(InputError, match="nested"):
        math_text.show(QTextDocument(), f"It is ${braces}$.")


@pytest.mark.parametrize("one", lesson.every()[0], ids=lambda one: one.name)
def test_no_formula_is_wider_than_the_dock(qtbot, one):
    prose = [Prose(block.text, "prose") for block in one.blocks if isinstance(block, lesson.Text)]
    for shown in prose:
        qtbot.addWidget(shown)
        shown.resize(NARROWEST - 40, 100)
        shown.show()
        assert shown.document().idealWidth() <= shown.viewport().width()


@pytest.fixture
def teaching(session, monkeypatch):
    page = lesson.parse(PAGE, Path("01-a.md"))
    second = lesson.parse("---\ntitle: B\n---\nText.\n", Path("02-b.md"))
    monkeypatch.setattr(
        lesson, "every", lambda: ([page, second], [InputError("03-c.md:1: broken")])
    )
    session.window.teaching.show()
    return session.window.teaching


def button(teaching, text):
    found = teaching.dock.page.findChildren(QPushButton)
    return next(one for one in found if one.text() == text)


def test_a_lesson_sets_the_window_up_and_brings_back_what_was(qtbot, session, teaching):
    c = session.controller
    qtbot.waitUntil(lambda: c.run is not None and c.run.complete, timeout=10_000)
    before, look, choices = c.run, c.look, c.choices
    assert teaching.dock.title.text() == "A lesson"
    button(teaching, "Look").click()
    qtbot.waitUntil(lambda: c.run is not before and c.run.complete, timeout=10_000)
    qtbot.waitUntil(lambda: not c.activity.busy, timeout=10_000)
    assert (c.run.spec.n_steps, c.run.spec.seeds, c.look.index) == (3, (5, 6), 1)
    assert c.look.panes[0].quantity == "eps"
    # once more: the run is there, so it is only looked at
    run = c.run
    c.scrub_to(3)
    button(teaching, "Look").click()
    assert c.run is run and c.look.index == 1 and not c.activity.busy
    teaching.dock.way_back.click()
    assert c.run is before and c.choices == choices
    assert (c.look.index, c.look.panes) == (look.index, look.panes)
    assert not teaching.dock.way_back.isEnabled()


def test_a_setup_that_is_refused_leaves_everything_as_it_was(wait, session, teaching):
    c = session.controller
    choices, look, name = c.choices, c.look, session.window.central.name
    button(teaching, "Refused").click()
    assert (c.choices, c.look, session.window.central.name) == (choices, look, name)
    assert not teaching.dock.way_back.isEnabled()
    c.request_run()
    wait(lambda: not c.activity.busy)
    assert c.look.panes == look.panes


def a_setup(*settings, label="Set up"):
    """The first set-up of a lesson that says this."""
    text = "\n".join(("---", "title: A", "---", f"```setup {label}", *settings, "```", ""))
    return lesson.parse(text, Path("05-own.md")).setups[0]


def a_source(id, classes):
    card = ModelCard(
        id=id, title=id, family="fake", data_shape=(1, 2, 2), schedule=schedules.named("linear"),
        prediction="x0", classes=classes,
    )  # fmt: skip
    return ModelSource(card, lambda device: None)


def an_offer(name):
    info = RecipeInfo(name, name, "nothing", "no time", quick_to_judge=True, make=object)
    return Offer(info, 1000, 1e-3, (), ())


def told(session):
    return " ".join(label.text() for label in session.window.notices.findChildren(QLabel))


def test_what_a_person_had_comes_back_with_the_page_and_the_preview_of_gamma(
    wait, session, teaching, network
):
    c, central = session.controller, session.window.central
    central.go_to("anatomy")
    central.current.go_to("spectrum")
    network.hold()
    c.choose_guidance(7.0)
    c.scrub_to(2)
    assert c.look.guidance_scale == 7.0
    before, look, choices = c.run, c.look, c.choices
    teaching.arrange(a_setup("model: fake", "steps: 3", "workspace: anatomy", "page: pixel"))
    assert central.current.page_in_front == "pixel"
    network.release()
    wait(lambda: c.run is not before and c.run.complete and not c.activity.busy)
    teaching.go_back()
    assert (central.name, central.current.page_in_front) == ("anatomy", "spectrum")
    assert (c.run, c.choices) == (before, choices)
    assert (c.look.index, c.look.guidance_scale) == (look.index, 7.0)


def test_the_model_that_was_chosen_comes_back_beside_the_run_of_another(
    wait, session, teaching, make_model, make_source
):
    c = session.controller
    wait(lambda: c.run is not None and c.run.complete and not c.activity.busy)
    other = make_model(id="other")
    other.card = dataclasses.replace(other.card, weights_sha256="b" * 64)
    c.shelf.add(make_source(other))
    c.show_run(c.run, {"id": "other", "model": {"id": "other", "sha256": "b" * 64}})
    choices, run = c.choices, c.run
    teaching.arrange(a_setup("workspace: race", "pair: fake, fake", "label: 2"))
    teaching.go_back()
    assert (c.choices, c.run) == (choices, run) and choices.model_id == "fake"


def test_panes_are_not_turned_for_a_run_that_was_refused(wait, session, teaching, monkeypatch):
    c = session.controller
    panes, spec = c.look.panes, c.spec
    monkeypatch.setattr(type(c), "_refused", lambda self: True)
    teaching.arrange(a_setup("model: fake", "steps: 3", "left: eps"))
    monkeypatch.undo()
    assert c.pending is None
    c.restore(state.from_spec(spec))
    c.request_run()
    wait(lambda: not c.activity.busy)
    assert c.look.panes == panes, "another run is looked at as before"


def test_where_the_lessons_stand_is_remembered_once(session, teaching, monkeypatch):
    saved = []
    monkeypatch.setattr(type(session.settings), "save", lambda self, **more: saved.append(more))
    teaching.show()
    assert not any("lessonsPlaced" in more for more in saved)


def test_a_setup_of_what_is_chosen_already_runs_where_nothing_has_run(wait, session, teaching):
    race = session.window.central.workspace("race")
    race._choose("fake", "fake")
    assert not race.racing.runs
    teaching.arrange(a_setup("workspace: race", "pair: fake, fake"))
    wait(lambda: race.racing.runs and not race.racing.running)


def test_setups_choose_in_workspaces_what_is_theirs_and_give_it_back(wait, session, teaching):
    central = session.window.central
    teaching.arrange(a_setup("workspace: race", "pair: fake, fake", "label: 2", "prompt: an owl"))
    race = central.current
    assert (central.name, race.arrangement["pair"]) == ("race", "fake, fake")
    assert (race.racing.wanted.label, race.head.label.currentText()) == ("2", "2")
    assert race.racing.wanted.prompt == "an owl"
    wait(lambda: all(run.complete for run in race.racing.runs) and not race.racing.running)
    runs = race.racing.runs
    teaching.arrange(a_setup("workspace: race", "pair: fake, fake"))
    assert [a is b for a, b in zip(race.racing.runs, runs, strict=True)] == [True, True]
    teaching.go_back()
    assert central.name == "denoising"
    assert race.racing.wanted.prompt != "an owl"


@pytest.mark.parametrize(
    ("workspace", "wrong", "told_of"),
    [
        ("race", "pair: nobody, fake", "'nobody' is not here"),
        ("race", "label: Whale\npair: fake, fake", "class 'Whale'"),
        ("guidance_bench", "label: Whale", "no class 'Whale'"),
        ("guidance_bench", "weight: 1000", "0 to 100"),
    ],
)
def test_a_choice_that_a_workspace_refuses_is_told_with_its_line(
    session, teaching, workspace, wrong, told_of
):
    session.controller.offer(a_source("fashion", FASHION_CLASSES))
    for name in GUIDES:
        session.controller.shelf.guides[name] = None
    name = session.window.central.name
    teaching.arrange(a_setup(f"workspace: {workspace}", *wrong.split("\n")))
    assert told_of in told(session) and "05-own.md:4" in told(session)
    assert session.window.central.name == name and not teaching.dock.way_back.isEnabled()
    teaching.arrange(a_setup("workspace: anatomy"))
    assert session.window.notices.isHidden()


def test_the_bench_the_recipe_and_the_emoji_are_chosen(session, teaching):
    central = session.window.central
    bench = central.workspace("guidance_bench")
    session.controller.offer(a_source("fashion", FASHION_CLASSES))
    for name in GUIDES:
        session.controller.shelf.guides[name] = None
    started = []
    bench.judging.start = started.append
    bench.prepare({"weight": "10", "label": "Coat"})()
    coat = FASHION_CLASSES.index("Coat")
    assert [(asked.weight, asked.label) for asked in started] == [(10.0, coat)]
    training = central.workspace("training")
    training.prepare({"recipe": "fashion"})()  # nothing was looked up yet
    training._on_surveyed([an_offer("points"), an_offer("fashion")])
    assert training.arrangement == {"recipe": "fashion"}
    with pytest.raises(InputError, match="no recipe 'nothing'; known are points, fashion"):
        training.prepare({"recipe": "nothing"})
    codebook = central.workspace("codebook")
    opened = []
    codebook.coding.open_emoji = lambda place, exchanged: opened.append(place)
    codebook.prepare({"emoji": "green heart"})()
    codebook._on_named(("red apple", "green heart"))
    assert opened == [1]
    with pytest.raises(InputError, match="no bundled emoji 'whale'"):
        codebook.prepare({"emoji": "whale"})


def test_each_workspace_takes_what_lessons_may_choose_and_no_more(session):
    for name in workspaces.every():
        made = session.window.central.workspace(name)
        assert set(made.arrangement) <= set(setup.OWN.get(name, ()))
        if name not in setup.OWN:
            with pytest.raises(InputError, match="cannot be chosen in this workspace"):
                made.prepare({"weight": "1"})


def test_what_is_not_here_is_greyed_out_with_the_reason(session, teaching):
    for name in ("Not here", "Half of it"):
        absent = button(teaching, name)
        assert not absent.isEnabled()
        assert "nobody-has-it" in absent.toolTip()


def test_an_answer_is_hidden_until_it_is_asked_for(session, teaching):
    answer = teaching.dock.page.findChild(object, "lessonAnswer5")
    assert answer.isHidden()
    button(teaching, "Show the answer").click()
    assert not answer.isHidden()


def test_pages_are_turned_and_remembered(session, teaching):
    session.window.commands.do("lesson_after")
    assert teaching.dock.title.text() == "B"
    assert not teaching.dock.after.isEnabled()
    assert session.settings.get("lesson", "") == "b"
    session.window.commands.do("lessons")
    assert not teaching.dock.isVisible()


def test_a_file_of_ones_own_is_opened_and_read_anew(qtbot, session, teaching, tmp_path):
    own = tmp_path / "mine.md"
    for title in ("Mine", "Mine, mended"):
        own.write_text(f"---\ntitle: {title}\n---\nText.\n")
        session.window.files.open(own)
        qtbot.waitUntil(lambda t=title: teaching.dock.title.text() == t, timeout=10_000)
        assert teaching.dock.chooser.count() == 3


def test_a_broken_lesson_is_told_of(session, teaching):
    assert "03-c.md:1: broken" in " ".join(
        label.text() for label in session.window.notices.findChildren(QLabel)
    )


def test_a_part_with_a_broken_formula_says_what_and_where_and_the_rest_is_shown(
    wait, session, teaching, tmp_path
):
    own = tmp_path / "mine.md"
    wrong = (
        "---\ntitle: Mine\n---\nSound.\n\nA $\\nothing{x}$ b.\n\n```setup Go on\nstep: 1\n```\n"
    )
    own.write_text(wrong)
    session.window.files.open(own)
    wait(lambda: teaching.dock.title.text() == "Mine")
    page, place = teaching.dock.page, f"{own}:6"
    shown = " ".join(label.text() for label in page.findChildren(QLabel))
    assert place in shown and "unknown command" in shown and place in told(session)
    assert button(teaching, "Go on").isEnabled()
    assert teaching.dock.number == 2 == teaching.dock.chooser.currentIndex()
    own.write_text(wrong.replace("nothing", "sqrt"))
    session.window.files.open(own)
    wait(lambda: not page.findChildren(QLabel))
    assert session.window.notices.isHidden()


def test_every_page_that_a_bundled_lesson_turns_to_is_there(session):
    paged = [(one.name, made) for one in lesson.every()[0] for made in one.setups if made.page]
    assert paged
    for name, made in paged:
        session.window.central.go_to(made.workspace)
        assert made.page in session.window.central.current.pages, name
