"""Which network and which set of pictures are compared on the shown run, and under which class."""

from __future__ import annotations

from diffview.engine.trajectory import Trajectory
from diffview.models.card import ModelCard
from diffview.ui.comparing import Subject
from diffview.ui.controller import Controller
from diffview.ui.jobs import ModelSource

SET = "pictures"
POINTS = "mixture"
"""Families that are computed from data, not trained."""


class Counterparts:
    """network and set are ids, "" where there is none; label is a class of the set that was chosen
    in place of the run's own, else None."""

    def __init__(self, store: Controller) -> None:
        self._store = store
        self.network, self.set = "", ""
        self.label: int | None = None

    def take_run(self) -> None:
        """Choose what fits the shown run: the model that made it where that is possible."""
        self.label = None
        self.network = self._chosen(self.network, self.networks)
        self.set = self._chosen(self.set, self.sets)

    def _chosen(self, before: str, cards: list[ModelCard]) -> str:
        ids, maker = [card.id for card in cards], self.maker
        if maker is not None and maker.card.id in ids:
            return maker.card.id
        return before if before in ids else next(iter(ids), "")

    @property
    def run(self) -> Trajectory | None:
        """The shown run, if it removes noise."""
        run = self._store.run
        return None if run is None or run.spec.by_token else run

    @property
    def maker(self) -> ModelSource | None:
        """The model that made the run, if it is here."""
        run = self._store.run
        return None if run is None else self._store.shelf.maker_of(run, self._store.about)

    @property
    def networks(self) -> list[ModelCard]:
        """The trained models of the run's shape."""
        return [card for card in self._of_shape() if card.family not in (SET, POINTS)]

    @property
    def sets(self) -> list[ModelCard]:
        """The sets of pictures of the run's shape."""
        return [card for card in self._of_shape() if card.family == SET]

    def _of_shape(self) -> list[ModelCard]:
        run = self.run
        if run is None:
            return []
        cards = (card for card in self._store.cards if not card.by_token and not card.latent)
        return [card for card in cards if card.data_shape == run.data_shape]

    def source(self, id: str) -> ModelSource | None:
        """The model with this id."""
        return self._store.shelf.sources.get(id)

    def classes_of(self, id: str) -> tuple[str, ...]:
        """Its classes."""
        source = self.source(id)
        return () if source is None else source.card.classes

    @property
    def classes(self) -> tuple[str, ...]:
        """Those of the set."""
        return self.classes_of(self.set)

    @property
    def run_class(self) -> str:
        """The class of the selected sample, by its name; "" where it has none."""
        run, maker = self.run, self.maker
        if run is None or maker is None:
            return ""
        label = run.spec.condition
        if isinstance(label, tuple):
            label = label[self._store.look.sample % len(label)]
        if not isinstance(label, int) or label >= len(maker.card.classes):
            return ""
        return maker.card.classes[label]

    def label_in(self, id: str) -> int | None:
        """The class as a model counts it: the chosen one, else the run's, else the set's first."""
        classes = self.classes_of(id)
        wanted = self.run_class if self.label is None else self.classes[self.label]
        if wanted in classes:
            return classes.index(wanted)
        return 0 if classes and id == self.set else None

    @property
    def subject(self) -> Subject | None:
        """What is compared; None where there is no set of pictures."""
        run, exact = self.run, self.source(self.set)
        network, label = self.source(self.network), self.label_in(self.network)
        if run is None or exact is None or exact.card.data_shape != run.data_shape:
            return None  # another run may be there before its models are
        if network is not None and network.card.data_shape != run.data_shape:
            return None
        sample = min(self._store.look.sample, run.spec.batch - 1)
        own = network is not None and network is self.maker and self._tells_all(run)
        return Subject(run, sample, exact, self.label_in(self.set), network, label, own)

    def _tells_all(self, run: Trajectory) -> bool:
        """Whether the run's records hold what its network says with the class and without."""
        if not self.classes_of(self.network):
            return run.spec.guidance.kind == "none"
        same = self.label is None or self.classes[self.label] == self.run_class
        return same and run.spec.guidance.kind == "cfg" and run.spec.origin is None

    @property
    def gamma(self) -> float:
        """The γ of the slider, else of the run; 1 where it is not guided."""
        run, shown = self._store.run, self._store.look.guidance_scale
        if shown is not None:
            return shown
        return run.spec.guidance.scale if run is not None and run.guided else 1.0
