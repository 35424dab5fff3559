"""CLIP's tokenizer for files that bring none: its vocabulary follows from its byte pairs.

256 signs for the bytes, the same at the end of a word, one word for each of the 48,894 merges, and
two marks for begin and end: 49,408 in this order (Radford et al. 2021, arXiv 2103.00020, code).
"""

from __future__ import annotations

import gzip
import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from diffview import resources

END_OF_WORD = "</w>"
MARKS = ("<|startoftext|>", "<|endoftext|>")
LENGTH = 77


@cache
def make(cls: Any, pad_token: str) -> Any:
    """An instance of transformers' CLIPTokenizer `cls`."""
    with tempfile.TemporaryDirectory(prefix="diffview-clip-") as folder:
        place = Path(folder)
        words = {word: number for number, word in enumerate(vocabulary())}
        (place / "vocab.json").write_text(json.dumps(words), encoding="utf-8")
        (place / "merges.txt").write_text(
            "#version: 0.2\n" + "\n".join(merges()) + "\n", encoding="utf-8"
        )
        start, end = MARKS
        told = {"bos_token": start, "eos_token": end, "unk_token": end, "pad_token": pad_token}
        (place / "tokenizer_config.json").write_text(
            json.dumps(told | {"model_max_length": LENGTH}), encoding="utf-8"
        )
        return cls.from_pretrained(folder, local_files_only=True)


def vocabulary() -> list[str]:
    """The words in the order of their numbers."""
    signs = byte_signs()
    ends = [sign + END_OF_WORD for sign in signs]
    return [*signs, *ends, *("".join(pair.split()) for pair in merges()), *MARKS]


def byte_signs() -> list[str]:
    """A printable sign for each byte: itself where it is one, else a letter from 256 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)]
    others = 256 - len(printable)
    return [chr(byte) for byte in printable] + [chr(256 + k) for k in range(others)]


@cache
def merges() -> tuple[str, ...]:
    """The pairs in the order in which they are merged."""
    packed = resources.path("clip", "merges.txt.gz").read_bytes()
    return tuple(gzip.decompress(packed).decode("utf-8").splitlines())
