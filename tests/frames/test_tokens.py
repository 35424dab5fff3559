"""What is seen of a run that writes token by token: its maps, its slider, its candidates."""

import math
from pathlib import Path

import numpy as np
import pytest

import diffview
from diffview.engine.next_token import NOT_YET, probabilities
from diffview.errors import InputError
from diffview.exporters.sequence import Selection, Sheets
from diffview.frames import compose, lens, pixels, quantities, sheet, tokens
from diffview.frames.compose import ViewState
from diffview.frames.quantities import QUANTITIES


@pytest.fixture(scope="module")
def model(writers: Path):
    return diffview.open(writers / "text.safetensors", device="cpu")


@pytest.fixture(scope="module")
def run(model):
    return diffview.sample(model, prompt="red apple", seeds="0-2").trajectory


def test_a_map_has_every_token_so_far_and_the_next_and_no_number_after_it(run):
    for i in (0, 5, 15, 16):
        record, count = run[i], min(i + 1, 16)
        for values in (tokens.entropies(record), tokens.surprises(record)):
            flat = values.reshape(3, 16)
            assert np.isfinite(flat[:, :count]).all()
            assert np.isnan(flat[:, count:]).all()
        np.testing.assert_allclose(
            tokens.surprises(record).reshape(3, 16)[:, :count],
            -np.log(run[16].written.probability[:, :count]),
            rtol=1e-6,
        )


def test_an_entropy_is_drawn_from_black_to_amber_at_log_k_and_grey_where_none_is_yet(run):
    record = run[5]
    tile = compose.tiles(record, "entropy", "clamp")
    assert tile.pixels.shape == (3, 4, 4, 4)
    share = tokens.entropies(record)[0, 0, 0, 0] / math.log(12)
    np.testing.assert_allclose(tile.pixels[0, 0, 0, :3], np.rint(share * pixels.POSITIVE), atol=1)
    assert tuple(tile.pixels[0, 3, 3, :3]) == pixels.NOTHING_YET
    stretched = compose.tiles(record, "entropy", "stretch")
    most = stretched.pixels[stretched.values[..., 0] == np.nanmax(stretched.values)]
    assert tuple(most[0, :3]) == tuple(pixels.POSITIVE.astype(np.uint8))


def test_states_go_through_the_lens_and_maps_are_as_large_as_they(run, model):
    through = lens.decoded(model, (3, 16, 16))
    view = ViewState(8, ("xt", "entropy"), ("clamp", "clamp"))
    frame = compose.compose(run, view, through)
    assert [tile.pixels.shape for tile in frame.tiles] == [(3, 16, 16, 4)] * 2
    half = frame.tiles[0].pixels[:, 8:]  # eight of sixteen tokens are two rows of four
    assert (half[..., :3] == 128).all()
    assert frame.by_token


def test_without_a_lens_the_numbers_of_the_tokens_are_shown(run):
    tile = compose.tiles(run[16], "xt", "clamp")
    expected = np.rint((run[16].x_t + 1) / 12 * 255)
    np.testing.assert_array_equal(tile.pixels[..., 0], expected[:, 0])


@pytest.mark.parametrize("gamma", [0.0, 1.0, 6.0])
def test_the_slider_recombines_the_next_tokens_distribution(run, gamma):
    record = run[7]
    again = compose.at_scale(run, record, gamma)
    p = probabilities(record.base + np.float32(gamma) * record.direction)
    np.testing.assert_array_equal(again.x0_hat.reshape(3, 16)[:, 7], p.argmax(axis=1))
    h = -(p * np.log(p)).sum(axis=1)
    np.testing.assert_allclose(again.written.entropy[:, 7], h, rtol=1e-5)
    np.testing.assert_array_equal(again.written.entropy[:, :7], record.written.entropy[:, :7])
    np.testing.assert_array_equal(again.x_t, record.x_t)


def test_at_the_run_s_own_gamma_the_slider_shows_what_was_recorded(run):
    record = run[7]
    again = tokens.at_gamma(record, run.spec, run.spec.guidance.scale)
    np.testing.assert_array_equal(again.x0_hat, record.x0_hat)
    for name in ("chosen", "probability", "entropy"):
        np.testing.assert_array_equal(getattr(again.written, name), getattr(record.written, name))


def test_the_slider_draws_by_the_same_number_as_a_run_at_that_gamma_would(run, model):
    first = compose.at_scale(run, run[0], 6.0)
    other = diffview.sample(model, prompt="red apple", seeds="0-2", guidance=6.0).trajectory
    np.testing.assert_array_equal(first.written.chosen, other[0].written.chosen)


def test_candidates_come_by_falling_probability_with_the_one_that_was_drawn(run):
    record = run[3]
    for sample in range(3):
        found = tokens.candidates(record, run.spec, 3.0, sample, most=4)
        drawn = int(record.written.chosen[sample, 3])
        assert [one.token for one in found if one.drawn] == [drawn]
        assert len(found) == 4
        p = [one.probability for one in found]
        assert p == sorted(p, reverse=True)
        (own,) = (one for one in found if one.drawn)
        assert own.probability == pytest.approx(float(record.written.probability[sample, 3]))
    assert tokens.candidates(run[16], run.spec, 3.0, 0) == ()


def test_quantities_of_noise_are_refused_and_those_of_tokens_elsewhere(run):
    for name, quantity in QUANTITIES.items():
        here = quantity.lacking(by_token=True, guided=True)
        assert bool(here) == (quantity.of == "noise")
        if here:
            with pytest.raises(InputError, match=f"'{name}' is of a run that removes noise"):
                Sheets(run, Selection((name,)))
    assert "writes tokens" in QUANTITIES["entropy"].lacking(by_token=False, guided=True)


def test_a_caption_counts_the_tokens_that_are_left(run):
    def caption(index):
        return sheet.caption(compose.compose(run, ViewState(index)))

    assert "6 tokens left" in caption(10)
    assert "written" in caption(16)


def test_one_sample_alone_keeps_its_tokens(run):
    one = compose.one_sample(run[9], 2)
    np.testing.assert_array_equal(one.written.chosen, run[9].written.chosen[2:])
    assert compose.tiles(one, "entropy", "clamp").pixels.shape == (1, 4, 4, 4)


def test_its_words_are_those_of_tokens(run):
    state = quantities.find("xt").of_kind(by_token=True)
    assert "so far" in state.title
    assert quantities.find("xt").of_kind(by_token=False) == quantities.find("xt")
    assert (run[0].x_t == NOT_YET).all()
