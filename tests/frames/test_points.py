"""Steps of points as pictures: dots where the samples are, arrows where vectors lead."""

import numpy as np
import pytest

from diffview.engine.levels import NoiseLevel
from diffview.engine.spec import Guidance, RunSpec
from diffview.engine.trajectory import StepRecord, Trajectory
from diffview.errors import InputError
from diffview.exporters.sequence import Selection, Sheets
from diffview.frames import points
from diffview.frames.compose import LATENTS, ViewState, compose, thumbnail

LEVEL = NoiseLevel(t=500.0, alpha=0.6, sigma=0.8)


def run_of(x_t, x0_hat):
    x_t, x0_hat = np.float32(x_t), np.float32(x0_hat)
    made = Trajectory(RunSpec("m", n_steps=1, seeds=tuple(range(len(x_t)))), (2,))
    made.append(StepRecord(0, LEVEL, x_t, x0_hat, None, None, None, 1, 0.0))
    return made


def shown(run, quantity, policy="clamp"):
    (tiles,) = compose(run, ViewState(0, (quantity,), (policy,))).tiles
    return tiles


def pixel(x, y, extent=2.0):
    """Row and column of a place, y upwards."""
    return int((extent - y) / (2 * extent) * 256), int((x + extent) / (2 * extent) * 256)


def test_all_samples_are_in_one_picture_each_where_it_is():
    tiles = shown(run_of([[0.5, 1.5], [-1.5, -0.5], [-1.5, -0.5]], np.zeros((3, 2))), "xt")
    assert tiles.pixels.shape == (1, 256, 256, 4)
    counts = tiles.values[0, :, :, 0]
    assert counts[pixel(0.51, 1.49)] == 1
    assert counts[pixel(-1.49, -0.51)] == 2
    assert counts.sum() == 3
    one, two = (
        tiles.pixels[(0, *pixel(x, y))][:3].astype(int).sum()
        for x, y in ((0.51, 1.49), (-1.49, -0.51))
    )
    assert two > one > 3 * 18


@pytest.mark.parametrize(("policy", "extent"), [("clamp", 2.0), ("wide", 6.0), ("stretch", 10.5)])
def test_brightness_chooses_how_far_the_picture_reaches(policy, extent):
    counts = shown(run_of([[1.5, 1.5], [10.0, 0.0]], np.zeros((2, 2))), "xt", policy).values
    assert counts[(0, *pixel(1.5 + 0.01, 1.5 - 0.01, extent), 0)] == 1
    assert counts.sum() == (2 if policy == "stretch" else 1)


def test_the_score_is_drawn_as_arrows_towards_where_it_points():
    """x_t = (1.2, 0), x0_hat = 0: the score points to the left, eps to the right."""
    run = run_of([[1.2, 0.0]], [[0.0, 0.0]])
    row, column = pixel(1.2, 0.0)
    for name, side in (("score", -1), ("eps", 1)):
        tiles = shown(run, name)
        drawn = (tiles.pixels[0, row - 3 : row + 3, :, :3] != points.GROUND).any(axis=(0, 2))
        drawn[[*range(62, 68), *range(190, 196)]] = False  # the frame at -1 and 1
        columns = np.flatnonzero(drawn)
        assert np.sign(columns.mean() - column) == side


def test_on_the_film_strip_every_point_is_as_bright_as_in_the_pane():
    run = run_of([[0.5, 1.5], [-1.5, -0.5]], np.zeros((2, 2)))
    picture = thumbnail(run[0], 0, "xt")
    assert picture.shape == (64, 64, 4)
    of_the_pane = shown(run, "xt").pixels[0]
    for x, y in ((0.51, 1.49), (-1.49, -0.51)):
        row, column = pixel(x, y)
        assert (picture[row // 4, column // 4] == of_the_pane[row, column]).all()
    assert (picture[32, 32, :3] == points.GROUND).all()


def test_what_is_not_finite_is_left_out():
    tiles = shown(run_of([[np.nan, 0.0], [0.3, 0.3]], np.zeros((2, 2))), "xt", "stretch")
    assert tiles.values.sum() == 1


def test_a_look_at_latents_left_from_another_model_is_the_usual_one():
    run = run_of([[0.5, 1.5]], [[0.0, 0.0]])
    assert (shown(run, "xt", LATENTS).pixels == shown(run, "xt", "clamp").pixels).all()


def test_an_unknown_brightness_is_refused():
    with pytest.raises(InputError, match="unknown brightness 'dim'"):
        shown(run_of([[0.0, 0.0]], [[0.0, 0.0]]), "xt", "dim")


def test_an_exported_sheet_has_one_picture_for_each_quantity():
    run = run_of(np.zeros((9, 2)), np.zeros((9, 2)))
    sheets = Sheets(run, Selection())
    assert sheets[0].shape == (512, 2 * 512 + 8, 3)
    with pytest.raises(InputError, match="drawn together in one picture"):
        Sheets(run, Selection(sample=3))


def test_other_samples_are_not_taken_for_points():
    assert points.are_points((2,))
    assert not any(points.are_points(shape) for shape in [(3,), (1, 2), (2, 2), (1, 28, 28)])


@pytest.mark.parametrize("quantity", ["xt", "x0hat", "eps", "score", "diff"])
@pytest.mark.parametrize("shape", [(2,), (1, 4, 4)])
def test_a_run_that_is_about_to_diverge_is_still_drawn(quantity, shape):
    huge = np.full((2, *shape), 3e38, np.float32)
    run = Trajectory(RunSpec("m", n_steps=1, guidance=Guidance("cfg", 9.0), seeds=(0, 1)), shape)
    level = NoiseLevel(t=1.0, alpha=0.999, sigma=1e-3)
    run.append(StepRecord(0, level, huge, -huge, None, huge, -huge, 1, 0.0))
    tiles = shown(run, quantity, "stretch")
    assert tiles.pixels.dtype == np.uint8 and len(tiles.pixels)
