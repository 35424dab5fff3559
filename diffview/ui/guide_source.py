"""The second models of guidance in the window: their cards, and how to get one ready."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Any

from diffview.models import catalog, guides
from diffview.models.card import ModelCard

if TYPE_CHECKING:
    from diffview.ui.jobs import ModelSource


class GuideSource:
    """Opened for a model at the first call, then kept; only a worker's thread may ask."""

    def __init__(self, card: ModelCard, open_for: Callable[[Any], Any]) -> None:
        self.card = card
        self._open_for = open_for
        self._opened: dict[tuple[str, str], Any] = {}
        self._opening = Lock()

    def guide(self, model: Any) -> Any:
        """What guides `model`, on its device."""
        with self._opening:
            key = model.card.id, str(model.device)
            if key not in self._opened:
                self._opened[key] = self._open_for(model)
            return self._opened[key]


def of_entry(entry: catalog.Entry) -> GuideSource:
    """A guide in a file."""
    return GuideSource(
        entry.card, lambda model: guides.open_guide(entry, model.card, model.device)
    )


def of_model(source: ModelSource) -> GuideSource:
    """A model that can be sampled, as the weaker one."""
    return GuideSource(source.card, lambda model: source.model())


def bundled() -> dict[str, GuideSource]:
    """The bundled models that judge, by id."""
    entries = (entry for entry in catalog.bundled() if not entry.card.samples)
    return {entry.card.id: of_entry(entry) for entry in entries}
