"""From one sample alone, and from a zoom, a button and Esc lead back."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from diffview.ui.views.grid_layout import WHOLE, Viewport


def escape(session):
    QTest.keyClick(QApplication.focusWidget() or session.window, Qt.Key.Key_Escape)


@pytest.fixture
def pane(session):
    return session.window.denoising.left


def test_one_sample_alone_shows_the_way_back(session, pane):
    assert not pane.way_out.isVisible()
    session.controller.focus_sample(3)
    assert pane.way_out.isVisible() and "One sample" in pane.way_out.text()
    assert session.window.denoising.right.way_out.isVisible()
    pane.way_out.click()
    assert session.controller.look.focus is None and not pane.way_out.isVisible()


def test_escape_goes_back_from_the_zoom_first_and_then_to_all_samples(session, pane):
    session.controller.focus_sample(3)
    pane.view.viewportRequested.emit(Viewport(2.0))
    assert "Zoomed" in pane.way_out.text()
    escape(session)
    assert pane.view._viewport == WHOLE and session.controller.look.focus == 3
    escape(session)
    assert session.controller.look.focus is None
    escape(session)
    assert not pane.way_out.isVisible()


def test_escape_stops_a_run_before_it_goes_back(session, pane, network, wait):
    session.controller.focus_sample(3)
    network.hold()
    session.controller.request_run()
    escape(session)
    assert "Stopping" in session.controller.activity.text
    assert session.controller.look.focus == 3
    network.release()
    wait(lambda: not session.controller.activity.busy)


def test_the_button_stays_in_the_corner_of_the_pane(session, pane):
    session.controller.focus_sample(3)
    for size in ((900, 600), (1500, 900)):
        session.window.resize(*size)
        QApplication.processEvents()
        corner = pane.way_out.geometry().bottomRight()
        assert pane.view.width() - corner.x() < 12 and pane.view.height() - corner.y() < 12
