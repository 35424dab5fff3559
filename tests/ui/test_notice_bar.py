"""The notice bar: what was told goes when it is done anew; what is unread stays."""

import pytest

from diffview.ui.panels.notice_bar import NoticeBar
from diffview.ui.state import Notice


@pytest.fixture
def bar(qtbot):
    made = NoticeBar()
    qtbot.addWidget(made)
    made.show_notice(Notice("cannot open a.png", "error", topic="open"))
    return made


def test_what_is_done_anew_takes_its_error_back(bar):
    bar.forget("open")
    assert bar.isHidden()
    bar.show_notice(Notice("opened"))
    assert bar.text.text() == "opened"


def test_errors_of_other_things_stay(bar):
    bar.show_notice(Notice("the network broke", "error", "Traceback", topic="run"))
    bar.forget("open")
    assert bar.text.text() == "the network broke" and not bar.isHidden()
    bar.forget("export")
    assert bar.text.text() == "the network broke"


def test_what_was_closed_does_not_come_back(bar):
    bar.show_notice(Notice("the network broke", "error", topic="run"))
    bar.dismiss.click()
    bar.forget("open")
    assert bar.isHidden()


def test_everything_in_it_that_takes_the_keyboard_has_a_name(bar):
    for widget in (bar.more, bar.dismiss, bar.details):
        assert widget.accessibleName()
        assert widget.toolTip()
    assert bar.details.tabChangesFocus(), "Tab leads out of the details again"
