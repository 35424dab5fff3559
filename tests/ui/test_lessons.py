"""Lessons in the window: read, set up, and taken back; formulas in the text."""

from pathlib import Path

import pytest
from PySide6.QtGui import QTextDocument
from PySide6.QtWidgets import QLabel, QPushButton

from diffview.errors import InputError
from diffview.lessons import lesson
from diffview.ui.widgets import math_text

PAGE = """---
title: A lesson
---
A state $x_{t}$ and

$$\\hat{x}_{0} = \\frac{x_{t}}{\\sqrt{\\alpha}}$$

```setup Look
model: fake
steps: 3
seeds: 5-6
step: 1
left: eps
```

```setup Refused
model: fake
steps: 900000
left: score
workspace: forward
```

```setup Not here
model: nobody-has-it
```

```question
Why?
---
Because of [0.5](value:sigma).
```
"""


def formulas(document):
    block, found = document.begin(), []
    while block.isValid():
        fragments = block.begin()
        while not fragments.atEnd():
            format = fragments.fragment().charFormat()
            if format.objectType() == math_text.FORMULA:
                found.append(format.property(math_text.MARKUP))
            fragments += 1
        block = block.next()
    return found


def test_formulas_stand_in_the_text_and_are_spoken(qapp):
    document = QTextDocument()
    math_text.show(
        document, "The *mean* of $x_{t}$ costs $5 or so.\n\n$$a = \\frac{b}{c}$$\n\nEnd."
    )
    assert formulas(document) == ["x_{t}", r"a = \dfrac{b}{c}"]
    assert "$5 or so" in document.toPlainText()
    assert math_text.plain(document).startswith("The mean of x t costs")
    assert "b over c" in math_text.plain(document)


def test_a_formula_that_cannot_be_read_is_refused(qapp):
    with pytest.raises(InputError, match=r"the formula \$.*\$ cannot be read: unknown command"):
        math_text.show(QTextDocument(), r"It is $\nothing{x}$.")


@pytest.fixture
def teaching(session, monkeypatch):
    page = lesson.parse(PAGE, Path("01-a.md"))
    second = lesson.parse("---\ntitle: B\n---\nText.\n", Path("02-b.md"))
    monkeypatch.setattr(
        lesson, "every", lambda: ([page, second], [InputError("03-c.md:1: broken")])
    )
    session.window.teaching.show()
    return session.window.teaching


def button(teaching, text):
    found = teaching.dock.page.findChildren(QPushButton)
    return next(one for one in found if one.text() == text)


def test_a_lesson_sets_the_window_up_and_brings_back_what_was(qtbot, session, teaching):
    c = session.controller
    qtbot.waitUntil(lambda: c.run is not None and c.run.complete, timeout=10_000)
    before, look, choices = c.run, c.look, c.choices
    assert teaching.dock.title.text() == "A lesson"
    button(teaching, "Look").click()
    qtbot.waitUntil(lambda: c.run is not before and c.run.complete, timeout=10_000)
    qtbot.waitUntil(lambda: not c.activity.busy, timeout=10_000)
    assert (c.run.spec.n_steps, c.run.spec.seeds, c.look.index) == (3, (5, 6), 1)
    assert c.look.panes[0].quantity == "eps"
    # once more: the run is there, so it is only looked at
    run = c.run
    c.scrub_to(3)
    button(teaching, "Look").click()
    assert c.run is run and c.look.index == 1 and not c.activity.busy
    teaching.dock.way_back.click()
    assert c.run is before and c.choices == choices
    assert (c.look.index, c.look.panes) == (look.index, look.panes)
    assert not teaching.dock.way_back.isEnabled()


def test_a_setup_that_is_refused_leaves_everything_as_it_was(wait, session, teaching):
    c = session.controller
    choices, look, name = c.choices, c.look, session.window.central.name
    button(teaching, "Refused").click()
    assert (c.choices, c.look, session.window.central.name) == (choices, look, name)
    assert not teaching.dock.way_back.isEnabled()
    c.request_run()
    wait(lambda: not c.activity.busy)
    assert c.look.panes == look.panes


def test_what_is_not_here_is_greyed_out_with_the_reason(session, teaching):
    absent = button(teaching, "Not here")
    assert not absent.isEnabled()
    assert "nobody-has-it" in absent.toolTip()


def test_an_answer_is_hidden_until_it_is_asked_for(session, teaching):
    answer = teaching.dock.page.findChild(object, "lessonAnswer4")
    assert answer.isHidden()
    button(teaching, "Show the answer").click()
    assert not answer.isHidden()


def test_pages_are_turned_and_remembered(session, teaching):
    session.window.commands.do("lesson_after")
    assert teaching.dock.title.text() == "B"
    assert not teaching.dock.after.isEnabled()
    assert session.settings.get("lesson", "") == "b"
    session.window.commands.do("lessons")
    assert not teaching.dock.isVisible()


def test_a_file_of_ones_own_is_opened_and_read_anew(qtbot, session, teaching, tmp_path):
    own = tmp_path / "mine.md"
    for title in ("Mine", "Mine, mended"):
        own.write_text(f"---\ntitle: {title}\n---\nText.\n")
        session.window.files.open(own)
        qtbot.waitUntil(lambda t=title: teaching.dock.title.text() == t, timeout=10_000)
        assert teaching.dock.chooser.count() == 3


def test_a_broken_lesson_is_told_of(session, teaching):
    assert "03-c.md:1: broken" in " ".join(
        label.text() for label in session.window.notices.findChildren(QLabel)
    )


def test_every_page_that_a_bundled_lesson_turns_to_is_there(session):
    paged = [(one.name, setup) for one in lesson.every()[0] for setup in one.setups if setup.page]
    assert paged
    for name, setup in paged:
        session.window.central.go_to(setup.workspace)
        assert setup.page in session.window.central.current.pages, name
