"""The errors a person can meet; each says what, which value, what is allowed and what to do."""

from __future__ import annotations


class DiffviewError(Exception):
    """Something failed while running; the command line exits with code 1."""

    exit_code = 1


class InputError(DiffviewError):
    """Something a person gave cannot be used; the command line exits with code 2."""

    exit_code = 2


class NonFiniteError(DiffviewError):
    """The network produced NaN or infinity; the frames before that step are kept."""
