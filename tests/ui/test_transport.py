"""The transport follows the look, also while the run is still growing."""

import pytest

from diffview.ui.panels.transport import Transport
from diffview.ui.timeline import Strip


@pytest.fixture
def transport(qtbot):
    made = Transport()
    qtbot.addWidget(made)
    return made


def test_the_handle_reaches_the_newest_step_though_the_look_moved_there_before_the_run_grew(
    transport,
):
    transport.show_length(3, 6)
    transport.show_place(5, "step 5")
    transport.show_length(6, 6)
    assert transport.scrubber.value() == 5


def test_following_a_growing_run_asks_for_no_step(transport, qtbot):
    transport.show_length(3, 6)
    transport.show_place(5, "step 5")
    with qtbot.assertNotEmitted(transport.stepRequested):
        transport.show_length(6, 6)


def test_the_strip_offers_what_the_run_recorded(transport):
    model = transport.shown.model()
    rows = {transport.shown.itemData(row): row for row in range(transport.shown.count())}
    for guided in (False, True):
        transport.show_strip(Strip((), 0, "x0hat", choices=True, guided=guided))
        assert model.item(rows["x0uncond"]).isEnabled() is guided
        assert model.item(rows["eps"]).isEnabled()


def test_choosing_what_the_strip_shows_asks_for_it(transport, qtbot):
    with qtbot.waitSignal(transport.stripRequested) as asked:
        transport.shown.setCurrentIndex(transport.shown.findData("eps"))
    assert asked.args == ["eps"]
