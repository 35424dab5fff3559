"""The models of the window: those that can be sampled, and those that only guide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diffview.engine.spec import RunSpec
from diffview.engine.trajectory import Trajectory
from diffview.errors import InputError
from diffview.models import catalog, guides, sampling
from diffview.models.card import ModelCard
from diffview.ui import guide_source
from diffview.ui.guide_source import GuideSource
from diffview.ui.jobs import ModelSource


class Shelf:
    """Models and guides by id; the first model is the default."""

    def __init__(self, sources: Mapping[str, ModelSource]) -> None:
        self.sources = dict(sources)
        self.guides = guide_source.bundled()

    @property
    def first(self) -> ModelCard:
        """The card of the default model."""
        return next(iter(self.sources.values())).card

    @property
    def cards(self) -> list[ModelCard]:
        """The cards of all models that can be chosen."""
        return [source.card for source in self.sources.values()]

    @property
    def known(self) -> list[ModelCard]:
        """The cards of all models, those that only guide among them."""
        return [*self.cards, *(guide.card for guide in self.guides.values())]

    def add(self, source: ModelSource) -> None:
        """One more model, or a known one anew.

        One that has the id of another model, but weights of its own, gets an id of its own.
        """
        source.card = catalog.told_apart(source.card, self.cards)
        self.sources[source.card.id] = source

    def has(self, card: ModelCard) -> bool:
        """Whether a model with these weights is here."""
        return bool(card.weights_sha256) and any(
            source.card.weights_sha256 == card.weights_sha256 for source in self.sources.values()
        )

    def id_of(self, model_id: str, weights: str) -> str:
        """Which model has these weights, of those with this id or of all; the id if none has."""
        plain = catalog.plain_id(model_id)
        same = [
            key for key, source in self.sources.items() if source.card.weights_sha256 == weights
        ]
        of_its_name = [key for key in same if catalog.plain_id(key) == plain]
        others = same if weights else []
        return next(iter((*of_its_name, *others)), model_id)

    def maker_of(self, run: Trajectory, about: Mapping[str, Any]) -> ModelSource | None:
        """The model that made a run, if it is here."""
        weights = sampling.weights_of(about)
        found = self.sources.get(self.id_of(run.spec.model_id, weights))
        if found is None or found.card.data_shape != run.data_shape:
            return None
        return found if weights in ("", found.card.weights_sha256) else None

    def guide_of(self, spec: RunSpec, card: ModelCard) -> GuideSource | None:
        """What guides such a run of a model. Raises InputError where it is not here or unfit."""
        name, kind = spec.guidance.guide, spec.guidance.kind
        if not name:
            return None
        if name in self.sources:
            found = guide_source.of_model(self.sources[name])
        elif name in self.guides:
            found = self.guides[name]
        else:
            raise InputError(f"the guide '{name}' is not here: open its file first (Ctrl+O)")
        guides.check(card, found.card, kind)
        return found
