"""Seeds: how many there can be, how large, and how they are written."""

from __future__ import annotations

from diffview.errors import InputError

MAX_SEED = 2**63 - 1
MAX_SAMPLES = 4096


def parse_seeds(text: str) -> tuple[int, ...]:
    """Seeds from words such as "7", "0-15" or "1,5,9-12". Raises InputError when malformed."""
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not (_is_whole(first) and (not dash or _is_whole(last))):
            raise InputError(
                f"seeds '{text}' cannot be read: write one number, a range such as 0-15, "
                "or a list such as 1,5,9-12"
            )
        low, high = int(first), int(last if dash else first)
        if high < low:
            raise InputError(f"seeds '{part.strip()}' run backwards: write {high}-{low}")
        if high - low >= MAX_SAMPLES or len(seeds) + high - low >= MAX_SAMPLES:
            raise InputError(f"seeds '{text}' are more than {MAX_SAMPLES} samples; give fewer")
        seeds.extend(range(low, high + 1))
    return tuple(seeds)


def _is_whole(text: str) -> bool:
    # Python refuses to read numbers of thousands of digits, and no seed has more than 19.
    return text.isascii() and text.isdecimal() and len(text) <= 100
