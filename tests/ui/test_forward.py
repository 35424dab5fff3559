"""The forward process in the window, on a network known in closed form."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from diffview.datasets.emoji_sprite import emoji_sprite
from diffview.engine import schedules
from diffview.frames import noising
from diffview.models import catalog, preview
from diffview.models.card import ModelCard
from diffview.models.network import NetworkDenoiser
from diffview.ui import jobs


@pytest.fixture
def forward(session, wait):
    """The workspace in front, with its first estimate."""
    session.window.central.go_to("forward")
    made = session.window.central.current
    wait(lambda: made.noising.answer is not None and not made.noising.busy)
    return made


def values(pane):
    """(C, H, W) as the pane shows them."""
    return pane.view._tiles.values[0].transpose(2, 0, 1)


def noise_of(seed):
    return torch.randn(1, 8, 8, generator=torch.Generator().manual_seed(seed)).numpy()


def notice(session):
    bar = session.window.notices
    return bar.text.text() if bar.isVisible() else ""


def by_the_formula(session, forward, gamma):
    """The fake network's guided estimate at what the middle pane shows."""
    x_t = values(forward.panes[1])
    base = 0.5 * np.tanh(x_t) + 0.5  # label 4 means none
    direction = (session.controller.choices.condition - 4) / 10
    return base + gamma * direction


def settle(forward, wait):
    wait(lambda: not forward.noising.busy)


def test_it_begins_with_the_selected_sample_of_the_run(session, forward):
    expected = session.controller.run[-1].x_t[0]
    assert np.array_equal(values(forward.panes[0]), expected)
    assert forward.chooser.list.currentText() == "Sample 0 of the run"


def test_the_scrubber_goes_to_every_t_and_the_state_is_alpha_x_0_plus_sigma_eps(
    session, forward, wait
):
    scrubber = session.window.transport.scrubber
    assert scrubber.maximum() == 999
    x_0 = session.controller.run[-1].x_t[0]
    for place in (0, 345, 999):
        scrubber.setValue(place)
        level = session.controller.card.schedule.level(999 - place)
        expected = level.alpha * x_0 + level.sigma * noise_of(0)
        np.testing.assert_allclose(values(forward.panes[1]), expected, atol=1e-6)
        assert session.window.transport.place.text() == f"t {999 - place}"
        assert forward.level_card.numbers.text("t") == f"{999 - place}"


def test_the_estimate_and_its_error_follow(session, forward, wait):
    session.window.transport.scrubber.setValue(500)
    settle(forward, wait)
    expected = by_the_formula(session, forward, session.controller.choices.guidance_scale)
    np.testing.assert_allclose(values(forward.panes[2]), expected, atol=1e-5)
    error = np.linalg.norm(expected - values(forward.panes[0]))
    assert float(forward.error_card.norm.text("norm")) == pytest.approx(error, abs=1e-4)
    rms = error / 8
    assert float(forward.error_card.numbers.text("rms")) == pytest.approx(rms, abs=1e-4)
    psnr = 20 * np.log10(2 / rms)
    shown = forward.error_card.numbers.text("psnr").replace("−", "-").removesuffix(" dB")
    assert float(shown) == pytest.approx(psnr, abs=0.06)


def test_the_guidance_slider_changes_the_estimate_without_asking_the_network(
    session, forward, network, wait
):
    session.controller.choose_spacing("leading")  # so that no run is redone behind it
    network.hold()
    calls = network.calls
    session.controller.choices = dataclasses.replace(session.controller.choices)
    session.controller.choose_guidance(7.0)
    expected = by_the_formula(session, forward, 7.0)
    np.testing.assert_allclose(values(forward.panes[2]), expected, atol=1e-5)
    assert forward.error_card.numbers.text("gamma") == "7"
    assert not forward.noising.asking
    network.release()
    wait(lambda: not session.controller.activity.busy)
    assert network.calls > calls, "the whole run was redone all the same"


def test_another_class_asks_anew(session, forward, wait):
    session.controller.choose_condition(1)
    settle(forward, wait)
    expected = by_the_formula(session, forward, session.controller.choices.guidance_scale)
    np.testing.assert_allclose(values(forward.panes[2]), expected, atol=1e-5)


def test_the_picture_before_stays_until_the_new_estimate_is_there(session, forward, network, wait):
    before = values(forward.panes[2]).copy()
    network.hold()
    session.window.transport.scrubber.setValue(900)
    session.window.transport.scrubber.setValue(910)
    assert np.array_equal(values(forward.panes[2]), before)
    assert forward.panes[2]._remark.text() != forward.panes[1]._remark.text() == "t 89"
    network.release()
    settle(forward, wait)
    assert forward.panes[2]._remark.text() == "t 89"
    assert not np.array_equal(values(forward.panes[2]), before)


def test_another_seed_is_another_noise_at_the_same_level(session, forward, wait):
    forward.chooser.seed.setValue(11)
    settle(forward, wait)
    level, x_0 = forward.levels.level, values(forward.panes[0])
    expected = level.alpha * x_0 + level.sigma * noise_of(11)
    np.testing.assert_allclose(values(forward.panes[1]), expected, atol=1e-6)


def test_selecting_another_sample_noises_that_one(session, forward, wait):
    session.controller.select_sample(3)
    settle(forward, wait)
    assert np.array_equal(values(forward.panes[0]), session.controller.run[-1].x_t[3])
    assert forward.chooser.list.currentText() == "Sample 3 of the run"


def picture(folder, level=204):
    Image.new("RGB", (20, 10), (level, level, level)).save(folder / "grey.png")
    return folder / "grey.png"


def test_a_picture_is_read_and_what_was_done_to_it_is_told(session, forward, tmp_path, wait):
    session.window.files.open(picture(tmp_path))
    wait(lambda: forward.picture.of == "file" and not session.filing.busy)
    settle(forward, wait)
    np.testing.assert_allclose(values(forward.panes[0]), np.full((1, 8, 8), 0.6), atol=1e-6)
    assert forward.chooser.list.currentText() == "grey.png"
    assert "20 × 10 → 8 × 8" in notice(session) and "to grey" in notice(session)
    forward.chooser.list.setCurrentIndex(0)
    assert np.array_equal(values(forward.panes[0]), session.controller.run[-1].x_t[0])
    forward.chooser.list.setCurrentIndex(1)
    assert np.allclose(values(forward.panes[0]), 0.6)


def test_a_picture_is_read_anew_for_a_model_of_another_shape(
    session, forward, tmp_path, wait, make_model, make_source
):
    session.window.files.open(picture(tmp_path))
    wait(lambda: forward.picture.of == "file" and not session.filing.busy)

    def flat(x_t, t):
        return 0.5 * x_t

    other = make_model(flat, id="colour", shape=(3, 4, 4), classes=0, null=None)
    session.controller.add_source(make_source(other))
    wait(lambda: forward.noising.x_0 is not None and forward.noising.x_0.shape == (3, 4, 4))
    settle(forward, wait)
    assert values(forward.panes[0]).shape == values(forward.panes[2]).shape == (3, 4, 4)


def test_a_model_of_points_refuses_a_picture_in_words(
    session, forward, tmp_path, wait, make_model, make_source
):
    flat = make_model(lambda x_t, t: 0.5 * x_t, id="flat", shape=(2,), classes=0, null=None)
    session.controller.add_source(make_source(flat))
    forward.take_picture(picture(tmp_path))
    wait(lambda: "are points, not pictures" in notice(session))
    assert not forward.noising.reading, "it is read once a model can take it"
    session.controller.choose_model("fake")
    wait(lambda: forward.noising.x_0 is not None and not forward.noising.busy)
    np.testing.assert_allclose(values(forward.panes[0]), np.full((1, 8, 8), 0.6), atol=1e-6)


def test_without_a_run_it_says_what_to_do(make_session):
    session = make_session()
    session.window.central.go_to("forward")
    forward = session.window.central.current
    assert "drop a picture" in forward.panes[0].view._message
    assert forward.panes[1].view._message == ""
    session.window.commands.do("copy")


def test_a_model_that_breaks_is_told_and_the_next_estimate_comes(session, forward, network, wait):
    network.fails_at = network.calls
    session.window.transport.scrubber.setValue(10)
    wait(lambda: "the fake network broke" in notice(session))
    session.window.transport.scrubber.setValue(20)
    settle(forward, wait)
    assert forward.noising.answer.asked.level.t == 979


def test_error_and_noise_can_be_shown_in_place_of_the_estimate(session, forward, wait):
    settle(forward, wait)
    estimate, clean = values(forward.panes[2]).copy(), values(forward.panes[0])
    forward.panes[2]._list.setCurrentIndex(1)
    assert forward.panes[2].subject == noising.ERROR
    np.testing.assert_allclose(values(forward.panes[2]), estimate - clean, atol=1e-6)
    forward.panes[2]._list.setCurrentIndex(2)
    level, x_t = forward.levels.level, values(forward.panes[1])
    eps_hat = (x_t - level.alpha * estimate) / level.sigma
    np.testing.assert_allclose(values(forward.panes[2]), eps_hat, atol=1e-4)


def test_copy_takes_the_three_panes(session, forward):
    frame = forward.frame
    assert [tiles.quantity for tiles in frame.tiles] == ["x0", "xt", "x0hat"]
    session.window.commands.do("copy")
    assert "Copied a picture" in notice(session)


def test_the_film_strip_draws_only_what_is_seen_of_it(session, forward):
    strip = session.window.transport.strip
    places = len(strip.steps_on_strip())
    session.window.grab()
    assert 1 < len(forward.levels._pictures._kept) <= places < 100


def test_the_values_under_the_mouse_are_those_of_every_pane(session, forward, monkeypatch):
    monkeypatch.delattr(noising, "state")  # the mouse moves too often for drawing anew
    forward._on_hovered(0, 2, 5)
    lines = forward.value_card.values.text().splitlines()
    shown = [float(line.split()[-1].replace("−", "-")) for line in lines]
    expected = [values(pane)[0, 2, 5] for pane in forward.panes]
    np.testing.assert_allclose(shown, expected, atol=6e-4)


def halved(x):
    return x[:, ::2, ::2]


class Halving:
    """Encodes by every second pixel, doubled; decodes by the way back."""

    sha256 = "e" * 64

    def __call__(self, latents):
        return (latents / 2).repeat_interleave(2, -1).repeat_interleave(2, -2)

    def encode(self, pictures):
        return 2 * pictures[..., ::2, ::2]


@pytest.fixture
def latent(session, forward, make_source, wait, tmp_path, monkeypatch):
    """The workspace with a model of latents (3, 4, 4) that decode to pictures (3, 8, 8)."""
    monkeypatch.setattr(preview, "_cache_folder", lambda: tmp_path / "previews")
    card = ModelCard(
        "latent", "Latent", "wrapped", (3, 4, 4), "x0", schedules.named("cosine"),
        latent=True, picture_shape=(3, 8, 8),
    )  # fmt: skip
    model = NetworkDenoiser(card, lambda x_t, t: 0.5 * x_t, decoder=Halving())
    session.controller.add_source(make_source(model))
    wait(lambda: forward.looks.quick is not None)
    return forward


def settled(forward):
    return not (forward.noising.busy or forward.looks.busy) and len(forward._seen()) == 3


def test_a_picture_is_encoded_noised_as_latents_and_seen_decoded(session, latent, tmp_path, wait):
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 256, (4, 4, 3), np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    Image.fromarray(levels).save(tmp_path / "mosaic.png")
    latent.take_picture(tmp_path / "mosaic.png")
    picture = levels.transpose(2, 0, 1) / 127.5 - 1
    wait(lambda: settled(latent))
    session.window.transport.scrubber.setValue(600)
    wait(lambda: settled(latent) and len(latent._decoded(latent.noising.answer)) == 2)
    x_0, level = 2 * halved(picture), latent.levels.level
    eps = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(0)).numpy()
    x_t = level.alpha * x_0 + level.sigma * eps
    np.testing.assert_allclose(values(latent.panes[0]), picture, atol=1e-5)
    np.testing.assert_allclose(halved(values(latent.panes[1])), x_t / 2, atol=1e-5)
    np.testing.assert_allclose(halved(values(latent.panes[2])), x_t / 4, atol=1e-5)
    assert [pane._remark.text() for pane in latent.panes] == [
        "decoded", f"t {level.t:g} · decoded", "decoded",
    ]  # fmt: skip
    norm = np.linalg.norm(x_t / 2 - x_0)
    assert float(latent.error_card.norm.text("norm")) == pytest.approx(norm, rel=1e-3)
    psnr = 10 * np.log10(4 / np.mean((x_t / 4 - x_0 / 2) ** 2))
    shown = latent.error_card.numbers.text("psnr").replace("−", "-").removesuffix(" dB")
    assert float(shown) == pytest.approx(psnr, abs=0.06)
    assert latent.levels._pictures[300].shape == (4, 4, 4), "the strip shows previews, unenlarged"
    latent.panes[2]._list.setCurrentIndex(1)
    np.testing.assert_allclose(halved(values(latent.panes[2])), x_t / 2 - x_0, atol=1e-5)


def test_a_decoder_that_fails_is_told_of_once_and_the_panes_say_so(
    session, forward, make_source, heard, wait, tmp_path, monkeypatch
):
    monkeypatch.setattr(preview, "_cache_folder", lambda: tmp_path / "previews")
    calls = []

    class Broken(Halving):
        def __call__(self, latents):
            calls.append(latents)
            raise RuntimeError("the decoder broke")

    card = ModelCard(
        "latent", "Latent", "wrapped", (3, 4, 4), "x0", schedules.named("cosine"),
        latent=True, picture_shape=(3, 8, 8),
    )  # fmt: skip
    notices = heard(session.controller.noticed)
    model = NetworkDenoiser(card, lambda x_t, t: 0.5 * x_t, decoder=Broken())
    session.controller.add_source(make_source(model))
    forward.take_picture(picture(tmp_path))
    wait(lambda: forward.noising.answer is not None and not forward.looks.busy)
    settle(forward, wait)
    tried = len(calls)
    forward._show()
    assert not forward.looks.busy and len(calls) == tried < 10
    told = [said for said in notices if "the decoder broke" in said.text]
    assert [said.topic for said in told].count("forward") == 1
    assert "could not be decoded" in forward.panes[0].view._message


def test_a_bundled_emoji_is_noised_in_the_models_own_shape(session, forward, wait):
    wait(lambda: forward.chooser.emoji.count() > 1000)
    forward.chooser.list.setCurrentIndex(forward.chooser.list.findData("emoji"))
    assert forward.chooser.emoji.isVisible()
    assert forward.chooser.emoji.currentText() == "red apple"
    emoji = emoji_sprite()

    def expected(name):
        levels = emoji.pictures[emoji.names.index(name)].transpose(1, 2, 0)
        grey = Image.fromarray(levels).resize((8, 8), Image.Resampling.LANCZOS).convert("L")
        return np.asarray(grey, np.float32)[None] / 127.5 - 1

    wait(lambda: np.allclose(values(forward.panes[0]), expected("red apple"), atol=0.01))
    QTest.keyClick(forward.chooser.emoji.field, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    QTest.keyClicks(forward.chooser.emoji.field, "pizza")
    QTest.keyClick(forward.chooser.emoji.field, Qt.Key.Key_Return)
    wait(lambda: np.allclose(values(forward.panes[0]), expected("pizza"), atol=0.01))
    QTest.keyClicks(forward.chooser.emoji.field, "no such thing")
    QTest.keyClick(forward.chooser.emoji.field, Qt.Key.Key_Return)
    assert "no bundled emoji called" in notice(session)


def test_a_model_that_writes_tokens_says_why_it_has_no_forward_process(
    session, forward, writers, wait, tmp_path
):
    session.controller.add_source(jobs.source_of(catalog.entry(writers / "pixel.safetensors")))
    assert not forward.panes[0].isVisible() and not forward.chooser.isVisible()
    assert "token by token" in forward.empty.words.text()
    words = forward.empty.words
    assert words.height() >= words.heightForWidth(words.width()), "no line of it is cut off"
    assert session.window.transport.place.text() == ""
    assert forward.level_card.numbers.text("t") == "–"
    assert forward.frame is None
    forward.take_picture(picture(tmp_path))
    wait(lambda: "no forward process" in notice(session))
    assert forward.empty.button.text() == "Choose Fake"
    QTest.mouseClick(forward.empty.button, Qt.MouseButton.LeftButton)
    wait(lambda: session.controller.card.id == "fake" and not forward.noising.busy)
    assert forward.panes[0].isVisible() and not forward.empty.isVisible()
    np.testing.assert_allclose(values(forward.panes[0]), np.full((1, 8, 8), 0.6), atol=1e-6)


def test_a_model_opened_again_under_the_same_id_is_asked_itself(
    session, forward, make_model, make_source, wait
):
    forward.noising.x_0 = x_0 = np.zeros((1, 8, 8), np.float32)  # what both are asked about
    forward._ask()
    settle(forward, wait)
    before = forward.noising.answer
    other = make_model(lambda x_t, t, label: 0 * x_t + 0.25)
    session.controller.shelf.add(make_source(other))
    session.controller.modelChanged.emit(other.card)
    assert forward._answer() is None, "what another model said is nothing of this one's"
    forward.noising.x_0 = x_0
    forward._ask()
    wait(lambda: forward._answer() is not None and not forward.noising.busy)
    assert forward.noising.answer.asked.source is not before.asked.source
    assert np.allclose(forward.noising.answer.x0_hat, 0.25)
