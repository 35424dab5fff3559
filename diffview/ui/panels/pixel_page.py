"""One pixel, or a region, over t: what x_t and x0_hat are there at every step."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSpinBox, QVBoxLayout, QWidget

from diffview.engine.trajectory import StepRecord, Trajectory
from diffview.frames import compose, curves
from diffview.frames.compose import Tiles
from diffview.ui.panels.card import describe, silent
from diffview.ui.panels.picture_pane import PicturePane, Subject
from diffview.ui.panels.step_panel import signed
from diffview.ui.views.region_picker import Region, RegionPicker
from diffview.ui.views.small_plot import Series, SmallPlot

X_T = Subject("xt", r"\c{xt}{x_{t}}", "State", "x_t: click a pixel, or drag a region", "x_t")
X_0_HAT = Subject(
    "x0hat", r"\c{x0hat}{\hat{x}_{0}}", "Estimate", "x̂₀: click a pixel, or drag a region", "x0_hat"
)
HELP = (
    "The mean over the region at every step: blue x_t, amber x̂₀; of pictures in colour the "
    "channels too, faintly. Click or drag: go to that step."
)
NO_PIXELS = "These samples are no pictures: there is no pixel to choose."
CODED = "These samples are latents: their numbers are no pixels of the picture."


class PixelPage(QWidget):
    """Two pictures to choose in, four fields for the keyboard, and the plot."""

    stepRequested = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.region: Region | None = None
        self._run: Trajectory | None = None
        self._record: StepRecord | None = None
        self._sample = 0
        self._index = 0
        self._means: dict[str, np.ndarray] = {}
        self._build()
        self._connect()

    def _build(self) -> None:
        self.panes = (PicturePane("pixelXt", X_T), PicturePane("pixelX0Hat", X_0_HAT))
        self.pickers = tuple(RegionPicker(pane.view) for pane in self.panes)
        self.plot = SmallPlot(r"\c{xt}{x_{t}}, \; \c{x0hat}{\hat{x}_{0}}")
        describe(self.plot, "The region over t", HELP, "pixelPlot")
        self.fields = {}
        fields = QHBoxLayout()
        fields.setSpacing(6)
        for place, (name, word) in enumerate(
            (("row", "Row"), ("column", "Column"), ("height", "Rows"), ("width", "Columns"))
        ):
            spin = QSpinBox(minimum=1 if place > 1 else 0, maximum=9999)
            describe(spin, f"Region: {word.lower()}", f"{word} of the region, in pixels of the "
                     "sample", f"region_{name}")  # fmt: skip
            label = QLabel(word)
            label.setProperty("role", "muted")
            label.setBuddy(spin)
            fields.addWidget(label)
            fields.addWidget(spin)
            fields.addSpacing(8)
            self.fields[name] = spin
        fields.addStretch(1)
        row = QHBoxLayout()
        row.setSpacing(8)
        for widget, share in ((self.panes[0], 4), (self.panes[1], 4), (self.plot, 5)):
            row.addWidget(widget, share)
        body = QVBoxLayout(self)
        body.setContentsMargins(6, 2, 8, 4)
        body.setSpacing(6)
        body.addLayout(row, 1)
        body.addLayout(fields)

    def _connect(self) -> None:
        self.plot.placeRequested.connect(self.stepRequested)
        for picker in self.pickers:
            picker.regionRequested.connect(self.choose)
        for spin in self.fields.values():
            spin.valueChanged.connect(self._on_typed)

    @Slot()
    def _on_typed(self) -> None:
        self.choose(Region(**{name: spin.value() for name, spin in self.fields.items()}))

    @Slot(object)
    def choose(self, region: Region) -> None:
        """Show this region over t."""
        self.region = region
        self._count()
        self._show()

    def show_step(
        self, run: Trajectory, index: int, sample: int, record: StepRecord, *, coded: bool = False
    ) -> None:
        """The pictures of `record`, and the region over the whole run."""
        anew = run is not self._run or sample != self._sample or self._short(run)
        self._run, self._index, self._sample, self._record = run, index, sample, record
        lacks = CODED if coded else (NO_PIXELS if len(run.data_shape) != 3 else "")
        self.plot.show_message(lacks)
        for spin in self.fields.values():
            spin.setEnabled(not lacks)
        if lacks:
            for pane in self.panes:
                pane.show_tiles(None, lacks)
            return
        if self.region is None:
            _, height, width = run.data_shape
            self.region = Region(height // 2, width // 2)
        if anew:
            self._count()
        self._show()

    def show_nothing(self, message: str) -> None:
        """There is no pixel to choose; why."""
        self._run, self._record, self._means = None, None, {}
        self.plot.show_series(np.zeros(0), ())
        self.plot.show_cursor(None)
        self.plot.show_message(message)
        for pane in self.panes:
            pane.show_tiles(None)
        for spin in self.fields.values():
            spin.setEnabled(False)

    def _short(self, run: Trajectory) -> bool:
        return bool(self._means) and len(self._means["x_t"]) != len(run)

    def _count(self) -> None:
        """Means (K, C) of the region at every step."""
        if self._run is None or self.region is None:
            return
        _, height, width = self._run.data_shape
        self.region = self.region.within(height, width)
        self._means = {
            name: curves.in_region(
                self._run, name, self._sample, self.region.rows, self.region.columns
            )
            for name in ("x_t", "x0_hat")
        }
        self._draw()

    def _show(self) -> None:
        if self._run is None or self._record is None or self.region is None or not self._means:
            return
        size = self._run.data_shape[1:]
        record = compose.one_sample(self._record, self._sample)
        for pane, picker in zip(self.panes, self.pickers, strict=True):
            tiles: Tiles = compose.tiles(record, pane.subject, "clamp")
            pane.show_tiles(tiles)
            pane.show_remark(f"t {record.level.t:g}" if record.level.sigma else "clean")
            picker.show_region(self.region, (size[0], size[1]))
        with silent(*self.fields.values()):
            for name, spin in self.fields.items():
                spin.setValue(getattr(self.region, name))
        here = [float(means[self._index].mean()) for means in self._means.values()
                if self._index < len(means)]  # fmt: skip
        self.plot.show_cursor(self._index, "   ".join(signed(value) for value in here))

    def _draw(self) -> None:
        assert self._run is not None
        times = np.array([record.level.t for record in list(self._run)[: len(self._means["x_t"])]])
        made = []
        for name, token in (("x_t", "x_t"), ("x0_hat", "x0_hat")):
            means = self._means[name]
            if means.shape[1] > 1:
                made += [Series(channel, token, faint=True) for channel in means.T]
            made.append(Series(means.mean(axis=1), token))
        self.plot.show_series(times, made)

    def show_theme(self) -> None:
        """In the present colours."""
        self.plot.show_theme()
        for pane in self.panes:
            pane.show_theme()
