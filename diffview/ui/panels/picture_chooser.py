"""Which picture is noised, and with which noise: a sample of the run, an emoji, or a file."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSpinBox,
    QWidget,
)

from diffview.ui.panels.card import describe, narrow, silent
from diffview.ui.panels.emoji_list import EmojiList
from diffview.ui.settings import Settings

OF_RUN, OF_EMOJI, OF_FILE = "run", "emoji", "file"
MAX_SEED = 2**31 - 1
FILTER = "Pictures (*.png *.jpg *.jpeg *.webp *.gif *.bmp *.tif *.tiff *.ppm *.pgm);;All files (*)"


class PictureChooser(QWidget):
    """A row of fields; a file is in the list once there was one, emoji have one of their own."""

    sourceRequested = Signal(str)
    emojiRequested = Signal(int)
    unknownTyped = Signal(str)
    fileRequested = Signal(object)
    seedRequested = Signal(int)

    def __init__(self, settings: Settings, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self._build()
        self.list.currentIndexChanged.connect(self._on_chosen)
        self.emoji.activated.connect(self.emojiRequested)
        self.emoji.unknownTyped.connect(self.unknownTyped)
        self.open.clicked.connect(self._on_open)
        self.seed.valueChanged.connect(self.seedRequested)

    def _build(self) -> None:
        self.list = QComboBox()
        self.list.addItem("A sample of the run", OF_RUN)
        self.list.addItem("Bundled emoji", OF_EMOJI)
        describe(self.list, "Picture to noise", "The selected sample's last picture in the "
                 "shown run, a bundled emoji, or a picture file",
                 "forwardPictureCombo")  # fmt: skip
        narrow(self.list)
        self.list.setMaximumWidth(220)
        self.emoji = EmojiList("forwardEmojiCombo")
        self.emoji.setMaximumWidth(220)
        self.emoji.hide()
        self.open = QPushButton("Open picture…")
        describe(self.open, "Open a picture", "A picture file; or drop one on the window. It is "
                 "cut to the model's shape, transparency goes over white",
                 "forwardOpenButton")  # fmt: skip
        label = QLabel("Noise seed")
        label.setProperty("role", "muted")
        self.seed = QSpinBox(minimum=0, maximum=MAX_SEED)
        self.seed.setFixedWidth(110)
        label.setBuddy(self.seed)
        describe(self.seed, "Noise seed", "ε is the noise that a run of this seed begins with",
                 "forwardSeedSpinBox")  # fmt: skip
        row = QHBoxLayout(self)
        row.setContentsMargins(4, 0, 4, 0)
        row.setSpacing(8)
        row.addWidget(self.list, 3)
        row.addWidget(self.emoji, 3)
        row.addWidget(self.open)
        row.addStretch(1)
        row.addWidget(label)
        row.addWidget(self.seed)

    @Slot(int)
    def _on_chosen(self, row: int) -> None:
        of = self.list.itemData(row)
        self.emoji.setVisible(of == OF_EMOJI)
        self.sourceRequested.emit(of)

    @Slot()
    def _on_open(self) -> None:
        folder = self._settings.get("picture_folder", str(Path.cwd()))
        name, _ = QFileDialog.getOpenFileName(self, "Open picture", folder, FILTER)
        if name:
            self._settings.save(picture_folder=str(Path(name).parent))
            self.fileRequested.emit(Path(name))

    def show_sample(self, sample: int) -> None:
        """Which sample of the run is the selected one."""
        self.list.setItemText(0, f"Sample {sample} of the run")

    def show_file(self, path: Path) -> None:
        """Offer this file, as what is chosen."""
        with silent(self.list):
            if self.list.findData(OF_FILE) < 0:
                self.list.insertItem(1, "", OF_FILE)
            self.list.setItemText(1, path.name)
            self.list.setItemData(1, str(path), Qt.ItemDataRole.ToolTipRole)
            self.list.setCurrentIndex(1)
        self.emoji.hide()
