"""The export dialog: what, how often, how large, which formats, and where to; with a preview."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QImage, QPixmap, QResizeEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from diffview import exporters
from diffview.engine.options import Value
from diffview.engine.trajectory import Trajectory
from diffview.errors import InputError
from diffview.exporters.job import Progress
from diffview.exporters.sequence import Selection, Sheets
from diffview.frames.lens import Lens
from diffview.frames.pixels import Uint8
from diffview.frames.quantities import QUANTITIES
from diffview.ui.format_options import FormatOptions
from diffview.ui.panels.card import describe, labelled
from diffview.ui.state import Look

PREVIEW = 300
PREVIEW_SIDE = 1200
"""Pixels of the longer side that are drawn for it, where magnifying makes more."""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """An export as it was asked for."""

    folder: Path
    formats: tuple[str, ...]
    selection: Selection
    fps: float
    hold: int
    overwrite: bool
    options: dict[str, dict[str, Value]] = field(default_factory=dict)


class ExportDialog(QDialog):
    """Asks by `exportRequested`; shows progress while the window's file job runs."""

    exportRequested = Signal(object)
    cancelRequested = Signal()

    def __init__(
        self,
        run: Trajectory,
        look: Look,
        folder: Path,
        parent: QWidget | None = None,
        lens: Lens | None = None,
    ) -> None:
        super().__init__(parent)
        self._lens = lens
        self.setWindowTitle("Export")
        self.setObjectName("exportDialog")
        self._run, self._look, self._beside = run, look, folder.parent
        self._picture: Uint8 | None = None
        self._running = False
        self._build(folder)
        self._connect()
        self._on_changed()

    def _build(self, folder: Path) -> None:
        self._build_what()
        self._build_formats()
        self._build_where(folder)
        left = QVBoxLayout()
        left.setSpacing(10)
        left.addLayout(self._what)
        left.addWidget(_heading("Formats"))
        left.addLayout(self._format_grid)
        left.addStretch(1)
        self.preview = QLabel()
        self.preview.setObjectName("exportPreview")
        self.preview.setFixedSize(PREVIEW * 4 // 3, PREVIEW)
        self.preview.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.size_label = QLabel()
        self.size_label.setProperty("role", "muted")
        right = QVBoxLayout()
        right.addWidget(_heading("First frame"))
        right.addWidget(self.preview)
        right.addWidget(self.size_label)
        right.addStretch(1)
        columns = QHBoxLayout()
        columns.setSpacing(20)
        columns.addLayout(left, 1)
        columns.addLayout(right)
        body = QVBoxLayout(self)
        body.setContentsMargins(16, 14, 16, 14)
        body.setSpacing(12)
        body.addLayout(columns)
        body.addLayout(self._where)

    def _build_what(self) -> None:
        self.left, self.right = QComboBox(), QComboBox()
        for combo, pane in zip((self.left, self.right), self._look.panes, strict=True):
            for quantity in QUANTITIES.values():
                by_token, guided = self._run.spec.by_token, self._run.guided
                if not quantity.lacking(by_token=by_token, guided=guided):
                    combo.addItem(quantity.word, quantity.name)
            combo.setCurrentIndex(max(0, combo.findData(pane.quantity)))
        self.right.addItem("nothing", "")
        describe(self.left, "First picture", "What stands on the left of every frame")
        describe(self.right, "Second picture", "What stands beside it; 'nothing' for one alone")
        self.samples = QComboBox()
        self.samples.addItem("All, as a grid", None)
        self.samples.addItem(f"Sample {self._look.sample} alone", self._look.sample)
        if self._look.focus is not None:
            self.samples.setCurrentIndex(1)
        describe(self.samples, "Samples", "The whole grid, or the selected sample alone")
        self.every = QSpinBox(minimum=1, maximum=max(1, len(self._run)), value=1)
        describe(self.every, "Every k-th step", "1 takes every step; the last is always in")
        self.scale = QSpinBox(minimum=0, maximum=64, value=0)
        self.scale.setSpecialValueText("automatic")
        self.scale.setSuffix(" ×")
        describe(self.scale, "Scale", "Magnification by whole factors, nearest neighbour")
        self.fps = QSpinBox(minimum=1, maximum=60, value=12, suffix=" fps")
        describe(self.fps, "Frames per second", "Of the animations")
        self.hold = QSpinBox(minimum=0, maximum=240, value=12, suffix=" frames")
        describe(
            self.hold, "Hold the end", "How many frames longer animations rest on the picture"
        )
        self.caption = QCheckBox("Caption with step, t and γ")
        self.caption.setChecked(True)
        describe(self.caption, "Caption", "A line below every frame")
        self._what = QGridLayout()
        self._what.setHorizontalSpacing(12)
        self._what.setVerticalSpacing(8)
        for place, (text, widget) in enumerate(
            (
                ("Left", self.left), ("Right", self.right), ("Samples", self.samples),
                ("Every k-th step", self.every), ("Scale", self.scale), ("Speed", self.fps),
                ("Hold the end", self.hold),
            )
        ):  # fmt: skip
            self._what.addLayout(labelled(text, widget), place // 2, place % 2)
        self._what.addWidget(self.caption, 3, 1, Qt.AlignmentFlag.AlignBottom)

    def _build_formats(self) -> None:
        self.formats: dict[str, QCheckBox] = {}
        self._format_grid = QGridLayout()
        self._format_grid.setHorizontalSpacing(12)
        for place, info in enumerate(exporters.every().values()):
            box = QCheckBox(info.title)
            box.setEnabled(info.available)
            note = "" if info.available else f'\nNeeds: pip install "diffview[{info.extra}]"'
            describe(box, info.title, info.help + note, f"format_{info.name}")
            self.formats[info.name] = box
            self._format_grid.addWidget(box, place // 2, place % 2)
        self.formats["png"].setChecked(True)
        self.format_options = FormatOptions()
        row = (len(self.formats) + 1) // 2
        self._format_grid.addWidget(self.format_options, row, 0, 1, 2)

    def _build_where(self, folder: Path) -> None:
        self.folder = QLineEdit(str(folder))
        describe(self.folder, "Folder", "A new folder; everything is written into it",
                 "exportFolder")  # fmt: skip
        self.browse = QPushButton("Choose…")
        describe(self.browse, "Choose the folder", "Choose where the new folder goes")
        self.overwrite = QCheckBox("Replace an earlier export there")
        describe(
            self.overwrite, "Replace", "Only a folder that holds nothing but an earlier export"
        )
        self.message = QLabel()
        self.message.setObjectName("exportMessage")
        self.message.setWordWrap(True)
        self.message.setMinimumHeight(2 * self.message.fontMetrics().lineSpacing())
        self.progress = QProgressBar()
        self.progress.setVisible(False)
        self.progress.setTextVisible(True)
        self.start = QPushButton("Export")
        self.start.setProperty("primary", True)
        self.start.setDefault(True)
        describe(self.start, "Export", "Write the files", "exportStart")
        self.cancel = QPushButton("Close")
        describe(self.cancel, "Cancel or close", "Stop the export, or close this", "exportCancel")
        self._where = QVBoxLayout()
        row = QHBoxLayout()
        row.addWidget(self.folder, 1)
        row.addWidget(self.browse)
        buttons = QHBoxLayout()
        buttons.addWidget(self.progress, 1)
        buttons.addStretch(1)
        buttons.addWidget(self.cancel)
        buttons.addWidget(self.start)
        self._where.addWidget(_heading("Folder"))
        self._where.addLayout(row)
        self._where.addWidget(self.overwrite)
        self._where.addWidget(self.message)
        self._where.addLayout(buttons)

    def _connect(self) -> None:
        for combo in (self.left, self.right, self.samples):
            combo.currentIndexChanged.connect(self._on_changed)
        for spin in (self.every, self.scale):
            spin.valueChanged.connect(self._on_changed)
        self.caption.toggled.connect(self._on_changed)
        for box in self.formats.values():
            box.toggled.connect(self._on_changed)
        self.browse.clicked.connect(self._on_browse)
        self.start.clicked.connect(self._on_start)
        self.cancel.clicked.connect(self.reject)

    @property
    def run_shown(self) -> Trajectory:
        """The run that is exported."""
        return self._run

    def selection(self) -> Selection:
        """What is exported, as chosen."""
        names = (self.left.currentData(), self.right.currentData())
        shown = tuple(name for name in names if name)
        policies = {pane.quantity: pane.policy for pane in self._look.panes}
        return Selection(
            quantities=shown,
            policies=tuple(policies.get(name, "clamp") for name in shown),
            every=self.every.value(),
            sample=self.samples.currentData(),
            scale=self.scale.value() or None,
            caption=self.caption.isChecked(),
            guidance_scale=self._look.guidance_scale,
        )

    def chosen_folder(self) -> Path:
        """Where to; a bare name goes beside the proposed folder. Raises InputError for no name."""
        text = self.folder.text().strip()
        if not text:
            raise InputError("Give the folder a name.")
        try:
            return self._beside / Path(text).expanduser()
        except RuntimeError:  # ~somebody who has no home
            raise InputError(
                f"{text} names a home that is not there: choose another folder"
            ) from None

    @Slot()
    def _on_changed(self) -> None:
        chosen = [name for name, box in self.formats.items() if box.isChecked()]
        self.format_options.show_for(chosen)
        try:
            sheets = Sheets(self._run, self.selection(), self._lens)
            self._picture = self._small(sheets)[0]
            width, height = sheets.size
            self.size_label.setText(f"{len(sheets)} frames of {width} × {height} pixels")
            self._say("" if chosen else "Choose at least one format.")
            self.start.setEnabled(bool(chosen) and not self._running)
        except InputError as error:
            self._picture = None
            self.size_label.setText("")
            self._say(str(error))
            self.start.setEnabled(False)
        self._show_picture()

    def _small(self, sheets: Sheets) -> Sheets:
        """The same pictures, less magnified where nobody could see it: drawing takes time."""
        scale = max(1, sheets.scale * PREVIEW_SIDE // max(sheets.size))
        if scale >= sheets.scale:
            return sheets
        return Sheets(self._run, replace(self.selection(), scale=scale), self._lens)

    def _show_picture(self) -> None:
        if self._picture is None:
            self.preview.clear()
            return
        picture = np.ascontiguousarray(self._picture)
        height, width = picture.shape[:2]
        image = QImage(picture.data, width, height, 3 * width, QImage.Format.Format_RGB888)
        ratio = self.devicePixelRatioF()
        scaled = QPixmap.fromImage(image).scaled(
            self.preview.size() * ratio,
            Qt.AspectRatioMode.KeepAspectRatio,
            Qt.TransformationMode.SmoothTransformation,
        )
        scaled.setDevicePixelRatio(ratio)
        self.preview.setPixmap(scaled)

    @Slot()
    def _on_browse(self) -> None:
        try:
            place = self.chosen_folder()
        except InputError:
            place = self._beside / "diffview"
        chosen = QFileDialog.getExistingDirectory(
            self, "Put the new folder into", str(place.parent)
        )
        if chosen:
            self.folder.setText(str(Path(chosen) / place.name))

    @Slot()
    def _on_start(self) -> None:
        try:
            folder = self.chosen_folder()
        except InputError as error:
            self._say(str(error))
            return
        formats = tuple(name for name, box in self.formats.items() if box.isChecked())
        self._running = True
        self.progress.setRange(0, 0)
        self.progress.setVisible(True)
        self.start.setEnabled(False)
        self.cancel.setText("Cancel")
        self._say("")
        self.exportRequested.emit(
            ExportRequest(
                folder=folder,
                formats=formats,
                selection=self.selection(),
                fps=self.fps.value(),
                hold=self.hold.value(),
                overwrite=self.overwrite.isChecked(),
                options=self.format_options.values(formats),
            )
        )

    def show_progress(self, progress: Progress) -> None:
        """How far the export is."""
        self.progress.setRange(0, progress.total)
        self.progress.setValue(progress.done)
        self.progress.setFormat(f"{progress.done}/{progress.total}  {progress.path.name}")

    def show_end(self, message: str) -> None:
        """The export has ended: say how, and let another be started."""
        self._running = False
        self.progress.setVisible(False)
        self.cancel.setText("Close")
        self.start.setEnabled(True)
        self._say(message)

    def _say(self, text: str) -> None:
        self.message.setText(text)

    def reject(self) -> None:
        """Esc and Close: stop a running export first, close at the second time."""
        if self._running:
            self._say("Stopping the export…")
            self.cancelRequested.emit()
        else:
            super().reject()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The preview is drawn for the screen's own pixels."""
        super().resizeEvent(event)
        self._show_picture()


def _heading(text: str) -> QLabel:
    label = QLabel(text.upper())
    label.setProperty("role", "heading")
    return label
