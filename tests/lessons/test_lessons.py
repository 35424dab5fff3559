"""The bundled lessons: every one can be read, set up, and tells the truth."""

import pytest
from PySide6.QtGui import QTextDocument

from diffview import resources
from diffview.engine.spec import Guidance, RunSpec
from diffview.errors import InputError
from diffview.lessons import lesson, measure
from diffview.lessons.lesson import Question, Text
from diffview.models import catalog
from diffview.ui import workspaces
from diffview.ui.widgets import math_text

LESSONS = [lesson.read(path) for path in sorted(resources.path("lessons").glob("*.md"))]


def the(one):
    return one.name


def test_there_are_twenty_in_the_order_of_the_lecture():
    assert len(LESSONS) == 20
    assert (LESSONS[0].name, LESSONS[-1].name) == ("pixel-by-pixel", "side-by-side")


@pytest.mark.parametrize("one", LESSONS, ids=the)
def test_each_has_a_summary_something_to_set_up_and_something_to_predict(one):
    assert one.summary
    assert one.setups
    assert any(isinstance(block, Question) for block in one.blocks)


@pytest.mark.parametrize("one", LESSONS, ids=the)
def test_every_formula_can_be_typeset(one, qapp):
    for block in one.blocks:
        if isinstance(block, Text | Question):
            document = QTextDocument()
            math_text.show(document, block.text)
            assert "$" not in document.toPlainText()


@pytest.mark.parametrize("one", LESSONS, ids=the)
def test_every_setup_can_be_arranged(one):
    for setup in one.setups:
        assert setup.workspace in ("", *workspaces.every())
        if setup.model:
            judge = catalog.find(setup.guide).card if setup.guide else None
            card = catalog.find(setup.model).card
            spec = setup.spec(card, judge)
            assert spec.model_id == setup.model
            assert 0 <= (setup.step(spec, card) or 0) <= spec.n_steps


@pytest.mark.parametrize("one", LESSONS, ids=the)
def test_every_number_is_what_the_setup_shows(one):
    told = list(measure.measured(one))
    for stated, real in told:
        assert real == pytest.approx(stated.number, abs=1.001 * stated.tolerance), stated


def test_a_number_that_is_not_there_is_told_of():
    text = "---\ntitle: A\n---\n[3](value:figure:fashion/nothing)\n"
    wrong = lesson.parse(text, resources.path("lessons", "a.md"))
    with pytest.raises(InputError, match="the card of 'fashion' has no figure 'nothing'"):
        list(measure.measured(wrong))


@pytest.mark.parametrize("guide", ["", *measure.JUDGES])
def test_a_run_is_judged_by_a_classifier_that_did_not_guide_it(guide):
    spec = RunSpec("fashion", guidance=Guidance("classifier" if guide else "none", 1.0, guide))
    assert measure.judge_of(spec) != guide
    assert catalog.find(measure.judge_of(spec)).card.prediction == "class"
