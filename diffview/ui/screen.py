"""From a run and a look at it to the frame on screen; drawn frames are kept, within bounds."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

from diffview.engine.levels import NoiseLevel
from diffview.engine.trajectory import Trajectory
from diffview.frames.compose import Frame, ViewState, compose, merged
from diffview.frames.lens import Lens
from diffview.ui.first_look import place_of
from diffview.ui.state import Look

KEPT_BYTES = 128 * 1024**2
"""Of pixels and values: enough to scrub a run of small pictures without drawing anew."""


class Screen:
    """Frames by view; of one that was drawn twice the decoder's stays.

    A preview of the slider is not kept: it rarely comes again.
    """

    def __init__(self) -> None:
        self._frames: OrderedDict[ViewState, Frame] = OrderedDict()
        self._bytes = 0

    def clear(self) -> None:
        """Forget every frame: they belong to another run."""
        self._frames.clear()
        self._bytes = 0

    def frame(self, run: Trajectory | None, look: Look, lens: Lens | None = None) -> Frame | None:
        """What `look` shows of `run`, seen through `lens`; None before the first step."""
        if run is None or not len(run):
            return None
        view = view_of(run, look)
        if view in self._frames:
            self._frames.move_to_end(view)
            return self._frames[view]
        frame = compose(run, view, lens)
        self.keep(view, frame)
        return frame

    def keep(self, view: ViewState, frame: Frame) -> None:
        """A frame that was drawn, here or elsewhere; it replaces one of the same view."""
        if view.guidance_scale is not None:
            return
        before = self._frames.pop(view, None)
        self._bytes -= 0 if before is None else before.nbytes
        self._frames[view] = frame
        self._bytes += frame.nbytes
        while self._bytes > KEPT_BYTES:
            _, oldest = self._frames.popitem(last=False)
            self._bytes -= oldest.nbytes


def with_few(
    frame: Frame, level: NoiseLevel, few: Trajectory, look: Look, lens: Lens | None = None
) -> Frame:
    """`frame`, at `level`, with its first samples from the new run `few`, the others dimmed."""
    place = place_of(level, few)
    if place is None:
        return frame
    view = view_of(few, replace(look, index=place), preview=False)
    return merged(frame, compose(few, view, lens))


def view_of(run: Trajectory, look: Look, *, preview: bool = True) -> ViewState:
    """The frame that `look` asks for of `run`."""
    return ViewState(
        index=min(look.index, len(run) - 1),
        quantities=tuple(pane.quantity for pane in look.panes),
        policies=tuple(pane.policy for pane in look.panes),
        guidance_scale=look.guidance_scale if preview else None,
        stage=look.stage,
    )
