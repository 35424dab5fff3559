"""Models that write token by token in the window: chosen, run, scrubbed, decoded, exported."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from PIL import Image
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel

from diffview.engine import session
from diffview.frames import lens as lenses
from diffview.frames.compose import thumbnail
from diffview.models import catalog, palette
from diffview.ui import jobs, outlook, panes, state
from diffview.ui.panels.guidance_panel import GuidancePanel
from diffview.ui.panels.sampling_panel import SamplingPanel
from diffview.ui.panels.token_panel import CandidateBars, token_numbers
from diffview.ui.state import Look, Pane
from diffview.ui.timeline import RunTimeline
from diffview.ui.views.entropy_plot import EntropyPlot
from diffview.ui.workers import JobRunner


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(palette, "_cache_folder", lambda: tmp_path / "palettes")


@pytest.fixture
def sources(writers):
    return {name: jobs.source_of(catalog.entry(writers / f"{name}.safetensors"))
            for name in ("text", "pixel")}  # fmt: skip


@pytest.fixture
def decoder(qapp):
    made = JobRunner("decoding")
    yield made
    assert made.close()


@pytest.fixture
def store(make_controller, decoder, sources, wait):
    """A controller with the fake model and both writers; the text model has just run."""
    controller = make_controller(decoder=decoder)
    controller.choose_seeds(0, 3)
    controller.add_source(sources["text"])
    wait(lambda: controller.run is not None and controller.run.spec.by_token)
    wait(lambda: controller.run.complete and not controller.activity.busy)
    return controller


def test_choosing_one_takes_its_own_settings_and_going_back_takes_the_others(sources, make_model):
    noise, text, pixel = make_model().card, sources["text"].card, sources["pixel"].card
    before = dataclasses.replace(state.defaults(noise), seeds=(4, 5), n_steps=7)
    choices = state.adapted(before, text)
    assert (choices.sampler, choices.n_steps, choices.seeds) == ("autoregressive", 16, (4, 5))
    assert choices.condition == "red apple"
    assert state.adapted(choices, pixel).n_steps == 25
    back = state.adapted(choices, noise)
    assert (back.sampler, back.n_steps) == ("ddim", 50)
    assert back.option("clip") == "none"
    assert choices.option("clip") == "none"  # what it has not does nothing


def test_its_settings_stand_against_nothing_but_other_guidance(sources):
    card = sources["text"].card
    seen = outlook.outlook(state.defaults(card), card, [])
    assert seen.warning == ""
    assert set(seen.barred["guidance_kind"]) == {"classifier", "autoguidance"}
    hot = state.defaults(card).with_option("temperature", 0.0)
    assert "likeliest" in outlook.outlook(hot, card, []).idle["top_k"]


def test_the_sampling_panel_has_temperature_and_top_k_and_nothing_of_noise(qtbot, sources):
    panel, card = SamplingPanel(), sources["text"].card
    qtbot.addWidget(panel)
    panel.show_model(card)
    panel.show_state(state.defaults(card))
    assert panel.sampler.currentData() == "autoregressive"
    assert panel.sampler.count() == 1
    assert set(panel._knobs) == {"temperature", "top_k"}
    assert not any(panel.fold.isAncestorOf(knob) for knob in panel._knobs.values())
    assert panel.spacing.parent().isHidden()
    assert panel.fold.button.isHidden()
    assert (panel.steps.value(), panel.steps.isEnabled()) == (16, False)


def test_the_sampling_panel_comes_back_for_a_model_of_noise(qtbot, sources, make_model):
    panel, noise = SamplingPanel(), make_model().card
    qtbot.addWidget(panel)
    for card in (sources["pixel"].card, noise):
        panel.show_model(card)
        panel.show_state(state.defaults(card))
    assert panel.sampler.currentData() == "ddim"
    assert not panel.spacing.parent().isHidden()
    assert panel.steps.isEnabled()
    assert "clip" in panel._knobs


def test_the_guidance_panel_speaks_of_logits(qtbot, sources):
    panel, card = GuidancePanel(), sources["text"].card
    qtbot.addWidget(panel)
    panel.show_state(state.defaults(card), guidable=True)
    assert "logits" in panel.slider.toolTip()
    assert panel.fold.button.isHidden()


def test_another_kind_of_run_is_looked_at_in_its_own_quantities(store, make_model):
    assert [pane.quantity for pane in store.look.panes] == ["xt", "entropy"]
    assert store.look.strip == "xt"
    store.choose_pane(1, Pane("x0hat"))
    store.request_run()
    assert [pane.quantity for pane in store.look.panes] == ["xt", "x0hat"]


def test_panes_that_a_run_cannot_fill_show_what_it_has(store):
    run = store.run
    changed = panes.fitting(Look(panes=(Pane("eps"), Pane("surprise")), strip="score"), run, run)
    assert [pane.quantity for pane in changed["panes"]] == ["entropy", "surprise"]
    assert changed["strip"] == "xt"


def test_tokens_are_shown_roughly_at_once_and_decoded_where_the_view_rests(
    store, wait, heard, sources
):
    wait(lambda: store.decoding.quick is not None)
    assert store.decoding.quick.name == lenses.PREVIEW
    frames = heard(store.frameChanged)
    store.scrub_to(7)
    assert frames[0].lens == lenses.PREVIEW
    wait(lambda: frames[-1].lens == lenses.DECODED and frames[-1].i == 7)
    whole = sources["text"].model().decode(torch.tensor(store.run[7].x_t))
    expected = np.rint((whole.numpy().transpose(0, 2, 3, 1) + 1) * 127.5)
    np.testing.assert_allclose(frames[-1].tiles[0].pixels[..., :3], expected, atol=1)
    store.scrub_to(6)
    store.scrub_to(7)
    assert frames[-1].lens == lenses.DECODED  # kept: scrubbing back is free


def test_the_film_strip_of_a_complete_run_is_decoded_too(store, wait, heard, sources):
    wait(lambda: store.decoding.quick is not None)
    timeline = RunTimeline(store)
    told = heard(timeline.stripChanged)
    timeline.start()
    lens = sources["text"].decoder()
    expected = [thumbnail(record, 0, "xt", lens) for record in store.run]
    rough = [thumbnail(record, 0, "xt", store.decoding.quick) for record in store.run]
    assert not np.array_equal(rough, expected)
    wait(lambda: np.array_equal(told[-1].pictures, expected))
    store.select_sample(1)
    np.testing.assert_array_equal(
        told[-1].pictures[-1], thumbnail(store.run[-1], 1, "xt", store.decoding.quick)
    )
    other = [thumbnail(record, 1, "xt", lens) for record in store.run]
    wait(lambda: np.array_equal(told[-1].pictures, other))
    timeline.stop()
    store.select_sample(2)
    timeline.start()  # asks for the strip of another sample, and is left while it is drawn
    timeline.stop()
    last = [thumbnail(record, 2, "xt", lens) for record in store.run]
    wait(lambda: np.array_equal(timeline._pictures, last))


def test_pixels_need_no_decoder_after_the_quick_lens(store, sources, wait):
    store.add_source(sources["pixel"])
    wait(lambda: store.run.spec.model_id == "tiny-pixel" and not store.activity.busy)
    wait(lambda: store.decoding.quick is not None)
    assert store.frame.lens == lenses.DECODED


def test_the_slider_recombines_the_next_token_at_once(store, heard):
    store.scrub_to(5)
    frames = heard(store.frameChanged)
    before = store.frame.tiles[1].values.copy()
    store.choose_guidance(9.0)
    shown = frames[0].tiles[1].values
    assert frames[0].guidance_scale == 9.0
    changed = ~((shown == before) | (np.isnan(shown) & np.isnan(before)))
    assert changed.any()
    rows, columns = np.nonzero(changed.any(axis=(0, 3)))
    factor = shown.shape[1] // 4
    assert set(rows // factor) == {1}  # token 5 is in row 1, column 1
    assert set(columns // factor) == {1}


def test_the_numbers_of_a_token_are_those_that_were_recorded(store):
    record = store.run[6]
    texts = token_numbers(record, 2, 16)
    assert texts["place"] == "1, 2"
    assert texts["i"] == "6/16"
    assert float(texts["entropy"]) == pytest.approx(record.written.entropy[2, 6], abs=1e-3)
    assert float(texts["choices"]) == pytest.approx(
        math.exp(record.written.entropy[2, 6]), abs=0.06
    )
    assert texts["token"] == str(record.written.chosen[2, 6])
    assert float(texts["p"].rstrip("%")) == pytest.approx(
        100 * record.written.probability[2, 6], abs=0.006
    )
    assert token_numbers(store.run[16], 0, 16)["entropy"] == "–"


def test_a_click_on_the_entropy_goes_to_that_token(qtbot, heard):
    plot = EntropyPlot()
    qtbot.addWidget(plot)
    plot.resize(300, 120)
    plot.show_entropy(np.ones(10), 21, 12)
    plot.show()
    asked = heard(plot.stepRequested)
    middle = QPoint(round(plot._at(10, 0).x()), 60)
    QTest.mouseClick(plot, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, middle)
    assert asked == [10]


def test_a_window_shows_a_model_of_tokens_with_its_own_cards(make_session, sources, wait):
    made = make_session()
    controller, window = made.controller, made.window
    controller.choose_seeds(0, 2)
    controller.add_source(sources["text"])
    wait(lambda: controller.run is not None and controller.run.spec.by_token)
    wait(lambda: not controller.activity.busy)
    wait(lambda: controller.decoding.quick is not None)
    controller.scrub_to(3)
    assert window.run_cards.token.isVisible()
    assert not window.run_cards.step.isVisible()
    assert window.findChild(QLabel, "token_place").text() == "0, 3"
    assert window.transport.place.text() == "token 3/16 · row 0, column 3"
    assert [end.text() for end in window.transport.ends] == ["nothing", "image"]
    assert window.findChild(CandidateBars, "candidateBars").accessibleDescription()
    wait(lambda: window.denoising.left.lens.text() == "decoded")
    assert window.denoising.right.policy.currentText() == "0–log K"
    controller.choose_model("fake")
    wait(lambda: not controller.run.spec.by_token and not controller.activity.busy)
    assert window.run_cards.step.isVisible()
    assert not window.run_cards.token.isVisible()


def test_a_saved_run_of_tokens_is_opened_and_exported_decoded(
    make_session, sources, wait, tmp_path
):
    made = make_session()
    controller = made.controller
    controller.choose_seeds(0, 2)
    controller.add_source(sources["text"])
    wait(lambda: controller.run is not None and controller.run.spec.by_token)
    wait(lambda: controller.run.complete and not controller.activity.busy)
    session.save(controller.run, tmp_path / "run.dvsession", controller.about)
    before = controller.run
    made.window.files.open(tmp_path / "run.dvsession")
    wait(lambda: controller.run is not before)
    wait(lambda: controller.decoding.quick is not None)
    assert controller.frame.tiles[0].pixels.shape[1:3] == (16, 16)
    made.window.files.ask_export()
    dialog = made.window.files._dialog
    names = [dialog.left.itemData(row) for row in range(dialog.left.count())]
    assert names == ["xt", "x0hat", "entropy", "surprise"]
    dialog.scale.setValue(1)
    dialog.folder.setText(str(tmp_path / "out"))
    dialog.start.click()
    wait(lambda: (tmp_path / "out" / "recipe.json").exists())
    wait(lambda: not made.window.files._exporting)
    with Image.open(tmp_path / "out" / "frame_0016.png") as picture:
        shown = np.asarray(picture.convert("RGB"))[:16, :16]
    whole = sources["text"].model().decode(torch.tensor(controller.run[16].x_t))
    expected = np.rint((whole.numpy()[0].transpose(1, 2, 0) + 1) * 127.5)
    np.testing.assert_allclose(shown, expected, atol=1)
    dialog.close()
