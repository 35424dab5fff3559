"""The screen: frames that were drawn are kept, but never more than its share of memory."""

import numpy as np

from diffview.engine.levels import NoiseLevel
from diffview.engine.spec import RunSpec
from diffview.engine.trajectory import StepRecord, Trajectory
from diffview.frames.compose import ViewState, compose
from diffview.ui import screen
from diffview.ui.state import Look


def run_of(steps, side):
    spec = RunSpec("toy", n_steps=steps, seeds=(0, 1))
    trajectory = Trajectory(spec, (1, side, side))
    rng = np.random.default_rng(0)
    for i in range(steps + 1):
        x = rng.normal(size=(2, 1, side, side)).astype(np.float32)
        level = NoiseLevel(float(steps - i), 0.6, 0.8)
        trajectory.append(StepRecord(i, level, x, x, None, None, None, i, 0.0))
    return trajectory


def test_a_frame_seen_before_is_not_drawn_again():
    run, shown = run_of(3, 8), screen.Screen()
    first = shown.frame(run, Look(index=2))
    shown.frame(run, Look(index=1))
    assert shown.frame(run, Look(index=2)) is first


def test_a_kept_frame_equals_one_drawn_anew():
    run, shown = run_of(3, 8), screen.Screen()
    shown.frame(run, Look(index=1))
    kept, anew = shown.frame(run, Look(index=1)), compose(run, ViewState(index=1))
    for one, other in zip(kept.tiles, anew.tiles, strict=True):
        assert np.array_equal(one.pixels, other.pixels)


def test_kept_frames_never_pass_their_share_of_memory(monkeypatch):
    run, shown = run_of(9, 16), screen.Screen()
    one = shown.frame(run, Look(index=0)).nbytes
    monkeypatch.setattr(screen, "KEPT_BYTES", 3 * one)
    frames = [shown.frame(run, Look(index=k)) for k in range(10)]
    again = [shown.frame(run, Look(index=k)) is frames[k] for k in (9, 8, 7)]
    assert again == [True, True, True]
    assert shown.frame(run, Look(index=0)) is not frames[0]


def test_another_run_forgets_the_frames_of_the_one_before():
    run, shown = run_of(3, 8), screen.Screen()
    first = shown.frame(run, Look(index=2))
    shown.clear()
    assert shown.frame(run, Look(index=2)) is not first


def test_there_is_nothing_to_see_before_the_first_step():
    assert screen.Screen().frame(None, Look()) is None
    assert screen.Screen().frame(Trajectory(RunSpec("toy"), (1, 4, 4)), Look()) is None
