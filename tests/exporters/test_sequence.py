"""What is selected of a run, and that the pictures are those of the screen."""

import numpy as np
import pytest

from diffview.errors import InputError
from diffview.exporters import sequence
from diffview.exporters.sequence import Selection, Sheets
from diffview.frames.compose import ViewState, compose
from diffview.frames.sheet import Layout, sheet


def test_a_sheet_is_the_composed_frame_magnified(make_run):
    run = make_run(batch=1, shape=(3, 7, 5))
    sheets = Sheets(run, Selection(("x0hat",), scale=3))
    tile = compose(run, ViewState(4, ("x0hat",), ("clamp",))).tiles[0].pixels[0, :, :, :3]
    assert np.array_equal(sheets[4], np.kron(tile, np.ones((3, 3, 1), np.uint8)))


def test_quantities_stand_side_by_side_with_their_own_brightness(make_run):
    run = make_run(guided=True)
    selection = Selection(("xt", "diff"), ("wide", "stretch"), scale=2, caption=True)
    frame = compose(run, ViewState(3, ("xt", "diff"), ("wide", "stretch")))
    look = Layout(scale=2, caption=True, background=sequence.BACKGROUND, ink=sequence.INK)
    assert np.array_equal(Sheets(run, selection)[3], sheet(frame, look))


def test_another_guidance_scale_shows_base_plus_scale_times_direction(make_run):
    run = make_run(guided=True, batch=1)
    shown = Sheets(run, Selection(("x0hat",), scale=1, guidance_scale=0.0))[2][..., 0]
    expected = np.clip((run[2].base[0, 0] + 1) * 127.5, 0, 255)
    assert np.abs(shown - expected).max() <= 0.5001


@pytest.mark.parametrize(
    ("count", "every", "expected"),
    [
        (7, 1, (0, 1, 2, 3, 4, 5, 6)),
        (7, 3, (0, 3, 6)),
        (8, 3, (0, 3, 6, 7)),
        (5, 100, (0, 4)),
        (1, 4, (0,)),
    ],
)
def test_every_kth_step_with_the_first_and_the_last(count, every, expected):
    assert sequence.indices(count, every) == expected


def test_steps_say_which_step_of_the_run_a_picture_shows(make_run):
    assert Sheets(make_run(n_steps=7), Selection(every=3)).steps == [0, 3, 6, 7]


@pytest.mark.parametrize(
    ("shape", "batch", "sample", "scale"),
    [
        ((1, 28, 28), 16, None, 5),  # a grid of 4 x 4: 112 pixels
        ((1, 28, 28), 16, 3, 18),
        ((3, 32, 32), 1, None, 16),
        ((3, 512, 512), 1, None, 1),
        ((3, 2000, 100), 1, None, 1),
        ((1, 1, 1), 1, None, 64),
    ],
)
def test_small_pictures_are_magnified_to_about_512_pixels(make_run, shape, batch, sample, scale):
    run = make_run(n_steps=1, batch=batch, shape=shape)
    assert sequence.automatic_scale(run, Selection(sample=sample)) == scale


def test_a_grey_run_stays_grey_with_gaps_and_caption(make_run):
    picture = Sheets(make_run(), Selection(caption=True))[2]
    assert (picture == picture[..., :1]).all()


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (Selection(()), "nothing is shown: choose from xt, x0hat"),
        (Selection(("x0",)), "cannot show 'x0'"),
        (Selection(("diff",)), "'diff' needs a run with guidance"),
        (Selection(every=0), "every 0-th step"),
        (Selection(scale=0), "scale 0 is outside 1 to 64"),
        (Selection(scale=65), "scale 65 is outside"),
        (Selection(columns=0), "0 columns"),
        (Selection(sample=4), "there is no sample 4; the run has 4, counted from 0"),
        (Selection(sample=-1), "there is no sample -1"),
        (Selection(policies=("clamp", "wide", "wide")), "3 brightness policies for 2"),
        (Selection(policies=("dark",)), "unknown brightness 'dark'"),
    ],
)
def test_what_a_run_cannot_show_is_refused_at_once(make_run, selection, message):
    with pytest.raises(InputError, match=message):
        Sheets(make_run(), selection)


def test_a_run_without_a_step_is_refused(make_run):
    from diffview.engine.trajectory import Trajectory

    with pytest.raises(InputError, match="no steps yet"):
        Sheets(Trajectory(make_run().spec, (1, 7, 5)), Selection())


def test_steps_that_come_later_are_not_in(make_run):
    run = make_run(n_steps=6)
    sheets = Sheets(run, Selection())
    run.append(run[6])
    assert len(sheets) == 7


@pytest.mark.parametrize(
    ("shape", "batch", "selection"),
    [
        ((3, 7, 5), 6, Selection(scale=3, caption=True)),
        ((1, 8, 8), 5, Selection(("xt", "x0hat", "eps"), scale=2, columns=2)),
        ((1, 8, 8), 5, Selection(("xt",), sample=4)),
        ((2,), 9, Selection(("xt", "x0hat"), scale=2)),
    ],
)
def test_the_size_is_known_before_anything_is_drawn(make_run, shape, batch, selection):
    sheets = Sheets(make_run(shape=shape, batch=batch), selection)
    assert sheets[1].shape == (*sheets.size[::-1], 3)


def test_a_picture_of_more_pixels_than_can_be_opened_again_is_refused_at_once(make_run):
    with pytest.raises(InputError, match=r"32776 x 16384 pixels is too large.*a smaller scale"):
        Sheets(make_run(shape=(2,), batch=4), Selection(scale=64))
    with pytest.raises(InputError, match=r"16000 x 4800 pixels is too large.* 64 million"):
        Sheets(make_run(shape=(1, 75, 250), batch=1), Selection(("xt",), scale=64))
