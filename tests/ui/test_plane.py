"""The 2-D lab in the real window: what it shows is what the model, the run and the γ say."""

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel

from diffview.engine import schedules
from diffview.engine.spec import Guidance
from diffview.errors import InputError
from diffview.frames.plane import Window
from diffview.models import catalog, sampling
from diffview.models.exact.grid import Grid
from diffview.models.exact.mixture import points
from diffview.models.exact.mixture_denoiser import MixtureDenoiser
from diffview.models.exact.toys import mixture_card, toys
from diffview.ui.drawn_points import APART, NOTHING, SHAPES, shape
from diffview.ui.jobs import ModelSource
from diffview.ui.panels.plane_cards import tweedie
from diffview.ui.panels.plane_explore import faint_steps
from diffview.ui.panels.plane_guidance import Sampled
from diffview.ui.panels.plane_guidance import words_of as gap_words
from diffview.ui.plane_gaps import asked_gamma, varies
from diffview.ui.plane_lab import Fields, Question
from diffview.ui.views.cost_bars import BEYOND, costs, words_of

STEPS, GAMMA = 6, 2.5
TOY = "mixture"


@pytest.fixture
def opened(make_session, wait):
    """The lab on four Gaussians, with a thousand particles that are all there."""
    session = make_session()
    controller, central = session.controller, session.window.central
    controller.choose_steps(STEPS)
    controller.choose_guidance(GAMMA)  # and not the usual one, which is each model's own
    central.go_to("plane")
    page = central.current
    page.lab.count = 1000
    page.gallery.buttons[TOY].click()
    wait(lambda: controller.run is not None and controller.run.complete)
    wait(lambda: page.lab.particles is not None and not page.lab.following)
    wait(lambda: page.lab.answer is not None)
    return SimpleNamespace(session=session, controller=controller, page=page, lab=page.lab)


def settled(opened, wait):
    """Wait until the field of what is looked at is drawn."""
    lab = opened.lab

    def there():
        asked = getattr(lab.answer, "asked", None)
        now = (lab.level, lab.label, lab.gamma, lab.window)
        return asked is not None and now == (asked.level, asked.label, asked.gamma, asked.window)

    wait(there)


def test_before_a_distribution_is_chosen_there_is_one_to_choose(make_session, wait):
    session = make_session()
    session.window.central.go_to("plane")
    page = session.window.central.current
    assert page.page is None and page.gallery.isVisible()
    assert [card for card in page.cards if card.isVisible()] == [page.pages_card]
    assert set(toys()) < set(page.gallery.buttons)
    page.gallery.buttons["draw"].click()
    assert page.page is page.draw and not page.pages_card.isVisible()
    page.go_to("explore")
    assert page.gallery.isVisible() and page.pages_card.isVisible()


def test_the_plane_follows_the_scrubber_and_gamma(opened, wait):
    controller, lab, plane = opened.controller, opened.lab, opened.page.explore.plane
    for index in (0, 3, STEPS):
        controller.scrub_to(index)
        settled(opened, wait)
        assert lab.answer.drawn.level == controller.run[index].level
        shown, _ = plane._particles
        np.testing.assert_array_equal(shown, lab.particles.paths[index])
        np.testing.assert_array_equal(plane._moving["samples"].places, lab.record.x_t)
        assert plane._moving["paths"].places.shape == (16, index + 1, 2)
    assert opened.page.explore.level_card.numbers.text("step") == f"{STEPS}/{STEPS}"
    controller.scrub_to(3)
    controller.choose_guidance(7.0)
    settled(opened, wait)
    assert lab.answer.drawn.gamma == 7.0
    wait(lambda: lab.particles.spec.guidance.scale == 7.0 and not lab.following)
    controller.choose_condition(None)
    wait(lambda: controller.run.spec.condition is None)
    settled(opened, wait)
    assert lab.answer.drawn.field.given is None and lab.gamma == 0.0
    assert opened.page.explore.level_card.numbers.text("gamma") == "–"


def test_numbers_layers_samples_and_zoom_answer_to_hand_and_key(opened, wait):
    the_numbers_under_the_mouse_are_the_models_own(opened, wait)
    layers_and_ground_can_be_chosen(opened, wait)
    a_click_selects_a_sample_and_a_key_zooms(opened, wait)
    explore = opened.page.explore
    for widget in (*explore.layers.buttons.values(), explore.layers.combo, explore.plane):
        assert widget.accessibleName() and widget.objectName() and widget.toolTip()


def the_numbers_under_the_mouse_are_the_models_own(opened, wait):
    explore, lab = opened.page.explore, opened.lab
    opened.controller.scrub_to(2)
    explore.plane.setFocus()
    QTest.keyClick(explore.plane, Qt.Key.Key_Right, Qt.KeyboardModifier.AltModifier)
    rows = explore.place_card.rows
    wait(lambda: rows.text("x_t") != "–")
    x = torch.tensor([explore.plane.probe], dtype=torch.float64)
    model = MixtureDenoiser(opened.controller.card, toys()[TOY].mixture)
    label = torch.tensor([opened.controller.choices.condition])
    free, given = (model(x, lab.level, condition)[0] for condition in (None, label))
    expected = (free + GAMMA * (given - free)).numpy()
    wait(lambda: f"{expected[0]:.3f}".replace("-", "−") in rows.text("x0_hat"))
    assert explore.plane._moving["probe"].ends[0] == pytest.approx(expected)


@pytest.mark.parametrize("score", [-0.8231, 0.0624, -12.34, 250.0])
def test_tweedies_line_can_be_calculated(score):
    level = schedules.named("linear").level(300)
    x0_hat = (0.505 + level.sigma**2 * score) / level.alpha
    left, right = tweedie(level, 0.505, score, x0_hat).replace("−", "-").split(" = ")
    assert len(left) + len(right) < 38
    assert eval(left.replace("·", "*")) == pytest.approx(float(right), rel=5e-3, abs=2e-3)


def a_lesson_chooses_layers_and_gives_them_back(page):
    before = page.arrangement
    page.prepare({"layers": "estimate, samples", "ground": "energy"})()
    assert page.explore.layers.on == {"estimate", "samples"}
    assert "tweedie" in page.explore.plane._moving and page.explore.layers.ground == "energy"
    page.prepare(before)()
    assert page.arrangement == before
    with pytest.raises(InputError, match="no layer 'arrows'; known are"):
        page.prepare({"layers": "arrows"})
    with pytest.raises(InputError, match="no ground 'mud'; known are density"):
        page.prepare({"ground": "mud"})


def layers_and_ground_can_be_chosen(opened, wait):
    a_lesson_chooses_layers_and_gives_them_back(opened.page)
    explore = opened.page.explore
    settled(opened, wait)
    explore.plane.grab()
    assert "score" in explore.plane._still and "flow" not in explore.plane._still
    explore.layers.buttons["score"].click()
    explore.layers.buttons["particles"].click()
    explore.plane.grab()
    assert "score" not in explore.plane._still and explore.plane._particles is None
    explore.layers.combo.setCurrentIndex(1)
    assert any("nats" in line for line in explore.plane._legend)


def a_click_selects_a_sample_and_a_key_zooms(opened, wait):
    explore, do = opened.page.explore, opened.session.window.commands.do
    opened.controller.scrub_to(0)
    at = explore.plane.to_pixels(np.asarray(opened.lab.record.x_t[5], float))
    QTest.mouseClick(explore.plane, Qt.MouseButton.LeftButton, pos=QPoint(*map(int, at)))
    assert opened.controller.look.sample == 5
    assert explore.plane._moving["samples"].ringed == 5
    QTest.keyClick(explore.plane, Qt.Key.Key_Plus)
    settled(opened, wait)
    assert opened.lab.answer.drawn.window == explore.plane.seen
    do("reset_zoom")
    assert not explore.plane.zoomed
    do("copy")
    assert not QApplication.clipboard().pixmap().isNull()


def test_guidance_and_energy_say_what_they_cost(opened, wait):
    guidance_is_weighed_against_its_own_density(opened, wait)
    opened.controller.choose_condition(0)
    z_is_measured_and_a_constant_changes_nothing_but_z(opened, wait)


def guidance_is_weighed_against_its_own_density(opened, wait):
    page = opened.page
    page.go_to("guidance")
    gaps = page.guidance.gaps
    wait(lambda: len(gaps.by_step) == STEPS + 1)
    opened.controller.scrub_to(0)
    wait(lambda: gaps.gap is not None and gaps.gap[2] == 0)
    assert gaps.gap[0].distance.tv == pytest.approx(gaps.gap[0].distance.tv_floor, rel=0.3)
    drawn = page.guidance.plot._curves
    assert not any(curve.faint for curve in drawn), "what chance makes is in the plot, not below"
    opened.controller.scrub_to(STEPS)
    wait(lambda: gaps.gap[2] == STEPS)
    apart = gaps.gap[0].distance
    assert apart.tv > 2 * apart.tv_floor, "sampling with γ does not give p_γ"
    card = page.guidance.gap_card
    assert card.numbers.text("tv") == f"{100 * apart.tv:.1f} %"
    assert "not those of p_γ" in card.words.text()
    the_whole_run_is_weighed_again_under_another_gamma_and_after_an_interruption(opened, wait)
    opened.controller.choose_condition(None)
    wait(lambda: "Choose one class" in card.words.text())


def the_whole_run_is_weighed_again_under_another_gamma_and_after_an_interruption(opened, wait):
    page, lab = opened.page, opened.lab
    gaps = page.guidance.gaps
    opened.controller.choose_guidance(6.0)
    wait(lambda: lab.particles.spec.guidance.scale == 6.0 and not lab.following)
    wait(lambda: len(gaps.by_step) == STEPS + 1)
    gaps.by_step.pop(0)
    gaps._slices.start(lambda: iter(()))
    page.go_to("energy")
    page.go_to("guidance")
    wait(lambda: len(gaps.by_step) == STEPS + 1)


def z_is_measured_and_a_constant_changes_nothing_but_z(opened, wait):
    page = opened.page
    opened.controller.choose_guidance(1.0)
    page.go_to("energy")
    energy = page.energy
    energy.fineness.setCurrentIndex(0)
    wait(lambda: len(energy._done) == 3 and energy._done[3].complete)
    shown = costs(energy._done)
    assert [cost.dims for cost in shown] == [1, 2, 3, *BEYOND]
    # The energy is a sum over dimensions, so its Z is a product.
    for cost in shown[:3]:
        assert cost.z == pytest.approx(cost.known, rel=1e-9)
    assert [10 ** round(cost.evaluations, 9) for cost in shown[:3]] == pytest.approx(
        [32, 32**2, 32**3]
    )
    assert "10¹¹⁸⁰ evaluations" in words_of(shown[-1])[2]
    wait(lambda: page.lab.gamma == 1.0 and energy.shift_card.rows.text("c") == "0.0 nats")
    energy.shift_card.slider.setValue(20)
    wait(lambda: energy.shift_card.rows.text("c") == "2.0 nats")
    z, known = (float(energy.shift_card.rows.text(name)) for name in ("z", "known"))
    assert known == pytest.approx(math.exp(-2), rel=1e-3) and z == pytest.approx(known, rel=5e-3)
    change, unit = energy.shift_card.rows.text("score").split(" ", 1)
    assert unit == "per unit" and 0 <= float(change) < 1e-9, "a gradient does not see c"


def test_what_a_distance_says_is_said_in_words():
    tilted = Sampled(3.0, clean=True)
    assert gap_words(0.05, 0.05, tilted).startswith("They agree with p_γ:")
    assert gap_words(0.07, 0.05, tilted).startswith("They nearly agree")
    assert "10 times what chance" in gap_words(0.5, 0.05, tilted)
    assert "noised versions" in gap_words(0.5, 0.05, tilted)
    assert gap_words(0.5, 0.0, tilted), "a density in one cell leaves nothing to chance"


@pytest.mark.parametrize(("gamma", "density"), [(0.0, "p(x)"), (1.0, "p(x|y)")])
def test_where_nothing_is_tilted_the_words_name_the_density_and_the_sampler(gamma, density):
    assert f"which is {density} for" in gap_words(0.05, 0.05, Sampled(gamma, clean=True))
    assert "take more" in gap_words(0.5, 0.05, Sampled(gamma, clean=True))


@pytest.mark.parametrize("gamma", [0.0, 1.0, 3.0])
def test_neither_steps_nor_tilting_are_blamed_where_the_curve_changes_gamma(gamma):
    words = gap_words(0.5, 0.05, Sampled(gamma, clean=True, varies=True))
    assert "curve or interval" in words
    assert "take more" not in words and "noised versions" not in words


def test_a_run_without_guidance_is_compared_with_gamma_1():
    card = toys()[TOY].card()
    label = sampling.spec_for(card, label=0, steps=4, guidance=0.0, seeds=[0])
    inside = dataclasses.replace(label, options=(("interval", "0.5, 2"),))
    unguided = dataclasses.replace(label, guidance=Guidance("none", 3.0))
    assert [asked_gamma(spec) for spec in (label, unguided)] == [0.0, 1.0]
    assert [varies(spec, card.schedule) for spec in (label, inside, unguided)] == [
        False, True, False,
    ]  # fmt: skip


def the_clean_end_has_no_error_and_says_so(opened, wait):
    page = opened.page.learn
    opened.controller.scrub_to(STEPS)
    wait(lambda: page.numbers.text("mean") == "–")
    assert "Without noise" in page.error._message and page.error._ground is None
    assert page.error._legend == page.learned._legend == ()
    opened.controller.scrub_to(3)
    wait(lambda: page.learning.comparison is not None)
    assert page.error._message == "" and page.numbers.text("mean") != "–"


def another_schedule_is_none_that_the_network_has_learned(opened, wait):
    page = opened.page.learn
    opened.controller.choose_option("schedule", "flow")
    opened.controller.request_run()
    wait(lambda: opened.lab.foreign and page.learning.comparison is None)
    assert "another schedule" in page.error._message and page.numbers.text("mean") == "–"
    opened.controller.choose_option("schedule", "own")
    opened.controller.request_run()
    wait(lambda: not opened.lab.foreign and not opened.lab.following)
    opened.controller.scrub_to(3)
    wait(lambda: page.learning.comparison is not None)
    assert page.error._message == ""


def test_a_network_learns_is_compared_and_can_be_used(opened, wait):
    page, controller = opened.page, opened.controller
    controller.scrub_to(3)
    page.go_to("learn")
    learning = page.learn.learning
    learning.start(20, 16, "v")
    wait(lambda: bool(learning.steps) and not learning.training)
    wait(lambda: learning.comparison is not None and learning.particles is not None)
    error = learning.comparison.error
    assert page.learn.numbers.text("mean") == f"{error.mean:.4f}" and error.mean > 0.01
    assert learning.least.shape == (10,)
    assert learning.particles.at(STEPS).shape == (1000, 2)
    the_clean_end_has_no_error_and_says_so(opened, wait)
    another_schedule_is_none_that_the_network_has_learned(opened, wait)
    page.learn.network_card.use.click()
    wait(lambda: controller.card.id == f"{TOY}-learned" and controller.run.complete)
    assert learning.model is None, "it learned another distribution's field"
    page.go_to("explore")
    wait(lambda: any("without noise" in line for line in page.explore.plane._legend))
    controller.scrub_to(3)
    wait(lambda: any("no density" in line for line in page.explore.plane._legend))
    page.go_to("guidance")
    wait(lambda: "no density" in page.guidance.gap_card.words.text())


def test_what_is_drawn_becomes_a_model(opened, wait):
    page, controller = opened.page, opened.controller
    page.go_to("draw")
    canvas = page.draw.plane
    middle = QPoint(canvas.width() // 2, canvas.height() // 2)
    for label, down in ((0, -60), (1, 60)):
        page.draw.classes[label].click()
        start = middle + QPoint(-80, down)
        QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=start)
        QTest.mouseMove(canvas, start + QPoint(160, 0))
        QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=start + QPoint(160, 0))
    drawn = page.draw.drawn
    assert len(drawn.strokes) == 2 and len(drawn) > 10
    upper = canvas.to_place(middle + QPoint(0, -60))[1]
    np.testing.assert_allclose(drawn.places[drawn.labels == 0][:, 1], upper, atol=1e-6)
    QTest.keyClick(canvas, Qt.Key.Key_Return)
    QTest.keyClick(canvas, Qt.Key.Key_Backspace)
    assert len(page.draw.drawn) == len(drawn)
    wait(lambda: page.draw._preview is not None)
    page.draw.keep.click()
    wait(lambda: controller.card.title == "Drawn by hand 1" and controller.run.complete)
    (entry,) = catalog.own()
    assert entry.card.id == "drawn-1" and entry.card.weights_sha256
    page.go_to("draw")
    page.draw.use.click()
    wait(lambda: controller.card.title == "Drawn by hand" and controller.run.complete)
    assert controller.card.classes == ("Class 1", "Class 2")
    assert page.page is page.explore
    settled(opened, wait)
    assert opened.lab.answer.drawn.field.given is not None


@pytest.mark.parametrize(("step", "records"), [(0, 51), (40, 51), (50, 51), (92, 51), (7, 3)])
def test_faint_paths_go_no_further_than_the_particles_of_a_shorter_run(step, records):
    places = faint_steps(step, records)
    assert places[-1] == min(step, records - 1) and places == sorted(set(places))


def test_points_that_are_opened_become_a_density_to_explore(opened, wait, tmp_path):
    window, controller = opened.session.window, opened.controller
    opened.page.go_to("draw")
    window.central.go_to("denoising")
    path = tmp_path / "two.csv"
    path.write_text("x,y,kind\n0.5,0,right\n-0.5,0,left\n")
    window.files.open(path)
    wait(lambda: controller.card.title == "two" and controller.run.complete)
    assert window.central.current is opened.page and opened.page.page is opened.page.explore
    assert controller.card.classes == ("left", "right")
    wait(lambda: getattr(opened.lab.answer, "asked", None) is not None)
    settled(opened, wait)
    assert opened.lab.source.card is controller.card
    first = controller.card
    path.write_text("x,y,kind\n0.6,0,right\n-0.5,0,left\n")
    window.files.open(path)
    wait(lambda: controller.card is not first and controller.run.complete)
    assert first.id.startswith("points-two-") and controller.card.id.startswith("points-two-")
    assert controller.card.id != first.id, "what is kept of the one is not shown for the other"
    path.write_text("0.5,0\n0.5\n")
    window.files.open(path)
    said = lambda: " ".join(one.text() for one in window.notices.findChildren(QLabel))  # noqa: E731
    wait(lambda: "two.csv:2: 1 values" in said())
    assert controller.card.classes == ("left", "right")


def test_a_field_is_of_the_model_it_is_asked_of_also_where_another_one_is_gone():
    fields, grid = Fields(), Grid((-1, -1), (1, 1), (2, 2))
    level = schedules.named("linear").level(500)
    noisy = level.alpha**2 * 0.1**2 + level.sigma**2
    made = {}
    for place in np.linspace(-1, 1, 9):
        data = points([[place, 0.0]], std=0.1)
        made[place] = MixtureDenoiser(mixture_card(data, "one", "One", ""), data)
    for place, model in made.items():  # a new source lies where the last one lay
        source = ModelSource(model.card, lambda _, model=model: model)
        window = Window((-1, -1), (1, 1))
        asked = Question(source, level, None, 0.0, window, model.schedule)
        score = fields.guided(asked, grid).at(0.0).score
        expected = (level.alpha * np.array([place, 0.0]) - grid.points()) / noisy
        np.testing.assert_allclose(score.reshape(-1, 2), expected, rtol=1e-9)
        del source, score


# ---- points drawn by hand -----------------------------------------------------------------------


def test_strokes_are_even_and_can_be_taken_back():
    drawn = NOTHING.begun(0, 0, 0).drawn_to(0.31, 0, 0).begun(0, 1, 2)
    assert len(drawn) == 12 and drawn.strokes == (11, 1)
    np.testing.assert_allclose(np.diff(drawn.places[:11, 0]), APART)
    assert drawn.undone().strokes == (11,) and len(drawn.undone().undone()) == 0
    assert len(NOTHING.undone()) == 0
    left = drawn.erased(0, 0, 0.1)
    assert len(left) == 8 and np.hypot(*left.places.T).min() > 0.1


def test_only_the_classes_that_were_used_are_told_apart():
    drawn = NOTHING.begun(0, 0, 0).drawn_to(0.31, 0, 0).begun(0, 1, 2)
    data = drawn.mixture(0.05)
    assert data.classes == ("Class 1", "Class 3")
    np.testing.assert_allclose(data.label_weights, [11 / 12, 1 / 12])
    assert drawn.undone().mixture(0.05).classes == ()


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_a_row_of_points_within_reach(name):
    places = shape(name)
    gaps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    assert np.abs(places).max() <= 1 and 20 < len(places) < 400
    # Along the curve they are APART; where it turns sharply they are nearer to each other.
    assert gaps.max() < 1.001 * APART and np.median(gaps) == pytest.approx(APART, rel=0.01)
