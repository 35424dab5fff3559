"""Runs of latents: which of them are decoded, how large, and what the file says of it."""

import json

import numpy as np
import pytest
from PIL import Image

from diffview.exporters import job
from diffview.exporters.sequence import Selection, Sheets
from diffview.frames.compose import ViewState, compose
from diffview.frames.lens import DECODED, PREVIEW, Lens, blank, previewed
from diffview.frames.sheet import caption
from diffview.models.preview import LinearPreview

DOUBLE = Lens(
    DECODED, (3, 14, 10), lambda z: np.tanh(z[:, :3]).repeat(2, axis=2).repeat(2, axis=3)
)


@pytest.fixture
def run(make_run):
    return make_run(shape=(4, 7, 5), guided=True)


def test_states_and_estimates_are_seen_through_the_lens(run):
    frame = compose(run, ViewState(2, ("xt", "x0hat"), ("clamp", "clamp")), DOUBLE)
    for tiles, latents in zip(frame.tiles, (run[2].x_t, run[2].x0_hat), strict=True):
        expected = DOUBLE.picture(latents).transpose(0, 2, 3, 1)
        np.testing.assert_array_equal(tiles.values, expected)
        np.testing.assert_array_equal(
            tiles.pixels[..., :3], np.rint(np.clip((expected + 1) * 127.5, 0, 255)), 1
        )


def test_noise_and_differences_stay_latents_as_large_as_the_pictures(run):
    frame = compose(run, ViewState(2, ("diff", "eps"), ("clamp", "clamp")), DOUBLE)
    expected = run[2].direction[:, :3].transpose(0, 2, 3, 1)
    assert frame.tiles[0].values.shape == (4, 14, 10, 3)
    np.testing.assert_array_equal(frame.tiles[0].values[:, ::2, ::2], expected)


def test_another_guidance_scale_is_applied_before_decoding(run):
    view = ViewState(2, ("x0hat",), ("clamp",), guidance_scale=1.0)
    frame = compose(run, view, DOUBLE)
    latents = run[2].base + run[2].direction
    np.testing.assert_allclose(
        frame.tiles[0].values, DOUBLE.picture(latents).transpose(0, 2, 3, 1), atol=1e-6
    )


def test_frames_of_different_lenses_have_different_keys_and_say_which(run):
    view = ViewState(1, ("xt",), ("clamp",))
    linear = LinearPreview(((1.0, 0, 0, 0),) * 3, (0.0,) * 3, 1.0)
    frames = [compose(run, view, lens) for lens in (None, DOUBLE, previewed(linear, (4, 7, 5)))]
    assert len({frame.key for frame in frames}) == 3
    assert [frame.lens for frame in frames] == ["", DECODED, PREVIEW]
    assert [caption(frame).split()[-1] for frame in frames[1:]] == [DECODED, PREVIEW]


def test_the_preview_shows_one_colour_for_each_pixel_of_the_latents(run):
    linear = LinearPreview(((0, 1.0, 0, 0), (1.0, 0, 0, 0), (0, 0, 0, 2.0)), (0, 0.5, 0), 1.0)
    frame = compose(run, ViewState(3, ("xt",), ("clamp",)), previewed(linear, (4, 7, 5)))
    x = run[3].x_t
    expected = np.stack([x[:, 1], x[:, 0] + 0.5, 2 * x[:, 3]], -1)
    np.testing.assert_allclose(frame.tiles[0].values, expected, atol=1e-6)


def test_an_exported_sheet_is_scaled_by_the_size_of_the_pictures(run):
    selection = Selection(("x0hat", "diff"), sample=0)
    assert Sheets(run, selection, DOUBLE)[0].shape[0] == 14 * round(512 / 14)
    checked_before = Sheets(run, selection, blank(DECODED, (3, 14, 10)))[0]
    assert checked_before.shape == Sheets(run, selection, DOUBLE)[0].shape


def test_an_export_decodes_and_its_recipe_says_so(run, tmp_path):
    list(job.export(run, {}, tmp_path / "out", ("png",), Selection(("x0hat",), scale=1, sample=1),
                    lens=DOUBLE))  # fmt: skip
    picture = np.asarray(Image.open(tmp_path / "out" / "frame_0006.png").convert("RGB"))
    expected = DOUBLE.picture(run[6].x0_hat[1:2])[0].transpose(1, 2, 0)
    np.testing.assert_array_equal(picture, np.rint(np.clip((expected + 1) * 127.5, 0, 255)))
    recipe = json.loads((tmp_path / "out" / "recipe.json").read_text())
    assert recipe["shown"]["lens"] == DECODED
