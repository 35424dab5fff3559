"""Every number that a bundled lesson states is linked to what measures it, or is none to measure.

None to measure are numbers in formulas and code, 0 and 1, which name limits, what a set-up of the
lesson sets, the size of a picture whose numbers are linked, years, and the places of a list.
"""

import re

import pytest

from diffview import resources
from diffview.lessons import lesson
from diffview.lessons.lesson import STATED, Question, Text

LESSONS = [lesson.read(path) for path in sorted(resources.path("lessons").glob("*.md"))]
LIMITS = {0.0, 1.0}
COLOURS = 3
NOT_MEASURED = (
    STATED,
    re.compile(r"\$\$.*?\$\$", re.DOTALL),
    re.compile(r"\$[^$]*\$"),
    re.compile(r"`[^`]*`"),
    re.compile(r"^\d+\. ", re.MULTILINE),
    re.compile(r"\b(?:Algorithm|[Ss]ection|eq\.) \d+"),
    re.compile(r"\b(?:19|20)\d\d(?=[,.;)])"),
)
SIZE = re.compile(r"(\d+) × (\d+)")
NUMBER = re.compile(r"[-−]?\d+(?:[,.]\d+)*")


def unlinked(one):
    """The numbers in a lesson that nothing measures, with their lines."""
    chosen = LIMITS | {number for made in one.setups for number in set_by(made)}
    stated = {said.number for said in one.stated()}
    for block in one.blocks:
        if not isinstance(block, Text | Question):
            continue
        left = block.text
        for pattern in NOT_MEASURED:
            left = pattern.sub(blanked, left)
        left = SIZE.sub(lambda found: blanked(found) if known(found, stated) else found[0], left)
        for found in NUMBER.finditer(left):
            if float(found[0].replace(",", "").replace("−", "-")) not in chosen:
                yield f"line {block.line + left.count(chr(10), 0, found.start())}: {found[0]}"


def blanked(found):
    return re.sub(r"\S", "_", found[0])


def known(size, stated):
    pixels = int(size[1]) * int(size[2])
    return bool({pixels, COLOURS * pixels} & stated)


def set_by(made):
    values = (made.settings.get(name) for name in ("steps", "step", "t", "guidance", "weight"))
    return {float(value) for value in values if value} | {float(seed) for seed in made.seeds}


@pytest.mark.parametrize("one", LESSONS, ids=lambda one: one.name)
def test_every_number_is_linked_to_what_measures_it(one):
    assert not list(unlinked(one)), f"write [NUMBER](value:READOUT) in {one.path.name}"


def test_what_is_not_linked_is_found_and_what_is_none_to_measure_is_not():
    page = """---
title: A
---
```setup Look
model: fashion
steps: 12
seeds: 4-5
```

1. Ho 2020, Algorithm 2, `x[3]`, $5^{6}$, and 12 steps of seed 5.
2. A picture of 28 × 28 has [784](value:numbers:fashion).
3. There are 60,000, or −2.5, of 17 × 17.
"""
    told = list(unlinked(lesson.parse(page, resources.path("lessons", "a.md"))))
    assert told == ["line 12: 60,000", "line 12: −2.5", "line 12: 17", "line 12: 17"]
