"""Particles, heights and contours as pixels; fields made ready to be drawn."""

import numpy as np
import pytest

from diffview.engine.levels import CLEAN
from diffview.frames.contours import contours
from diffview.frames.plane import FULL_WEIGHT, Window, diverging, ramp, relief, splat, tinted
from diffview.frames.plane_error import plane_error
from diffview.frames.plane_field import draw, grid_of
from diffview.frames.streams import at, streams
from diffview.models.exact.mixture import mixture
from diffview.models.exact.mixture_denoiser import MixtureDenoiser
from diffview.models.exact.plane import guided_field
from diffview.models.exact.toys import mixture_card

WINDOW = Window((-1.0, 0.0), (3.0, 2.0))
X, Y = np.linspace(-2, 2, 81), np.linspace(-1.5, 1.5, 61)
PLACES = np.stack(np.meshgrid(X, Y, indexing="ij"), axis=-1)


def test_a_particle_falls_into_its_pixel_with_y_upwards():
    strengths = splat([[-0.95, 1.95], [2.95, 0.05], [1.05, 1.05]], WINDOW, (20, 40), 0.0)
    assert {tuple(place) for place in np.argwhere(strengths)} == {(0, 0), (19, 39), (9, 20)}
    assert (strengths[strengths > 0] == FULL_WEIGHT).all()


def test_particles_add_up_and_those_outside_are_left_out():
    many = np.tile([[1.05, 1.05]], (3, 1))
    strengths = splat(np.concatenate([many, [[9, 9], [np.nan, 0]]]), WINDOW, (20, 40), 0.0)
    assert strengths[9, 20] == 3 * FULL_WEIGHT and np.count_nonzero(strengths) == 1
    assert splat(np.tile(many, (500, 1)), WINDOW, (20, 40), 0.0).max() == 255


def test_a_dot_is_round_and_centred():
    strengths = splat([[1.05, 1.05]], WINDOW, (20, 40), 2.0).astype(int)
    dot = strengths[7:12, 18:23]
    assert dot.sum() == strengths.sum() and dot[2, 2] == FULL_WEIGHT
    assert (dot == dot.T).all() and (dot == dot[::-1]).all()


def test_strengths_become_premultiplied_colours():
    pixels = tinted(np.array([[0, FULL_WEIGHT, 255]], np.uint8), (200, 100, 50), least=0.5)
    assert pixels[0, 0] == 0
    alpha, red, green, blue = (int(pixels[0, 1] >> shift) & 255 for shift in (24, 16, 8, 0))
    assert (alpha, red, green, blue) == (128, 100, 50, 25)
    assert pixels[0, 2] == 0xFFC86432


def test_heights_go_from_ground_to_hill_and_holes_are_magenta():
    pixels = ramp(np.array([[0.0, 4.0], [1.0, np.nan]]), (0, 0, 0), (200, 100, 40), 4.0, 0.5)
    assert pixels[1, 0].tolist() == [0, 0, 0, 255]
    assert pixels[0, 0].tolist() == [200, 100, 40, 255]
    assert pixels[1, 1].tolist() == [100, 50, 20, 255]
    assert pixels[0, 1, :3].tolist() == [255, 0, 255]


def test_signs_have_two_colours():
    pixels = diverging(np.array([[-2.0, 0.0, 2.0]]), (0, 0, 0), (0, 0, 250), (250, 0, 0), 2.0)
    assert pixels[::-1, 0, :3].tolist() == [[0, 0, 250], [0, 0, 0], [250, 0, 0]]


def test_a_relief_is_lit_from_above_left():
    dark, light = (100, 100, 100), (100, 100, 100)
    hill = relief(-(PLACES[..., 0] ** 2) - PLACES[..., 1] ** 2, dark, light, 7.0)
    assert hill[15, 20, 0] > 100 > hill[45, 60, 0]


def test_contours_of_a_cone_are_circles():
    lines = contours(np.hypot(PLACES[..., 0], PLACES[..., 1]), (X, Y), [0.5, 1.0])
    radii = np.hypot(lines[..., 0], lines[..., 1])
    assert set(np.round(radii.ravel(), 2)) == {0.5, 1.0}
    long = np.linalg.norm(lines[:, 1] - lines[:, 0], axis=1).sum()
    assert long == pytest.approx(2 * np.pi * 1.5, rel=0.01)


def test_a_saddle_and_a_hole_are_no_trouble():
    saddle = PLACES[..., 0] * PLACES[..., 1]
    saddle[10, 10] = np.nan
    lines = contours(saddle, (X, Y), [0.0013])
    np.testing.assert_allclose(lines[..., 0] * lines[..., 1], 0.0013, atol=0.002)


def test_fields_are_linear_between_places_and_unknown_outside():
    vectors = np.stack([2 * PLACES[..., 0] + PLACES[..., 1], -PLACES[..., 1]], axis=-1)
    where = np.array([[0.123, 0.456], [-1.9, 1.49], [3.0, 0.0]])
    found = at(vectors, (X, Y), where)
    np.testing.assert_allclose(found[:2, 0], 2 * where[:2, 0] + where[:2, 1], atol=1e-12)
    assert np.isnan(found[2]).all()


def test_lines_follow_a_field_of_circles_around():
    vectors = np.stack([-PLACES[..., 1], PLACES[..., 0]], axis=-1)
    lines = streams(vectors, (X, Y), np.array([[1.0, 0.0]]), step=0.05, count=30)
    np.testing.assert_allclose(np.hypot(*lines[0].T), 1.0, atol=2e-3)
    angle = np.arctan2(lines[0, -1, 1], lines[0, -1, 0])
    assert angle == pytest.approx(1.5, abs=0.01)


# ---- a field made ready -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gaussian():
    data = mixture([[0.0, 0.0], [0.0, 0.0]], [0.3**2, 0.3**2], labels=[0, 1])
    return MixtureDenoiser(mixture_card(data, "round", "Round"), data)


def test_a_grid_has_square_cells_and_a_bound(gaussian):
    grid = grid_of(Window((-4.0, -1.0), (4.0, 1.0)))
    assert grid.count == pytest.approx(30_000, rel=0.01)
    width = (grid.high[0] - grid.low[0]) / grid.size[0]
    height = (grid.high[1] - grid.low[1]) / grid.size[1]
    assert width == pytest.approx(height, rel=0.01)


def test_what_is_drawn_of_a_gaussian_is_its_closed_form(gaussian):
    field = guided_field(gaussian, grid_of(Window((-1.5, -1.0), (1.5, 1.0))), CLEAN, 0)
    drawn = draw(field, 1.0)
    assert not drawn.rescaled and drawn.flow is None
    assert drawn.density.max() == pytest.approx(1 / (2 * np.pi * 0.09), rel=1e-2)
    squares = (field.places**2).sum(axis=-1)
    expected = squares / 0.18 - squares.min() / 0.18
    np.testing.assert_allclose(drawn.energy, expected, atol=1e-9)
    radii = np.hypot(*drawn.energy_lines.reshape(-1, 2).T)
    np.testing.assert_allclose(radii**2 / 0.18 % 2, 0.0, atol=0.1) if len(radii) else None


@pytest.mark.parametrize(("std", "coarse"), [(0.1, False), (0.03, False), (0.005, True)])
def test_a_peak_too_narrow_for_the_raster_is_told_from_one_that_is_read_off(std, coarse):
    data = mixture([[0.013, 0.011]], std**2)
    model = MixtureDenoiser(mixture_card(data, "narrow", "Narrow"), data)
    for half, expected in ((2.0, coarse), (0.3, False)):
        window = Window((-half, -half), (half, half))
        drawn = draw(guided_field(model, grid_of(window), CLEAN), 0.0)
        true = 1 / (2 * np.pi * std**2)
        assert drawn.coarse == expected
        assert expected or drawn.density.max() == pytest.approx(true, rel=0.5)
    level = model.schedule.level(200)
    assert not draw(guided_field(model, grid_of(WINDOW), level), 0.0).coarse


def test_arrows_point_along_the_score_and_none_is_longer_than_a_gap(gaussian):
    field = guided_field(gaussian, grid_of(Window((-1.5, -1.0), (1.5, 1.0))), CLEAN)
    starts, ends = draw(field, 0.0).score
    long = np.linalg.norm(ends - starts, axis=1)
    assert long.max() <= 2.0 / 17
    away = np.linalg.norm(starts, axis=1) > 0.2
    cosine = -((ends - starts) * starts).sum(axis=1)[away] / (
        long[away] * np.linalg.norm(starts[away], axis=1)
    )
    np.testing.assert_allclose(cosine, 1.0, atol=1e-3)


def test_a_tilted_density_sums_to_one_over_what_is_seen(gaussian):
    field = guided_field(gaussian, grid_of(Window((-1.5, -1.0), (1.5, 1.0))), CLEAN, 0)
    drawn = draw(field, 3.0)
    assert drawn.rescaled
    assert drawn.density.sum() * field.grid.cell == pytest.approx(1.0)


def test_the_error_of_a_shifted_field_is_the_shift(gaussian):
    level = gaussian.schedule.level(200)
    grid = grid_of(Window((-1.5, -1.0), (1.5, 1.0)), 40)
    moved = mixture([[0.1, 0.0], [0.1, 0.0]], [0.09, 0.09], labels=[0, 1])
    other = MixtureDenoiser(mixture_card(moved, "moved", "Moved"), moved)
    made = plane_error(guided_field(other, grid, level), guided_field(gaussian, grid, level), 0.0)
    gain = 1 - level.alpha**2 * 0.09 / (level.alpha**2 * 0.09 + level.sigma**2)
    np.testing.assert_allclose(made.error, 0.1 * gain, rtol=1e-6)
    assert made.mean == pytest.approx(0.1 * gain) and made.most == pytest.approx(0.1 * gain)
