"""Lenses: what a person sees latents through."""

import numpy as np
import pytest

from diffview.engine.levels import NoiseLevel
from diffview.engine.spec import RunSpec
from diffview.engine.trajectory import StepRecord, Trajectory
from diffview.exporters.sequence import Selection, Sheets
from diffview.frames import compose
from diffview.frames.lens import PREVIEW, Lens


class Linear:
    """A fitted map, as a preview of latents is: comparing two compares their arrays."""

    def __init__(self):
        self.matrix = np.eye(3)

    def __eq__(self, other):
        return self.matrix == other.matrix

    def __call__(self, x):
        return x @ self.matrix


def test_two_linear_lenses_can_be_told_apart():
    one, other = (Lens(PREVIEW, (3,), Linear()) for _ in range(2))
    assert one != other


def latents(channels=4):
    rng = np.random.default_rng(0)
    x_t = rng.standard_normal((2, channels, 3, 3)).astype(np.float32)
    return x_t, StepRecord(0, NoiseLevel(500.0, 0.6, 0.8), x_t, 0.5 * x_t,
                           None, None, None, 1, 0.0)  # fmt: skip


def test_latents_are_shown_as_they_are_channel_beside_channel_as_large_as_the_pictures():
    x_t, record = latents()
    lens = Lens(PREVIEW, (3, 12, 12), lambda z: np.zeros((len(z), 3, 12, 12), np.float32))
    shown = compose.tiles(record, "xt", "latents", lens)
    assert shown.values.shape == (2, 12, 12, 1), "two channels a side, each pixel twice"
    for channel in range(4):
        row, column = 6 * (channel // 2), 6 * (channel % 2)
        found = shown.values[:, row : row + 6 : 2, column : column + 6 : 2, 0]
        np.testing.assert_array_equal(found, x_t[:, channel])
    most = np.unravel_index(x_t[0].argmax(), x_t[0].shape)
    red, _, blue = shown.pixels[0, 6 * (most[0] // 2) + 2 * most[1],
                                6 * (most[0] % 2) + 2 * most[2], :3]  # fmt: skip
    assert red > blue, "amber above zero"


@pytest.mark.parametrize("channels", [5, 6, 7, 8, 9, 17])
def test_any_number_of_channels_is_as_large_as_the_pictures_beside_them(channels):
    """Nine 3 x 3 channels twice enlarged are 18 of 20 pixels wide; five rows do not fit at all."""
    run = Trajectory(RunSpec("m", n_steps=1, seeds=(0, 1)), (channels, 3, 3))
    run.append(latents(channels)[1])
    for side in (20, 12):
        lens = Lens("decoded", (3, side, side), lambda z, n=side: np.zeros((len(z), 3, n, n)))
        shown = compose.tiles(run[0], "xt", "latents", lens).values
        assert shown.shape == (2, side, side, 1)
        places = 2 * 9 if side == 20 and channels <= 9 else 0
        assert (shown[:, places:] == 0).all() or not places, "what is over is empty"
        sheets = Sheets(run, Selection(("xt", "x0hat"), ("latents", "clamp"), scale=2), lens)
        height, width = sheets[0].shape[:2]
        assert (width, height) == sheets.size


def test_three_channels_leave_the_fourth_place_empty_and_pictures_are_not_taken_apart():
    _, record = latents(3)
    lens = Lens(PREVIEW, (3, 12, 12), lambda z: np.zeros((len(z), 3, 12, 12), np.float32))
    shown = compose.tiles(record, "x0hat", "latents", lens)
    assert (shown.values[:, 6:, 6:] == 0).all()
    plain = compose.tiles(record, "x0hat", "clamp")
    np.testing.assert_array_equal(compose.tiles(record, "x0hat", "latents").pixels, plain.pixels)
