"""The prompt box: completion, words that are not read, and prompts nobody would type."""

import dataclasses

import pytest
from PySide6.QtCore import QMimeData, Qt
from PySide6.QtGui import QTextCharFormat
from pytestqt.qtbot import QtBot

from diffview.engine import schedules
from diffview.models.card import ModelCard
from diffview.ui import state
from diffview.ui.panels.condition_panel import ConditionPanel

WORDS = ("red", "green", "apple", "apricot", "cat", "t", "shirt")
ARABIC = "\u062a\u0641\u0627\u062d\u0629"
CARD = ModelCard(
    "tiny-text", "Tiny text", "latent_text", (4, 4, 4), "v", schedules.named("cosine"),
    text_tokens=8, vocabulary=WORDS, latent=True, picture_shape=(3, 16, 16),
    defaults={"prompt": "red apple"},
)  # fmt: skip
CHOICES = state.defaults(CARD)


@pytest.fixture
def panel(qtbot: QtBot):
    made = ConditionPanel()
    qtbot.addWidget(made)
    made.show_model(CARD)
    made.show_state(CHOICES)
    made.show()
    qtbot.waitExposed(made)
    return made


@pytest.fixture
def asked(panel, heard):
    return heard(panel.conditionRequested)


def type_in(qtbot, panel, text):
    panel.prompt.clear()
    qtbot.keyClicks(panel.prompt, text)


def paste(panel, text):
    data = QMimeData()
    data.setText(text)
    panel.prompt.clear()
    panel.prompt.insertFromMimeData(data)


def marked(panel):
    """The underlined words of the first block."""
    block = panel.prompt.document().firstBlock()
    none = QTextCharFormat.UnderlineStyle.NoUnderline
    return [
        block.text()[span.start : span.start + span.length]
        for span in block.layout().formats()
        if span.format.underlineStyle() != none
    ]


def test_a_model_of_text_has_a_prompt_box_that_shows_its_own_prompt(panel):
    assert panel.prompt.isVisible()
    assert panel.prompt.objectName() == "promptEdit"
    assert not panel.combo.isVisible()
    assert panel.prompt.toPlainText() == "red apple"
    panel.show_model(dataclasses.replace(CARD, text_tokens=0, vocabulary=(), classes=("Bag",)))
    assert panel.combo.isVisible()
    assert not panel.prompt.isVisible()


def test_enter_asks_once_and_state_does_not_echo(panel, asked, qtbot):
    type_in(qtbot, panel, "green cat")
    qtbot.keyClick(panel.prompt, Qt.Key.Key_Return)
    assert asked == ["green cat"]
    panel.show_state(dataclasses.replace(CHOICES, condition="green cat"))
    qtbot.keyClick(panel.prompt, Qt.Key.Key_Return)
    panel.show_state(dataclasses.replace(CHOICES, condition="cat"))
    assert panel.prompt.toPlainText() == "cat"
    assert asked == ["green cat"]


def test_an_empty_prompt_is_no_condition(panel, asked, qtbot):
    type_in(qtbot, panel, "  ")
    qtbot.keyClick(panel.prompt, Qt.Key.Key_Return)
    assert asked == [None]


def test_a_word_is_completed_from_the_vocabulary(panel, asked, qtbot):
    type_in(qtbot, panel, "red ap")
    popup = panel.prompt._completer.popup()
    assert popup.isVisible()
    rows = [popup.model().index(k, 0).data() for k in range(popup.model().rowCount())]
    assert rows == ["apple", "apricot"]
    qtbot.keyClick(popup, Qt.Key.Key_Down)
    qtbot.keyClick(popup, Qt.Key.Key_Return)
    assert panel.prompt.toPlainText() == "red apricot "
    assert asked == []
    popup.hide()


def test_unknown_words_are_marked_and_named(panel, qtbot):
    paste(panel, "blue apple sofa")
    assert marked(panel) == ["blue", "sofa"]
    assert panel.unread.isVisible()
    assert panel.unread.text() == "Unknown to the model and ignored: blue, sofa"
    paste(panel, "apple")
    assert marked(panel) == []
    assert not panel.unread.isVisible()


def test_after_an_emoji_words_are_marked_and_completed_where_they_stand(panel, qtbot):
    """Qt counts an emoji as two letters, Python as one."""
    paste(panel, "\U0001f34e\U0001f34e red sofa apple")
    units = panel.prompt.document().firstBlock().text().encode("utf-16-le")
    spans = panel.prompt.document().firstBlock().layout().formats()
    found = [units[2 * s.start : 2 * (s.start + s.length)].decode("utf-16-le") for s in spans]
    assert found == ["\U0001f34e\U0001f34e", "sofa"]
    assert "ignored: \U0001f34e\U0001f34e, sofa" in panel.unread.text()
    paste(panel, "\U0001f34e ")
    qtbot.keyClicks(panel.prompt, "apr")
    assert panel.prompt.word_before() == "apr"
    popup = panel.prompt._completer.popup()
    qtbot.mouseClick(popup.viewport(), Qt.MouseButton.LeftButton,
                     pos=popup.visualRect(popup.model().index(0, 0)).center())  # fmt: skip
    assert panel.prompt.toPlainText() == "\U0001f34e apricot "


def test_control_characters_and_line_ends_become_spaces(panel):
    paste(panel, "red\r\nap\x00ple\x1b\u202e cat")
    assert panel.prompt.toPlainText().split() == ["red", "ap", "ple", "cat"]
    assert panel.prompt.toPlainText().isprintable()


def test_right_to_left_words_are_kept_marked_and_named(panel, asked, qtbot):
    paste(panel, f"{ARABIC} apple")
    qtbot.keyClick(panel.prompt, Qt.Key.Key_Return)
    assert asked == [f"{ARABIC} apple"]
    assert marked(panel) == [ARABIC]
    assert ARABIC in panel.unread.text()


def test_more_than_ten_thousand_letters_are_left_out_and_said(panel, asked, qtbot):
    paste(panel, "cat " * 2500 + "green")
    assert len(panel.prompt.toPlainText()) == 10_000
    told = panel.unread.text()
    assert told == (
        "A prompt has at most 10,000 letters: 5 were left out; only the first 8 known words are "
        "read, not 2492 more"
    )
    qtbot.keyClick(panel.prompt, Qt.Key.Key_Return)
    assert len(asked[0]) < 10_001


def test_a_prompt_goes_to_another_model_of_text_and_a_class_does_not():
    typed = dataclasses.replace(CHOICES, condition="green cat")
    other = dataclasses.replace(CARD, id="other")
    assert state.adapted(typed, other).condition == "green cat"
    classes = dataclasses.replace(CARD, text_tokens=0, vocabulary=(), classes=("Bag", "Coat"))
    assert state.adapted(typed, classes).condition == 0
    labelled = dataclasses.replace(CHOICES, condition=1)
    assert state.adapted(labelled, CARD).condition == "red apple"


def test_a_negative_prompt_is_asked_for_in_its_own_box(panel, asked, heard, qtbot):
    avoided = heard(panel.negativeRequested)
    assert not panel.negative.isVisible()
    panel.fold.button.click()
    assert panel.negative.isVisible() and panel.negative.isEnabled()
    assert panel.negative.objectName() == "negativePromptEdit"
    qtbot.keyClicks(panel.negative, "green")
    qtbot.keyClick(panel.negative, Qt.Key.Key_Return)
    assert (avoided, asked) == (["green"], [])
    panel.show_state(dataclasses.replace(CHOICES, negative="green"))
    panel.negative.clear()
    qtbot.keyClick(panel.negative, Qt.Key.Key_Return)
    assert avoided == ["green", None], "an empty box is no prompt"


def test_a_negative_prompt_that_a_run_has_is_unfolded_and_counted(panel):
    panel.show_state(dataclasses.replace(CHOICES, negative="green"))
    assert panel.negative.isVisible() and panel.negative.toPlainText() == "green"
    panel.fold.button.click()
    assert not panel.negative.isVisible() and panel.fold.button.text() == "More · 1"
    panel.show_state(dataclasses.replace(CHOICES, negative="green"))
    assert not panel.negative.isVisible(), "it stays as a person left it"


def test_words_of_either_prompt_that_are_not_read_are_told_of(panel):
    panel.negative.setPlainText("zebra")
    assert "zebra" in panel.unread.text()


def test_a_negative_prompt_without_use_is_greyed_out_with_its_reason(panel):
    for change in ({"condition": None}, {"guidance_kind": "none"}):
        panel.show_state(dataclasses.replace(CHOICES, **change))
        assert not panel.negative.isEnabled()
        assert "needs a prompt, and classifier-free guidance" in panel.negative.toolTip()


def test_a_model_that_cannot_be_guided_has_no_negative_prompt(panel):
    panel.fold.button.click()
    panel.show_model(dataclasses.replace(CARD, needs_condition=True))
    assert panel.prompt.isVisible() and not panel.negative.isVisible()
    assert not panel.fold.button.isVisible()


def test_the_left_dock_has_room_for_a_model_of_text_in_the_smallest_window(session, wait):
    """A second box for the prompt pushed the sampler's last row out of sight."""
    window = session.window
    window.resize(1280, 800)
    window.condition_panel.show_model(CARD)
    window.condition_panel.show_state(CHOICES)
    window.sampling_panel.show_model(CARD)
    window.guidance_panel.show_model(CARD)
    bar = window.left_dock._area.verticalScrollBar()
    wait(lambda: window.condition_panel.prompt.isVisible() and bar.maximum() == 0)
