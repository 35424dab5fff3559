"""The guidance panel: what it says of the two effects, and that nothing around it jumps."""

import pytest

from diffview.ui import state
from diffview.ui.outlook import Outlook
from diffview.ui.panels.guidance_panel import GuidancePanel
from diffview.ui.state import Activity

NARROWEST = 206
"""Of the left dock's cards at 1280 x 800 (px)."""


@pytest.fixture
def panel(qtbot, make_model):
    made, card = GuidancePanel(), make_model().card
    qtbot.addWidget(made)
    made.show_model(card)
    made.show_state(state.defaults(card), True, Outlook())
    made.resize(NARROWEST, made.sizeHint().height())
    return made


def test_the_panel_keeps_its_height_whatever_it_says_of_the_run(panel):
    states = [
        (Activity(), False),
        (Activity(), True),
        (Activity(busy=True), False),
        (Activity(True, True, "", 37, 50, None, 10), True),
        (Activity(True, True, "", 50, 50, None, 10), False),
    ]
    heights, words = set(), []
    for activity, previewing in states:
        panel.show_activity(activity, previewing)
        heights.add((panel.heightForWidth(NARROWEST), panel.minimumSizeHint().height()))
        words.append(panel.whole_run.text().strip())
    assert len(heights) == 1
    assert words == ["", "This step now · press Run", "", "This step now · run 74 %",
                     "Whole run: 100 %"]  # fmt: skip


def test_a_weight_of_many_digits_takes_no_second_line(panel):
    panel.show_activity(Activity(), True)
    metrics = panel.fontMetrics()
    for label in (panel.this_step, panel.whole_run):
        longest = label.text().replace("2", "9.875")
        assert metrics.horizontalAdvance(longest) < NARROWEST - 24
