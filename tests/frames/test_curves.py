"""Curves over a run: each against its definition, on records written by hand."""

import numpy as np
import pytest

from diffview.engine.levels import CLEAN, NoiseLevel
from diffview.engine.spec import Guidance, RunSpec
from diffview.engine.trajectory import StepRecord, Trajectory
from diffview.errors import InputError
from diffview.frames.curves import CURVES, curve, in_region

HALF = NoiseLevel(t=500.0, alpha=0.6, sigma=0.8)
LATE = NoiseLevel(t=100.0, alpha=0.8, sigma=0.6)


def record(i, level, x_t, x0_hat, direction=None):
    shape = (2, 1, 2, 3)
    x_t, x0_hat = (np.broadcast_to(np.float32(a), shape).copy() for a in (x_t, x0_hat))
    pull = None if direction is None else np.full(shape, direction, np.float32)
    base = None if direction is None else x0_hat
    return StepRecord(i, level, x_t, x0_hat, base, pull, None, i, 0.0)


@pytest.fixture
def run():
    spec = RunSpec("m", n_steps=2, seeds=(0, 1), guidance=Guidance("cfg", 2.0))
    made = Trajectory(spec, (1, 2, 3))
    made.append(record(0, HALF, 1.0, 0.5, 0.25))
    made.append(record(1, LATE, 0.5, 0.25, 0.5))
    made.append(record(2, CLEAN, 0.25, 0.25, 0.0))
    return made


def test_every_curve_has_a_number_for_each_sample_and_step(run):
    for name in CURVES:
        assert curve(run, name).shape == (3, 2)


def test_signal_and_noise_are_those_of_the_levels(run):
    np.testing.assert_allclose(curve(run, "alphas_cumprod")[:, 0], [0.36, 0.64, 1.0])
    snr = curve(run, "snr")[:, 1]
    np.testing.assert_allclose(snr[:2], 10 * np.log10([0.36 / 0.64, 0.64 / 0.36]))
    assert np.isposinf(snr[2])


def test_norms_are_euclidean_over_one_samples_numbers(run):
    six = np.sqrt(6)
    np.testing.assert_allclose(curve(run, "xt")[:, 0], [six, 0.5 * six, 0.25 * six], rtol=1e-6)
    np.testing.assert_allclose(curve(run, "x0hat")[:, 0], [0.5 * six, 0.25 * six, 0.25 * six])
    eps = [(1 - 0.6 * 0.5) / 0.8 * six, (0.5 - 0.8 * 0.25) / 0.6 * six]
    np.testing.assert_allclose(curve(run, "eps")[:2, 1], eps, rtol=1e-6)
    assert np.isnan(curve(run, "eps")[2]).all()
    np.testing.assert_allclose(curve(run, "direction")[:, 0], [0.25 * six, 0.5 * six, 0])


def test_change_is_the_distance_to_the_estimate_before(run):
    change = curve(run, "change")
    assert np.isnan(change[0]).all()
    np.testing.assert_allclose(change[1:, 0], [0.25 * np.sqrt(6), 0])


def test_guidance_has_no_strength_where_there_was_none(run):
    plain = Trajectory(RunSpec("m", n_steps=1, seeds=(0, 1)), (1, 2, 3))
    plain.append(record(0, HALF, 1.0, 0.5))
    with pytest.raises(InputError, match="'direction' needs a run with guidance"):
        curve(plain, "direction")
    with pytest.raises(InputError, match="there is no curve 'loss'; known are alphas_cumprod"):
        curve(run, "loss")


def test_a_region_is_averaged_and_a_pixel_is_itself(run):
    run[0].x_t[1, 0] = [[1, 2, 3], [4, 5, 6]]
    region = in_region(run, "x_t", 1, slice(0, 2), slice(1, 3))
    assert region.shape == (3, 1)
    assert region[0, 0] == pytest.approx((2 + 3 + 5 + 6) / 4)
    pixel = in_region(run, "x_t", 1, slice(1, 2), slice(0, 1))
    assert pixel[0, 0] == 4
    assert in_region(run, "x0_hat", 0, slice(0, 1), slice(0, 1))[1, 0] == 0.25


@pytest.mark.parametrize(
    ("name", "sample", "rows", "words"),
    [
        ("x_t", 2, slice(0, 1), "there is no sample 2"),
        ("x_t", 0, slice(5, 9), "outside of 2 x 3"),
        ("eps", 0, slice(0, 1), "not 'eps'"),
    ],
)
def test_what_has_no_pixels_there_is_refused(run, name, sample, rows, words):
    with pytest.raises(InputError, match=words):
        in_region(run, name, sample, rows, slice(0, 1))


def test_points_have_no_pixels():
    points = Trajectory(RunSpec("m", n_steps=1), (2,))
    with pytest.raises(InputError, match="have no pixels"):
        in_region(points, "x_t", 0, slice(0, 1), slice(0, 1))
