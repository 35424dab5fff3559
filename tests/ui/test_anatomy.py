"""The anatomy of a run in the window, on a network known in closed form."""

import dataclasses
import math

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QToolButton

from diffview.frames import curves
from diffview.frames.spectrum import spectrum
from diffview.ui.views.region_picker import Region, between


@pytest.fixture
def session(make_session, wait):
    """A window that shows a finished run of few steps, made by a sampler that adds noise."""
    made = make_session()
    controller = made.controller
    controller._set_choices(
        dataclasses.replace(controller.choices, sampler="ddpm", n_steps=8, seeds=(0, 1, 2))
    )
    controller.request_run()
    wait(lambda: not controller.activity.busy)
    return made


@pytest.fixture
def anatomy(session, wait):
    """The workspace in front, its curves counted."""
    session.window.central.go_to("anatomy")
    made = session.window.central.current
    run = session.controller.run
    wait(lambda: made.over_t.table is not None and made.over_t.table.count == len(run))
    return made


def notice(session):
    bar = session.window.notices
    return bar.text.text() if bar.isVisible() else ""


def test_the_step_is_written_out_with_its_numbers_and_hover_tells_where_they_come_from(
    session, anatomy
):
    session.controller.scrub_to(3)
    move = session.controller.run[3].move
    tiles = anatomy.update_card.view._tiles
    assert [tile.sign for tile in tiles] == ["", "=", "+", "+"]
    for tile, weight in zip(tiles[1:], (move.w0, move.w1, move.noise_std), strict=True):
        assert f"{weight:.4f}" in tile.caption
        assert "2006.11239, eq. 7" in tile.help
    assert "w₀ = α′ β / σ²" in tiles[1].help
    assert "rms z" in anatomy.update_card.remark.text()
    assert f"{move.w0:.4f}" in anatomy.update_card.view.text(), "a screen reader hears it"
    session.controller.scrub_to(5)
    anatomy.update_card.weighted.click()
    result, *terms = (
        tile.pixels[..., 0].astype(float) for tile in anatomy.update_card.view._tiles
    )
    inside = [(one > 0) & (one < 255) for one in (result, *terms)]
    shown = np.logical_and.reduce(inside)
    grey = sum(term - 127.5 for term in terms) + 127.5
    assert shown.any() and np.abs(grey - result)[shown].max() <= 3, "each is rounded once"


def test_curves_are_those_of_the_run_and_a_click_in_one_goes_there(session, anatomy, qtbot):
    run = session.controller.run
    anatomy.go_to("curves")
    for name in ("xt", "eps", "change", "direction"):
        shown = anatomy.curves.plots[name]._series[-1].y
        np.testing.assert_allclose(shown, curves.curve(run, name)[:, 0], equal_nan=True)
    plot = anatomy.curves.plots["xt"]
    assert plot._value == "–" or float(plot._value)
    QTest.mouseClick(plot, Qt.MouseButton.LeftButton, pos=plot.position_of(4).toPoint())
    assert session.controller.look.index == 4
    assert float(plot._value) == pytest.approx(curves.curve(run, "xt")[4, 0], abs=0.006)
    session.controller.select_sample(2)
    np.testing.assert_allclose(plot._series[-1].y, curves.curve(run, "xt")[:, 2])


def test_the_loss_of_a_sample_and_of_a_picture_that_is_dropped(session, anatomy, wait, tmp_path):
    wide = anatomy.curves.measure.width()
    anatomy.curves.measure.click()
    wait(lambda: not anatomy.over_t.measuring and anatomy.over_t.losses is not None)
    assert anatomy.curves.measure.width() < wide, "its number has the room beside it"
    losses, run = anatomy.over_t.losses, session.controller.run
    x_0, level = run[-1].x_t[0], losses.levels[2]
    eps = np.stack([noise_of(seed) for seed in range(4)])
    x_t = level.alpha * x_0 + level.sigma * eps
    label = session.controller.choices.condition
    x0_hat = 0.5 * np.tanh(x_t) + (label + 1) / 10
    expected = np.square((x_t - level.alpha * x0_hat) / level.sigma - eps).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(losses.values[2], expected, rtol=1e-3)
    Image.new("L", (12, 12), 90).save(tmp_path / "grey.png")
    session.window.files.open(tmp_path / "grey.png")
    wait(lambda: anatomy.over_t.losses.of == "grey.png" and not anatomy.over_t.measuring)
    assert session.window.central.current is anatomy
    assert not np.isclose(anatomy.over_t.losses.values, losses.values).any()


def noise_of(seed):
    import torch

    return torch.randn(1, 8, 8, generator=torch.Generator().manual_seed(seed)).numpy()


def test_spectra_and_a_dragged_region_are_those_of_state_and_estimate(session, anatomy, wait):
    anatomy.go_to("spectrum")
    session.controller.scrub_to(4)
    run = session.controller.run
    record, end = run[4], spectrum(run[-1].x_t[:1])
    noise, noised, estimate, state = anatomy.spectrum.plot._series
    np.testing.assert_allclose(noise.y, record.level.sigma**2)
    np.testing.assert_allclose(
        noised.y, record.level.alphas_cumprod * end.power[0] + record.level.sigma**2
    )
    np.testing.assert_allclose(estimate.y, spectrum(record.x0_hat[:1]).power[0])
    np.testing.assert_allclose(state.y, spectrum(record.x_t[:1]).power[0])
    anatomy.spectrum.all.click()
    np.testing.assert_allclose(
        anatomy.spectrum.plot._series[-1].y, spectrum(record.x_t).power.mean(axis=0)
    )
    anatomy.go_to("pixel")
    run, picker = session.controller.run, anatomy.pixel.pickers[0]
    tile = anatomy.pixel.panes[0].view.tile_rect(0)
    wait(lambda: not anatomy.pixel.panes[0].view.tile_rect(0).isEmpty())
    tile = anatomy.pixel.panes[0].view.tile_rect(0)
    step = tile.width() / 8
    corner = tile.topLeft().toPoint()
    start = corner + QPoint(round(2.5 * step), round(1.5 * step))
    QTest.mousePress(picker, Qt.MouseButton.LeftButton, pos=start)
    QTest.mouseMove(picker, corner + QPoint(round(4.5 * step), round(3.5 * step)))
    QTest.mouseRelease(picker, Qt.MouseButton.LeftButton)
    assert anatomy.pixel.region == Region(1, 2, 3, 3)
    x_t, x0_hat = anatomy.pixel.plot._series
    np.testing.assert_allclose(
        x_t.y, [record.x_t[0, 0, 1:4, 2:5].mean() for record in run], rtol=1e-5
    )
    np.testing.assert_allclose(
        x0_hat.y, [record.x0_hat[0, 0, 1:4, 2:5].mean() for record in run], rtol=1e-5
    )
    anatomy.pixel.fields["row"].setValue(99)  # by the keyboard; it stays within the picture
    assert anatomy.pixel.region.row == 7 and anatomy.pixel.region.height == 1


def test_a_region_has_its_corners_in_any_order():
    assert between((4, 1), (2, 3)) == between((2, 3), (4, 1)) == Region(2, 1, 3, 3)


def test_completions_have_a_mean_and_a_spread_and_say_how_far_the_estimate_is(
    session, anatomy, wait
):
    anatomy.go_to("completions")
    session.controller.scrub_to(2)
    page = anatomy.completions
    page.count.setValue(6)
    page.button.click()
    assert page.button.text() == "Stop"
    made = lambda: anatomy.completing.made  # noqa: E731
    wait(lambda: made() is not None and made().summary is not None)
    ends = made().record.x_t
    assert len(ends) == 6 and not np.allclose(ends[0], ends[1])
    np.testing.assert_allclose(page.mean.view._tiles.values[0, ..., 0], ends.mean(0)[0], atol=1e-6)
    record = session.controller.run[2]
    x0_hat = record.base[0] + record.direction[0]  # at γ = 1, whatever the run was guided by
    np.testing.assert_allclose(page.estimate.view._tiles.values[0, ..., 0], x0_hat[0], atol=1e-6)
    gap = math.sqrt(float(np.mean((ends.astype(np.float64).mean(0) - x0_hat) ** 2)))
    assert f"rms {gap:.4f}" in page.verdict.text()
    wait(lambda: not anatomy.completing.busy)
    session.controller.scrub_to(len(session.controller.run) - 1)
    assert not page.button.isEnabled(), "nothing is left to chance at the end"


def test_no_page_moves_what_lies_around_it_and_every_plot_has_a_name(session, anatomy, qtbot):
    heights = set()
    for name in anatomy.pages:
        anatomy.go_to(name)
        qtbot.wait(30)  # what a layout would do, it does now
        heights.add((anatomy.update_card.height(), session.window.transport.height()))
    assert len(heights) == 1
    button = session.window.findChild(QToolButton, "anatomy_completions")
    anatomy.go_to("pixel")
    session.window.findChild(QToolButton, "anatomy_pixel").setFocus()
    QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
    QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Space)
    assert anatomy._pages.currentWidget() is anatomy.completions, "by the keyboard too"
    assert button.isChecked()
    page = anatomy.curves
    for plot in (*page.plots.values(), page.loss, anatomy.spectrum.plot, anatomy.pixel.plot):
        assert plot.accessibleName() and plot.objectName() and plot.toolTip()
    assert page.plots["snr"].accessibleDescription(), "and says its value"


def test_a_sampler_that_is_no_such_sum_says_why(session, anatomy, wait):
    session.controller.choose_sampler("lms")
    session.controller.request_run()
    wait(lambda: not session.controller.activity.busy)
    session.controller.scrub_to(4)
    assert "slopes of earlier steps" in anatomy.update_card.view.text()


def test_a_run_that_writes_tokens_is_told_apart(session, anatomy, writers, wait, monkeypatch):
    from diffview.models import palette

    monkeypatch.setattr(palette, "_cache_folder", lambda: writers / "palettes")
    session.window.files.open(writers / "pixel.safetensors")
    wait(lambda: session.controller.run.spec.by_token and not session.controller.activity.busy)
    for name in anatomy.pages:
        anatomy.go_to(name)
    assert "writes tokens" in anatomy.update_card.view.text()
    assert not anatomy.completions.button.isEnabled()
    assert not anatomy.curves.measure.isEnabled()
    session.window.central.go_to("exact")
    assert "writes tokens" in session.window.central.current.below.nearest._message
