"""The codebook in the window: two tiny tokenizers of the same codes, a few made-up emoji."""

import numpy as np
import pytest
import torch
from PIL import Image
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication

from diffview.datasets.emoji_sprite import NamedPictures
from diffview.models import codebook
from diffview.models.tokenizer import Tokenizer, TokenizerConfig
from diffview.ui import coding
from diffview.ui.views.grid_layout import WHOLE

SHAPE = TokenizerConfig(size=16, codes=12, depth=2, narrow=4, wide=8, blocks=1)
NAMES = ("green salad", "red apple", "cat face")


@pytest.fixture
def book(monkeypatch):
    torch.manual_seed(0)
    pair = [Tokenizer(SHAPE).eval().requires_grad_(False) for _ in range(2)]
    for one in pair:
        one.codebook.copy_(torch.randn(12, 2, generator=torch.Generator().manual_seed(1)) / 4)
    made = codebook.Codebook(pair)
    monkeypatch.setattr(coding.Codebook, "open", lambda: made)
    return made


@pytest.fixture
def emoji(monkeypatch):
    pictures = np.random.default_rng(0).integers(0, 256, (3, 3, 16, 16), np.uint8)
    nothing = np.zeros(3, np.int64)
    made = NamedPictures(pictures, NAMES, ((), (), ()), nothing, nothing > 0)
    monkeypatch.setattr(coding, "emoji_sprite", lambda: made)
    monkeypatch.setattr(coding, "BATCH", 2)
    return made


@pytest.fixture
def space(book, emoji, make_session, wait):
    session = make_session()
    session.window.central.go_to("codebook")
    made = session.window.central.current
    wait(lambda: made.coding.made is not None and not made.coding.busy)
    return made


def click_token(qtbot, view, row, column, rows=4):
    rect = view.tile_rect(0)
    step = rect.width() / rows
    place = rect.topLeft() + QPointF((column + 0.5) * step, (row + 0.5) * step)
    qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=place.toPoint())


def shown(pane):
    return pane.view._tiles.values[0].transpose(2, 0, 1)


def test_it_begins_with_an_emoji_its_codes_and_both_reconstructions(space, book, emoji):
    x = emoji.pictures[1].astype(np.float32) / 127.5 - 1
    coded = book.code(x)
    assert space.chooser.list.currentText() == "red apple"
    np.testing.assert_allclose(shown(space.original), x, atol=1e-6)
    assert np.array_equal(shown(space.indices)[0], coded.indices)
    for pane, picture in zip(space.reconstructed, book.decode(coded.indices), strict=True):
        np.testing.assert_allclose(shown(pane), picture, atol=1e-6)
        psnr = 10 * np.log10(4 / np.mean((x - picture) ** 2))
        assert pane._remark.text() == f"PSNR {psnr:.1f} dB".replace("-", "−")
    np.testing.assert_allclose(shown(space.compared), book.decode(coded.indices)[0] - x, atol=1e-6)
    space.compared._list.setCurrentIndex(2)
    np.testing.assert_allclose(shown(space.compared)[0], coded.distance, atol=1e-6)


def test_another_code_is_decoded_and_taken_back(space, book, wait, qtbot):
    first = space.coding.indices
    click_token(qtbot, space.indices.view, 2, 1)
    assert space.token == (2, 1)
    assert space.token_card.numbers.text("index") == f"{first[2, 1]}"
    code = (int(first[2, 1]) + 5) % 12
    space.token_card.code.setValue(code)
    want = first.copy()
    want[2, 1] = code
    wait(lambda: not space.coding.busy)
    np.testing.assert_allclose(shown(space.reconstructed[1]), book.decode(want)[1], atol=1e-6)
    space.token_card.near[0].click()
    distance = np.linalg.norm(book.vectors - book.vectors[code], axis=1)
    assert space.coding.indices[2, 1] == distance.argsort()[1]
    space.token_card.undo.click()
    assert np.array_equal(space.coding.indices, want)
    space.token_card.reset.click()
    assert np.array_equal(space.coding.indices, first)
    assert not space.token_card.reset.isEnabled()


def test_painting_puts_the_code_of_the_last_token_where_one_clicks(space, qtbot):
    first = space.coding.indices
    click_token(qtbot, space.indices.view, 0, 0)
    space.token_card.paint.setChecked(True)
    click_token(qtbot, space.original.view, 3, 2)  # on the picture, over that token
    assert space.coding.indices[3, 2] == first[0, 0]


def test_a_stroke_paints_every_token_under_it_and_is_one_step_back(space, qtbot, wait):
    wait(lambda: not space.coding.busy)
    first = space.coding.indices
    click_token(qtbot, space.indices.view, 0, 0)
    space.token_card.paint.setChecked(True)
    view, left = space.original.view, Qt.MouseButton.LeftButton
    rect = view.tile_rect(0)
    places = [rect.topLeft() + QPointF(rect.width() * (k + 0.5) / 4, rect.height() * 0.6)
              for k in range(4)]  # fmt: skip
    qtbot.mousePress(view, left, pos=places[0].toPoint())
    for place in places[1:]:
        event = QMouseEvent(
            QEvent.Type.MouseMove, place, view.mapToGlobal(place), left, left,
            Qt.KeyboardModifier.NoModifier,
        )  # fmt: skip
        QApplication.sendEvent(view, event)
    qtbot.mouseRelease(view, left, pos=places[-1].toPoint())
    assert (space.coding.indices[2] == first[0, 0]).all()
    assert view._viewport == WHOLE, "painting moves nothing"
    space.token_card.undo.click()
    np.testing.assert_array_equal(space.coding.indices, first)


def test_the_chosen_token_is_outlined_on_the_pictures_too(space, qtbot):
    click_token(qtbot, space.indices.view, 2, 1)
    assert space.indices.view._crosshair == (0, 2, 1, 1)
    assert space.reconstructed[0].view._crosshair == (0, 8, 4, 4)
    assert (space.token_card.row.value(), space.token_card.column.value()) == (2, 1)
    space.token_card.column.setValue(99)  # by the keyboard; there are four
    assert space.token == (2, 3)
    assert space.indices.view._crosshair == (0, 2, 3, 1)


def test_a_map_shows_what_each_code_alone_looks_like(space, book, wait):
    wait(lambda: space.coding.looks is not None)
    space.indices._list.setCurrentIndex(1)
    code = int(space.coding.indices[1, 2])
    alone = book.decode(np.full((3, 3), code))[0][:, 4:8, 4:8]
    np.testing.assert_allclose(shown(space.indices)[:, 4:8, 8:12], alone, atol=1e-6)


def test_a_name_is_chosen_and_an_unknown_one_is_told_of(space, wait, session_notice, qtbot):
    field = space.chooser.list
    space.chooser.emojiRequested.emit(2)
    wait(lambda: space.coding.picture.title == "cat face")
    field.setEditText("no such thing")
    qtbot.keyClick(field.lineEdit(), Qt.Key.Key_Return)
    assert "no bundled emoji called 'no such thing'" in session_notice()


@pytest.fixture
def session_notice(space):
    bar = space.window().notices
    return lambda: bar.text.text()


def test_a_file_is_coded_and_what_is_no_picture_is_told_of(space, tmp_path, wait, session_notice):
    Image.new("RGBA", (40, 20), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    space.take_picture(tmp_path / "clear.png")
    wait(lambda: space.coding.picture.title == "clear.png")
    assert shown(space.original).min() == pytest.approx(1)  # over white
    (tmp_path / "broken.png").write_bytes(b"no picture")
    space.take_picture(tmp_path / "broken.png")
    wait(lambda: "broken.png is no picture" in session_notice())
    assert space.coding.picture.title == "clear.png"


def test_a_way_back_leads_to_the_tokens_that_were_exchanged(space, book, tmp_path, wait):
    """After a lesson's set-up; a file that is no picture changes nothing of it."""
    own = space.coding.indices
    code = (int(own[1, 2]) + 1) % 12
    space.coding.replace(1, 2, code)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    space.take_picture(tmp_path / "broken.png")
    wait(lambda: not space.coding.busy)
    before = space.arrangement
    space.prepare({"emoji": "cat face"})()
    wait(lambda: space.coding.picture.title == "cat face" and not space.coding.busy)
    assert not space.coding.edited
    space.prepare(before)()
    wait(lambda: space.coding.picture.title == "red apple" and not space.coding.busy)
    want = own.copy()
    want[1, 2] = code
    np.testing.assert_array_equal(space.coding.indices, want)
    np.testing.assert_allclose(shown(space.reconstructed[0]), book.decode(want)[0], atol=1e-6)
    space.token_card.reset.click()
    np.testing.assert_array_equal(space.coding.indices, own)


def test_codes_are_counted_over_all_emoji(space, book, emoji, wait):
    space.usage_card.count.click()
    wait(lambda: not space.coding.counting)
    assert np.array_equal(space.coding.counts, book.count(emoji.pictures))
    used = int((space.coding.counts > 0).sum())
    assert space.usage_card.everywhere.text().startswith(f"3 of 3 emoji: {used} of 12 codes")
    assert space.usage_card.count.text() == "Count over all emoji"
