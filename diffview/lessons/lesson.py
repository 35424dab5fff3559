"""Reading a lesson from its Markdown file; what is wrong with one is told with its line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from diffview import places, resources
from diffview.errors import InputError
from diffview.lessons import readouts, setup
from diffview.lessons.setup import Setup

SUFFIX = ".md"
MAX_BYTES = 1024**2
KEYS = ("title", "summary")
FENCE = "```"
RULE = "---"
STATED = re.compile(r"\[([^\]]*)\]\(value:((?:[^()]|\([^()]*\))*)\)")
NUMBER = re.compile(r"[-−]?\d+(?:,\d{3})*(?:\.(\d+))?")


@dataclass(frozen=True, slots=True)
class Text:
    """Markdown, with formulas between dollars: `$...$` in a line, `$$...$$` on their own."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Question:
    """Something to predict before looking, and what one then sees."""

    asked: str
    answer: str
    line: int

    @property
    def text(self) -> str:
        """Both, as they stand in the file from `line` on."""
        return f"{self.asked}\n{RULE}\n{self.answer}"


Block = Text | Question | Setup


@dataclass(frozen=True, slots=True)
class Stated:
    """A number that a text states, what measures it, and the set-up that it is measured in."""

    text: str
    readout: str
    setup: Setup | None
    line: int

    @property
    def number(self) -> float:
        """What is stated."""
        return float(_number(self.text).replace("−", "-").replace(",", ""))

    @property
    def tolerance(self) -> float:
        """Half of the last digit that is stated."""
        found = NUMBER.search(self.text)
        digits = 0 if found is None or found[1] is None else len(found[1])
        return 0.5 * 10.0**-digits


@dataclass(frozen=True, slots=True)
class Lesson:
    """A lesson as it is read; `name` is its file's, without what is only there for the order."""

    name: str
    title: str
    summary: str
    path: Path
    blocks: tuple[Block, ...]

    @property
    def setups(self) -> tuple[Setup, ...]:
        """The set-ups, from the top down."""
        return tuple(block for block in self.blocks if isinstance(block, Setup))

    def stated(self) -> Iterator[Stated]:
        """Every number that is stated with what measures it, from the top down."""
        last = None
        for block in self.blocks:
            if isinstance(block, Setup):
                last = block
                continue
            for found in STATED.finditer(block.text):
                line = block.line + block.text.count("\n", 0, found.start())
                yield Stated(found[1], found[2], last, line)


def own_folder() -> Path | None:
    """Where a lecturer's own lessons lie; None where there is no home."""
    data = places.folder("data")
    return None if data is None else data / "lessons"


def every() -> tuple[list[Lesson], list[InputError]]:
    """All lessons, the bundled ones first, in the order of their names; and what is broken."""
    files = list(_files(resources.path("lessons")))
    own = own_folder()
    if own is not None and own.is_dir():
        files += _files(own)
    lessons, broken = [], []
    for path in files:
        try:
            lessons.append(read(path))
        except InputError as error:
            broken.append(error)
    return lessons, broken


def _files(folder: Path) -> Iterable[Path]:
    return sorted(path for path in folder.glob(f"*{SUFFIX}") if path.is_file())


def read(path: Path) -> Lesson:
    """The lesson in this file. Raises InputError naming file, line and what to do."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} is larger than {MAX_BYTES // 1024} kB: that is no lesson")
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a text in UTF-8: save it as one") from error
    return parse(text, path)


def parse(text: str, path: Path) -> Lesson:
    """The lesson in `text`; `path` is named in errors. Raises InputError."""
    lines = text.splitlines()
    head, start = _front_matter(lines, path)
    head = {key: _unquoted(value) for key, value in head.items()}
    if not head.get("title"):
        raise InputError(f"{path}:1: a lesson has a title: write 'title: ...' between the rules")
    name = re.sub(r"^\d+-", "", path.stem)
    blocks = tuple(_blocks(lines, start, path))
    lesson = Lesson(name, head["title"], head.get("summary", ""), path, blocks)
    for stated in lesson.stated():
        _check_stated(stated, path)
    return lesson


def _front_matter(lines: list[str], path: Path) -> tuple[dict[str, str], int]:
    """The entries between the two rules at the top, and the line after them."""
    if not lines or lines[0].strip() != RULE:
        raise InputError(f"{path}:1: a lesson begins with a line '{RULE}', 'title: ...', '{RULE}'")
    ends = (k for k, line in enumerate(lines[1:], 1) if line.strip() == RULE)
    end = next(ends, None)
    if end is None:
        raise InputError(f"{path}:1: the front matter has no end: close it with a line '{RULE}'")
    return setup.entries(lines[1:end], KEYS, path, first=2), end + 1


def _unquoted(value: str) -> str:
    """Without the quotes that YAML wants around a value with a colon in it."""
    inner = value[1:-1]
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return inner if quoted and value[0] not in inner else value


def _blocks(lines: list[str], start: int, path: Path) -> Iterator[Block]:
    plain, first, at = [], start, start
    while at < len(lines):
        kind, _, label = lines[at].strip().removeprefix(FENCE).partition(" ")
        if not lines[at].lstrip().startswith(FENCE) or kind not in ("setup", "question"):
            plain.append(lines[at])
            at += 1
            continue
        yield from _text(plain, first)
        end = _end_of_fence(lines, at, path)
        inside = lines[at + 1 : end]
        if kind == "setup":
            yield setup.parse(label.strip(), inside, path, at + 1)
        else:
            yield _question(inside, path, at + 2)
        plain, first, at = [], end + 1, end + 1
    yield from _text(plain, first)


def _text(lines: list[str], first: int) -> Iterator[Text]:
    blank = next((k for k, line in enumerate(lines) if line.strip()), None)
    if blank is not None:
        yield Text("\n".join(lines[blank:]).rstrip(), first + blank + 1)


def _end_of_fence(lines: list[str], at: int, path: Path) -> int:
    for k in range(at + 1, len(lines)):
        if lines[k].strip() == FENCE:
            return k
        if lines[k].startswith(FENCE):
            break
    raise InputError(f"{path}:{at + 1}: this block has no end: close it with a line '{FENCE}'")


def _question(lines: list[str], path: Path, line: int) -> Question:
    rules = [k for k, text in enumerate(lines) if text.strip() == RULE]
    asked, answer = ("\n".join(part).strip() for part in _halves(lines, rules))
    if not asked or not answer:
        raise InputError(
            f"{path}:{line}: a question is a text, a line '{RULE}', and the answer below it"
        )
    return Question(asked, answer, line)


def _halves(lines: list[str], rules: list[int]) -> tuple[list[str], list[str]]:
    return (lines[: rules[0]], lines[rules[0] + 1 :]) if rules else (lines, [])


def _check_stated(stated: Stated, path: Path) -> None:
    try:
        _number(stated.text)
        readout, _ = readouts.find(stated.readout)
    except InputError as error:
        raise InputError(f"{path}:{stated.line}: {error}") from error
    if stated.setup is None and not readout.of_card:
        raise InputError(
            f"{path}:{stated.line}: '{stated.text}' is measured in no set-up: write one above it"
        )


def _number(text: str) -> str:
    found = NUMBER.search(text)
    if found is None:
        raise InputError(f"'{text}' states no number, so there is nothing to measure")
    return found[0]
