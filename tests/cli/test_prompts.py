"""Prompts on the command line: far too long, right-to-left, with characters that are not seen."""

import json
import unicodedata

import pytest

from diffview.cli import main
from diffview.engine import session
from diffview.engine.spec import MAX_PROMPT

UNSEEN = "red\x1b[31m\tapple\x00\u202ecat\u2066\n"
HEBREW = "תפוח אדום red"


def sample(writers, tmp_path, prompt, *more):
    """Run the tiny text model; its session if it worked."""
    saved = tmp_path / "run.dvsession"
    code = main(
        ["sample", "--model", str(writers / "text.safetensors"), "--prompt", prompt, "--seeds",
         "0", "--device", "cpu", "--session", str(saved), *more]
    )  # fmt: skip
    return code, session.load(saved)[0] if saved.exists() else None


def unseen(text):
    """Characters in it that steer a terminal instead of being seen."""
    return {c for c in text if unicodedata.category(c) in ("Cc", "Cf") and c not in "\n\r"}


def test_ten_thousand_letters_are_read_and_one_more_is_refused(writers, tmp_path, capsys):
    code, run = sample(writers, tmp_path, "x" * MAX_PROMPT)
    told = capsys.readouterr()
    assert code == 0 and run.complete
    assert "ignored: xxx" in told.err
    assert len(told.err + told.out) < 1000, "a warning that scrolls everything away tells nothing"
    (tmp_path / "run.dvsession").unlink()
    code, run = sample(writers, tmp_path, "x" * (MAX_PROMPT + 1))
    assert (code, run) == (2, None)
    assert f"at most {MAX_PROMPT} letters" in capsys.readouterr().err


def test_right_to_left_words_are_told_of_and_the_others_read(writers, tmp_path, capsys):
    code, run = sample(writers, tmp_path, HEBREW)
    assert code == 0 and run.spec.condition == HEBREW
    assert "ignored: תפוח, אדום" in capsys.readouterr().err


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_what_is_not_seen_reaches_no_terminal_and_the_words_are_read(
    writers, tmp_path, capsys, more
):
    code, run = sample(writers, tmp_path, UNSEEN, *more)
    told = capsys.readouterr()
    assert code == 0 and run.complete
    assert not unseen(told.err) - {"\t"}
    assert not unseen(told.out) - {"\t"}
    for line in told.out.splitlines() if more else ():
        json.loads(line)
