"""When the last answer holds for a question too."""

from dataclasses import replace

import numpy as np
import pytest

from diffview.engine.levels import NoiseLevel
from diffview.engine.spec import Guidance, RunSpec
from diffview.ui import guide_source
from diffview.ui.noising import Question


@pytest.fixture
def question(make_model, make_source):
    weaker = guide_source.of_model(make_source(make_model(id="weak")))
    spec = RunSpec("fake", guidance=Guidance("autoguidance", 2.0, "weak"))
    x_0, eps = np.zeros((2, 1, 8, 8), np.float32)
    source = make_source(make_model())
    return Question(source, source.place, x_0, eps, NoiseLevel(5, 0.6, 0.8), spec, weaker, "")


def test_an_answer_holds_for_another_gamma_and_a_guide_wrapped_anew(question):
    guide = replace(question.spec.guidance, scale=7.0)
    again = guide_source.GuideSource(question.guide.card, lambda model: None)
    other = replace(question, spec=replace(question.spec, guidance=guide), guide=again)
    assert other.is_but_for_gamma(question)


def test_no_answer_holds_for_another_model_place_guide_picture_or_level(
    question, make_model, make_source
):
    another = make_source(make_model())
    for changed in (
        {"source": another},
        {"place": ("cpu", "bfloat16")},
        {"guide": guide_source.of_model(make_source(make_model(id="weak")))},
        {"guide": None},
        {"x_0": question.x_0.copy()},
        {"eps": question.eps.copy()},
        {"level": NoiseLevel(6, 0.6, 0.8)},
    ):
        assert not replace(question, **changed).is_but_for_gamma(question), changed
