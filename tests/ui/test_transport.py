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


NOISE = ["xt", "x0hat", "eps", "score"]
GUIDED = ["xt", "x0hat", "x0cond", "x0uncond", "diff", "eps", "score"]
TOKENS = ["xt", "x0hat", "entropy", "surprise"]


def test_the_strip_offers_exactly_what_the_run_has(transport, heard):
    asked = heard(transport.stripRequested)
    for guided, by_token, names in (
        (False, False, NOISE),
        (True, False, GUIDED),
        (True, True, TOKENS),
        (False, True, TOKENS),
        (True, False, GUIDED),
    ):
        transport.show_strip(Strip((), 0, "xt", True, guided, by_token))
        shown = transport.shown
        assert [shown.itemData(row) for row in range(shown.count())] == names
        assert shown.currentData() == "xt"
    assert asked == [], "to offer others is no choice"


def test_choosing_what_the_strip_shows_asks_for_it(transport, qtbot):
    transport.show_strip(Strip((), 0, "xt", choices=True))
    with qtbot.waitSignal(transport.stripRequested) as asked:
        transport.shown.setCurrentIndex(transport.shown.findData("eps"))
    assert asked.args == ["eps"]
