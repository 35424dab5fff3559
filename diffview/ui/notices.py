"""What to tell a person of an exception."""

from __future__ import annotations

import logging
import traceback

from diffview.errors import DiffviewError
from diffview.ui.state import Notice

log = logging.getLogger(__name__)


def notice_of(error: BaseException, topic: str = "", about: str = "") -> Notice:
    """Its message if it was meant for people, details below; `about` is the file it is about."""
    log.error("job failed", exc_info=error)
    details = "".join(traceback.format_exception(error))
    text = _text(error)
    if about and about not in text:
        text = f"{about}: {text}"
    return Notice(text, "error", details, topic)


def _text(error: BaseException) -> str:
    if isinstance(error, DiffviewError):
        return str(error)
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename} cannot be used: {error.strerror}"
    return f"Something went wrong: {type(error).__name__}: {error}"
