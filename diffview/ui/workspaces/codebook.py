"""The codebook: what a tokenizer makes of a picture, and what happens when a code is changed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PySide6.QtCore import Slot
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from diffview.errors import InputError
from diffview.frames import codebook as tiles
from diffview.frames.compose import Tiles
from diffview.models.codebook import Int64, psnr
from diffview.ui.coding import Coding, Exchanged
from diffview.ui.desk import Desk
from diffview.ui.notices import notice_of
from diffview.ui.panels.codebook_cards import TokenCard, UsageCard
from diffview.ui.panels.emoji_chooser import EmojiChooser
from diffview.ui.panels.picture_pane import PicturePane, Subject
from diffview.ui.state import Notice
from diffview.ui.views.grid_layout import Viewport
from diffview.ui.views.token_clicks import TokenClicks
from diffview.ui.workspaces import Workspace, workspace

TOPIC = "codebook"
FIRST_EMOJI = "red apple"

ORIGINAL = Subject("original", "x", "Original", "x, the picture that is coded, 64 x 64")
RECONSTRUCTED = (
    Subject("vq", r"\text{VQ-VAE}", "By the VQ-VAE", "Decoded by the VQ-VAE, "
            "trained on the absolute and the squared error of pixels", "x0_hat"),
    Subject("vqgan", r"\text{VQ-GAN}", "By the VQ-GAN", "Decoded from the same "
            "codes by the VQ-GAN, trained against a discriminator of patches as well", "x0_hat"),
)  # fmt: skip
ENCODED = Subject("encoded", "z", "Encoder output", "z, what the encoder says before it is "
                  "snapped to codes: channels 1 to 3 as red, green and blue, each from its lowest "
                  "value to its highest", "x_t")  # fmt: skip
INDICES = (
    Subject("indices", "k", "Numbers", "Which code is decoded at every token; each code has a "
            "colour of its own, near colours mean nothing", "gamma"),
    Subject("alone", "k", "Alone", "What each code looks like alone, in a field of nothing but "
            "itself; beside others it means something else", "gamma"),
)  # fmt: skip
COMPARED = (
    Subject("differenceVq", r"\text{Error}", "VQ-VAE − x", "Error of the VQ-VAE, mean of the "
            "channels: blue below zero, amber above, full at 0.5 of −1 … 1", "difference"),
    Subject("differenceGan", r"\text{Error}", "VQ-GAN − x", "Error of the VQ-GAN, mean of the "
            "channels: blue below zero, amber above, full at 0.5 of −1 … 1", "difference"),
    Subject("distance", r"\|z - e_{k}\|", "Distance", "How far the encoder's output is from its "
            "nearest code: black at zero, amber at the largest in this picture", "snr"),
)  # fmt: skip


@workspace(
    name="codebook",
    title="Codebook",
    icon="codebook",
    place=50,
    needs="picture",
    help="A picture as codes: encoder, nearest codes and two decoders, with tokens to exchange",
)
class CodebookWorkspace(Workspace):
    """Six panes: the picture and its two reconstructions, and three maps of its tokens."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.timeline = None
        self.coding = Coding(desk, self)
        self.token: tuple[int, int] | None = None
        self._names: tuple[str, ...] = ()
        self._wanted = FIRST_EMOJI
        self._exchanged: Exchanged = ()
        self._asked = False
        self._build()
        self._connect()

    def _build(self) -> None:
        self.chooser = EmojiChooser(self.desk.settings)
        self.original = PicturePane("codebookOriginal", ORIGINAL)
        self.reconstructed = tuple(
            PicturePane(f"codebook{name}", subject)
            for name, subject in zip(("Vq", "VqGan"), RECONSTRUCTED, strict=True)
        )
        self.encoded = PicturePane("codebookEncoded", ENCODED)
        self.indices = PicturePane("codebookIndices", *INDICES)
        self.compared = PicturePane("codebookCompared", *COMPARED)
        self.original.show_remark("original")
        self.encoded.show_remark("encoder, channels 1–3")
        self.panes = (
            self.original, *self.reconstructed, self.encoded, self.indices, self.compared
        )  # fmt: skip
        self.clicks = tuple(TokenClicks(pane.view) for pane in self.panes)
        self.token_card, self.usage_card = TokenCard(), UsageCard()
        self.cards: Sequence[QWidget] = (self.token_card, self.usage_card)
        grid = QGridLayout()
        grid.setSpacing(6)
        for place, pane in enumerate(self.panes):
            grid.addWidget(pane, place // 3, place % 3)
            grid.setColumnStretch(place % 3, 1)
            grid.setRowStretch(place // 3, 1)
        body = QVBoxLayout(self)
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(6)
        body.addWidget(self.chooser)
        body.addLayout(grid, 1)

    def _connect(self) -> None:
        coding, card = self.coding, self.token_card
        self.chooser.emojiRequested.connect(coding.open_emoji)
        self.chooser.fileRequested.connect(self.take_picture)
        self.chooser.unknownTyped.connect(self._on_unknown)
        coding.named.connect(self._on_named)
        coding.opened.connect(self._on_opened)
        coding.changed.connect(self._show_tokens)
        coding.decoded.connect(self._show_pictures)
        coding.counted.connect(self._on_counted)
        coding.looked.connect(self._on_looked)
        coding.failed.connect(self._on_failed)
        card.codeRequested.connect(self._on_code)
        card.placeRequested.connect(self._on_place)
        card.undoRequested.connect(coding.undo)
        card.resetRequested.connect(coding.reset)
        self.usage_card.countRequested.connect(self._on_count)
        self.usage_card.stopRequested.connect(self._on_stop)
        self.compared.subjectRequested.connect(self._on_compared)
        self.indices.subjectRequested.connect(self._on_compared)
        for pane, clicks in zip(self.panes, self.clicks, strict=True):
            clicks.clicked.connect(self._on_clicked)
            clicks.dragged.connect(self._on_dragged)
            clicks.released.connect(coding.end_stroke)
            card.paint.toggled.connect(clicks.show_painting)
            pane.view.viewportRequested.connect(self._on_viewport)

    # -- from the window ----------------------------------------------------------------------

    def refresh(self) -> None:
        """The first time: names, and a first picture."""
        if not self._asked:
            self._asked = True
            self.coding.name()
            for pane in self.panes:
                pane.show_tiles(None, "Loading the tokenizers…")

    def take_picture(self, path: Path) -> None:
        """Code this picture."""
        self._wanted = ""
        self.desk.store.begunAnew.emit(TOPIC)
        self.coding.open_file(path)

    @property
    def arrangement(self) -> Mapping[str, str]:
        """The emoji or the file that is coded, and the tokens that were exchanged in it."""
        picture = self.coding.picture
        if picture is None:
            return {}
        kind = ("emoji", picture.title) if picture.file is None else ("picture", str(picture.file))
        return dict([kind, ("tokens", _written(self.coding.exchanged))])

    def prepare(self, wanted: Mapping[str, str]) -> Callable[[], None]:
        """See the base; an emoji is looked for once the names are known."""
        emoji = wanted.get("emoji", "")
        if emoji and self._names and emoji not in self._names:
            raise InputError(f"there is no bundled emoji '{emoji}': see the list of them there")
        tokens = _read(wanted.get("tokens", ""))
        return lambda: self._choose(emoji, wanted.get("picture", ""), tokens)

    def _choose(self, emoji: str, picture: str, tokens: Exchanged) -> None:
        if picture:
            self._wanted = ""
            self.coding.open_file(Path(picture), tokens)
        elif emoji:
            self._wanted, self._exchanged = emoji, tokens
            if self._names:
                self._open_wanted()

    def _open_wanted(self) -> None:
        if self._wanted not in self._names:
            self._on_unknown(self._wanted)
        place = self._names.index(self._wanted) if self._wanted in self._names else 0
        self.coding.open_emoji(place, self._exchanged)

    def show_theme(self) -> None:
        """Symbols and plots in the present colours."""
        for pane in self.panes:
            pane.show_theme()
        self.usage_card.update()

    def do(self, command: str) -> bool:
        """Undo is of tokens while there are changed ones; zoom is the panes' own."""
        if command == "undo" and self.coding.edited:
            self.coding.undo()
            return True
        if command == "reset_zoom":
            self.original.view.reset_viewport()
        return command in ("reset_zoom", "focus")

    # -- what happens -------------------------------------------------------------------------

    @Slot(object)
    def _on_named(self, names: tuple[str, ...]) -> None:
        self._names = names
        self.chooser.show_names(names)
        if self.coding.picture is None and self._wanted:
            self._open_wanted()

    @Slot(str)
    def _on_unknown(self, typed: str) -> None:
        self.desk.tell(
            Notice(
                f"There is no bundled emoji called '{typed[:60]}': type a part of a name and "
                "choose from the list.", "warning", topic=TOPIC,
            )
        )  # fmt: skip

    @Slot()
    def _on_opened(self) -> None:
        picture = self.coding.picture
        assert picture is not None
        self.desk.store.begunAnew.emit(TOPIC)
        self.chooser.show_title(picture.title)
        if picture.done:
            self.desk.tell(Notice(f"{picture.title}: {', '.join(picture.done)}."))
        for pane, clicks in zip(self.panes, self.clicks, strict=True):
            maps = pane in (self.encoded, self.indices)
            clicks.show_rows(len(picture.coded.indices) if maps else picture.coded.x.shape[-1])
        self.token_card.show_grid(*picture.coded.indices.shape)
        self._show_tokens()
        self.original.show_tiles(tiles.picture("original", picture.coded.x))
        self.encoded.show_tiles(tiles.latents("encoded", picture.coded.z))

    @Slot(object)
    def _on_failed(self, error: BaseException) -> None:
        self.desk.tell(notice_of(error, TOPIC))
        self._on_counted(0, 0)
        if self.coding.picture is None:
            for pane in self.panes:
                pane.show_tiles(None, "Nothing was coded")

    @Slot(int, int, int)
    def _on_clicked(self, row: int, column: int, rows: int) -> None:
        indices = self.coding.indices
        if indices is None:
            return
        held = None if self.token is None else int(indices[self.token])
        self.token = row * len(indices) // rows, column * len(indices) // rows
        if self.token_card.paint.isChecked() and held is not None:
            self.coding.begin_stroke()
            self.coding.replace(*self.token, held)
        self._show_tokens()

    @Slot(int, int, int)
    def _on_dragged(self, row: int, column: int, rows: int) -> None:
        """On with the stroke, with the code it began with."""
        indices = self.coding.indices
        if indices is None or self.token is None:
            return
        held, before = int(indices[self.token]), self.token
        self.token = row * len(indices) // rows, column * len(indices) // rows
        if self.token != before:
            self.coding.replace(*self.token, held)
            self._show_tokens()

    @Slot()
    def _on_looked(self) -> None:
        if self.coding.looks is not None:
            self.token_card.show_swatches(tiles.swatches(self.coding.looks))
        self._show_tokens()

    @Slot(int, int)
    def _on_place(self, row: int, column: int) -> None:
        if self.coding.indices is not None:
            self.token = row, column
            self._show_tokens()

    @Slot(int)
    def _on_code(self, code: int) -> None:
        if self.token is not None:
            self.coding.replace(*self.token, code)

    @Slot()
    def _on_count(self) -> None:
        self.coding.start_counting()
        self._on_counted(0, 1)

    @Slot()
    def _on_stop(self) -> None:
        self.coding.stop_counting()
        self.usage_card.bar.setVisible(False)
        self._on_counted(self.usage_card.bar.value(), self.usage_card.bar.maximum())

    @Slot(int, int)
    def _on_counted(self, done: int, of: int) -> None:
        self.usage_card.show_count(self.coding.counts, done, of, self.coding.counting)

    @Slot(object)
    def _on_viewport(self, viewport: Viewport) -> None:
        for pane in self.panes:
            pane.view.show_viewport(viewport)

    # -- showing ------------------------------------------------------------------------------

    @Slot()
    def _show_tokens(self) -> None:
        """The map of codes and the chosen token."""
        picture, indices = self.coding.picture, self.coding.indices
        if picture is None or indices is None:
            return
        self._show_map(indices)
        changed = int((indices != picture.coded.indices).sum())
        self.indices.show_remark(f"{changed} changed" if changed else "nearest codes")
        counts = np.bincount(indices.ravel(), minlength=len(picture.vectors))
        self.usage_card.show_picture(counts.astype(np.int64))
        self.token_card.show_edits(self.coding.edited)
        self._show_place()
        if self.token is not None:
            self.token_card.show_token(picture.coded, picture.vectors, indices, *self.token)

    def _show_map(self, indices: Int64) -> None:
        """The codes by number, or by what each alone looks like, once that is known."""
        looks = self.coding.looks if self.indices.subject == "alone" else None
        made = (
            tiles.index_map("indices", indices)
            if looks is None
            else tiles.laid_out("indices", indices, looks)
        )
        self.clicks[self.panes.index(self.indices)].show_rows(made.pixels.shape[1])
        self.indices.show_tiles(made)

    def _show_place(self) -> None:
        """Outline the chosen token everywhere; on a picture it is a square of pixels."""
        for pane, clicks in zip(self.panes, self.clicks, strict=True):
            if self.token is None or self.coding.indices is None:
                pane.view.show_crosshair(None)
            else:
                side = clicks.rows // len(self.coding.indices)
                row, column = self.token
                pane.view.show_crosshair(0, row * side, column * side, max(1, side))

    @Slot()
    def _show_pictures(self) -> None:
        """The reconstructions, and what they are compared with."""
        picture, made = self.coding.picture, self.coding.made
        if picture is None or made is None:
            return
        for pane, decoded in zip(self.reconstructed, made.pictures, strict=True):
            pane.show_tiles(tiles.picture(pane.subject, decoded))
            pane.show_remark(_decibels(psnr(picture.coded.x, decoded)))
        self._show_compared()

    @Slot(str)
    def _on_compared(self, name: str) -> None:
        self._show_tokens()
        self._show_compared()

    def _show_compared(self) -> None:
        picture, made = self.coding.picture, self.coding.made
        shown = self.compared.subject
        if picture is None or made is None:
            return
        made_of: Tiles
        if shown == "distance":
            made_of = tiles.distances(shown, picture.coded.distance)
            self.compared.show_remark(f"at most {picture.coded.distance.max():.2f}")
        else:
            decoded = made.pictures[0 if shown == "differenceVq" else 1]
            made_of = tiles.difference(shown, decoded, picture.coded.x)
            self.compared.show_remark("")
        self.clicks[-1].show_rows(made_of.pixels.shape[1])
        self.compared.show_tiles(made_of)
        self._show_place()


def _decibels(value: float) -> str:
    return "PSNR ∞" if math.isinf(value) else f"PSNR {value:.1f} dB".replace("-", "−")


def _written(exchanged: Exchanged) -> str:
    """Tokens as a line: row,column,code of each, with blanks between them."""
    return " ".join(",".join(map(str, token)) for token in exchanged)


def _read(line: str) -> Exchanged:
    """What `_written` wrote."""
    tokens = (token.split(",") for token in line.split())
    return tuple((int(row), int(column), int(code)) for row, column, code in tokens)
