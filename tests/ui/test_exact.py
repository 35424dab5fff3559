"""A set of pictures beside a network in the window: what both say of the same x_t."""

import dataclasses

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from diffview.datasets import LabelledPictures
from diffview.models.card import ModelCard
from diffview.models.exact.pictures import ExactPictures
from diffview.models.exact.reading import read


@pytest.fixture
def by_heart(make_model):
    """Thirty pictures of the fake network's shape, schedule and classes."""
    network = make_model().card
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (30, 1, 8, 8), dtype=np.uint8)
    data = LabelledPictures(pictures, (np.arange(30) % 4).astype(np.int64))
    figures = {"pictures": 30, "megabytes": 1}
    card = ModelCard("heart", "Thirty, by heart", "pictures", (1, 8, 8), "x0", network.schedule,
                     network.classes, figures=figures)  # fmt: skip
    return ExactPictures(card, data)


@pytest.fixture
def session(make_session, make_source, by_heart, wait):
    """A window that shows a short run of the fake network, with the set among the models."""
    made = make_session()
    controller = made.controller
    controller.shelf.add(make_source(by_heart))
    controller._set_choices(
        dataclasses.replace(controller.choices, n_steps=6, seeds=(0, 1), condition=2)
    )
    controller.request_run()
    wait(lambda: not controller.activity.busy)
    controller.scrub_to(3)
    return made


@pytest.fixture
def exact(session, wait):
    """The workspace in front, everything asked."""
    session.window.central.go_to("exact")
    made = session.window.central.current
    wait(lambda: len(made.comparing.answers) == 6)
    return made


def shown(exact):
    """What the panes show, (1, 8, 8) each, by name."""
    return {pane.subject: pane.view._tiles.values[0].transpose(2, 0, 1) for pane in exact.panes}


def test_both_are_asked_at_the_same_state_and_shown_with_their_difference(
    session, exact, by_heart
):
    run, gamma = session.controller.run, session.controller.choices.guidance_scale
    record = run[3]
    told = read(by_heart, record.x_t[0], record.level, 2)
    seen = shown(exact)
    np.testing.assert_array_equal(seen["xt"], record.x_t[0])
    np.testing.assert_allclose(seen["network"], record.x0_hat[0], atol=1e-6)
    np.testing.assert_allclose(seen["exact"], told.at(gamma), atol=1e-5)
    np.testing.assert_allclose(seen["difference"], seen["network"] - seen["exact"], atol=1e-5)
    numbers = exact.posterior_card.numbers
    assert float(numbers.text("entropy")) == pytest.approx(told.under.entropy, abs=6e-4)
    assert float(numbers.text("effective")) == pytest.approx(told.under.effective, abs=6e-4)
    assert numbers.text("count") == f"{told.under.count}"
    assert exact.below.nearest._pictures[0].weight == pytest.approx(told.under.weights[0])
    apart = np.sqrt(np.mean((record.x0_hat[0] - told.at(gamma)) ** 2))
    assert float(exact.beside_card.numbers.text("rms")) == pytest.approx(apart, abs=1e-4)


def test_the_sums_can_be_over_all_pictures_or_one_class_and_the_slider_acts_on_both(
    session, exact, by_heart, network
):
    record = session.controller.run[3]
    told, calls = read(by_heart, record.x_t[0], record.level, 2), network.calls
    exact.head.sums.setCurrentIndex(0)
    np.testing.assert_allclose(shown(exact)["exact"], told.free.x0_hat, atol=1e-6)
    np.testing.assert_allclose(shown(exact)["network"], record.base[0], atol=1e-6)
    assert exact.posterior_card.numbers.text("count") == "30"
    exact.head.sums.setCurrentIndex(1)
    np.testing.assert_allclose(shown(exact)["exact"], told.under.x0_hat, atol=1e-6)
    np.testing.assert_allclose(
        shown(exact)["network"], (record.base + record.direction)[0], atol=1e-6
    )
    exact.head.sums.setCurrentIndex(2)
    session.controller._set_look(guidance_scale=5.0)
    np.testing.assert_allclose(shown(exact)["exact"], told.at(5.0), atol=1e-5)
    assert network.calls == calls, "all of that is recombined, not asked"
    assert exact.beside_card.numbers.text("distance") == "–", "of the run's own γ alone"


def test_another_class_is_asked_of_both(session, exact, by_heart, wait):
    exact.head.sums.setCurrentIndex(1)
    exact.head.label.setCurrentIndex(0)
    wait(lambda: len(exact.comparing.answers) == 6)
    record = session.controller.run[3]
    told = read(by_heart, record.x_t[0], record.level, 0)
    np.testing.assert_allclose(shown(exact)["exact"], told.under.x0_hat, atol=1e-6)
    x0_hat = 0.5 * np.tanh(record.x_t[0]) + 0.1
    np.testing.assert_allclose(shown(exact)["network"], x0_hat, atol=1e-5)


def test_entropy_over_t_is_drawn_and_a_click_in_it_goes_there(session, exact, by_heart):
    run = session.controller.run
    expected = [read(by_heart, run[k].x_t[0], run[k].level, 2).under for k in range(6)]
    _, entropy = exact.below.entropy._series
    np.testing.assert_allclose(entropy.y, [one.entropy for one in expected], atol=1e-9)
    np.testing.assert_allclose(
        exact.below.log_p._series[0].y, [one.log_prob / 64 for one in expected], atol=1e-9
    )
    where = exact.below.entropy.position_of(1).toPoint()
    QTest.mouseClick(exact.below.entropy, Qt.MouseButton.LeftButton, pos=where)
    assert session.controller.look.index == 1
    session.controller.scrub_to(6)
    assert exact.panes[2].view._tiles is None and "end of the run" in exact.panes[2].view._message


def test_of_the_sets_own_run_the_network_is_asked(session, exact, by_heart, wait):
    session.controller.choose_model("heart")
    wait(lambda: not session.controller.activity.busy)
    session.controller.scrub_to(2)
    wait(lambda: len(exact.comparing.answers) == 6)
    record = session.controller.run[2]
    gamma = session.controller.choices.guidance_scale
    np.testing.assert_allclose(shown(exact)["exact"], record.x0_hat[0], atol=1e-5)
    base = 0.5 * np.tanh(record.x_t[0]) + 0.5  # label 4 means none
    np.testing.assert_allclose(shown(exact)["network"], base - gamma * 0.2, atol=1e-5)


def test_a_folder_of_pictures_becomes_an_exact_model_and_its_rule_is_told(
    make_session, tmp_path, wait
):
    for k, (name, level) in enumerate((("dark", 10), ("dark", 30), ("light", 240))):
        (tmp_path / name).mkdir(exist_ok=True)
        Image.new("L", (12, 6), level).save(tmp_path / name / f"{k}.png")
    session = make_session()
    session.window.files.open(tmp_path)
    wait(lambda: session.controller.card.family == "pictures")
    card = session.controller.card
    assert card.classes == ("dark", "light") and card.data_shape == (1, 6, 6)
    wait(lambda: session.controller.run is not None and session.controller.run.complete)
    said = session.window.notices.text.text()
    assert "scaled to 6 x 6 grey values" in said and "2 sub-folders are the classes" in said
    session.window.central.go_to("exact")
    exact = session.window.central.current
    session.controller.scrub_to(10)
    wait(lambda: exact.answer is not None)
    assert exact.panes[1].view._message == "No trained model here has samples of this shape."


def test_without_a_set_of_the_runs_shape_it_says_what_to_do(make_session, wait):
    session = make_session()
    session.window.central.go_to("exact")
    exact = session.window.central.current
    assert "Press Run" in exact.below.nearest._message
    session.controller.request_run()
    wait(lambda: not session.controller.activity.busy)
    assert "drop a folder of pictures" in exact.below.nearest._message


def test_a_set_without_classes_changes_no_choice_for_those_that_have_some(
    session, exact, make_source, by_heart, wait
):
    plain = LabelledPictures(by_heart.pictures.numpy(), np.full(30, -1))
    card = dataclasses.replace(by_heart.card, id="plain", classes=())
    session.controller.shelf.add(make_source(ExactPictures(card, plain)))
    exact._take_run()
    exact.head.set.setCurrentIndex(exact.head.set.findData("plain"))
    wait(lambda: exact.answer is not None and exact.answer.reading.under is None)
    assert exact.head.sums.currentData() == "all"
    assert exact.class_card.bars.isHidden() and not exact.class_card.remark.isHidden()
    exact.head.set.setCurrentIndex(exact.head.set.findData("heart"))
    wait(lambda: exact.answer is not None and exact.answer.reading.under is not None)
    assert exact.head.sums.currentData() == "guided" and exact.class_card.remark.isHidden()


def test_of_a_run_without_a_class_all_pictures_are_summed_over_until_one_is_chosen(
    session, exact, by_heart, wait
):
    controller = session.controller
    controller.choose_condition(None)
    wait(lambda: controller.run.spec.condition is None and not controller.activity.busy)
    controller.scrub_to(3)
    wait(lambda: exact.answer is not None and len(exact.comparing.answers) == 6)
    assert exact.head.sums.currentData() == "all"
    record = controller.run[3]
    told = read(by_heart, record.x_t[0], record.level)
    np.testing.assert_allclose(shown(exact)["exact"], told.free.x0_hat, atol=1e-5)
    exact.head.sums.setCurrentIndex(exact.head.sums.findData("guided"))
    assert exact.head.sums.currentData() == "guided" and exact.head.label.isEnabled()
    wait(lambda: exact.answer is not None and exact.answer.reading.under is not None)
    assert exact.posterior_card.numbers.text("count") == str(exact.answer.reading.under.count)
