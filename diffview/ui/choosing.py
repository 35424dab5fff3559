"""Choosing: the settings of the next run, with undo, and the models there are to choose from.

The controller is built on this; what a choice sets going (`request_run`, `_guide_anew`) is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from PySide6.QtCore import QObject, Signal, Slot

from diffview.engine.options import Value
from diffview.engine.origin import Origin
from diffview.engine.spec import Condition, Curve, RunSpec, checked, conflicts
from diffview.errors import InputError
from diffview.models import guides, sampling
from diffview.models.card import ModelCard
from diffview.ui import outlook, state
from diffview.ui.guide_source import GuideSource
from diffview.ui.history import History
from diffview.ui.jobs import ModelSource
from diffview.ui.outlook import Outlook
from diffview.ui.shelf import Shelf
from diffview.ui.state import Choices, Look, Notice


class Choosing(QObject):
    """Owns the choices; every change is told, and can be taken back."""

    choicesChanged = Signal(object)
    modelChanged = Signal(object)
    modelsChanged = Signal(object)
    noticed = Signal(object)
    begunAnew = Signal(str)
    """A topic of notices that is over."""

    def __init__(self, sources: Mapping[str, ModelSource], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.shelf = Shelf(sources)
        self.choices = state.defaults(self.shelf.first)
        self.look = Look()
        self._misread = ""
        self._history = History()

    def request_run(self, redo: bool = False, show_step: int | None = None) -> None:
        """Sample as chosen."""
        raise NotImplementedError

    def _sample_anew(self, redo: bool = False) -> None:
        """Sample as chosen; of a branch, from where it left."""
        raise NotImplementedError

    def _guide_anew(self) -> None:
        """Only guidance has changed: this step follows at once, the run behind it."""
        raise NotImplementedError

    # -- what there is ------------------------------------------------------------------------

    @property
    def card(self) -> ModelCard:
        """The card of the chosen model."""
        return self.source.card

    @property
    def cards(self) -> list[ModelCard]:
        """The cards of all models that can be chosen."""
        return self.shelf.cards

    @property
    def known(self) -> list[ModelCard]:
        """The cards of all models, those that only guide among them."""
        return self.shelf.known

    @property
    def outlook(self) -> Outlook:
        """What stands against the choices and their alternatives."""
        left, here = self.leaving
        guidable = self.source.guidable
        return outlook.outlook(
            self.choices, self.card, self.known, guidable=guidable, left=left, here=here
        )

    @property
    def leaving(self) -> tuple[int, int]:
        """At which step the shown run left another, and a branch would leave now; 0: none."""
        raise NotImplementedError

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that can be asked for under the chosen guidance."""
        return state.offered(self.card, self.choices.guidance_kind, self._guide_card(self.choices))

    def _guide_card(self, choices: Choices) -> ModelCard | None:
        return next((card for card in self.known if card.id == choices.guide), None)

    @property
    def source(self) -> ModelSource:
        """The chosen model, to be opened in a worker's thread."""
        return self.shelf.sources[self.choices.model_id]

    @property
    def spec(self) -> RunSpec:
        """The run that is chosen. Raises InputError where there is no such run."""
        return self.choices.spec(self.card, guidable=self.source.guidable)

    def guide_of(self, spec: RunSpec) -> GuideSource | None:
        """What guides such a run. Raises InputError where it is not here or does not fit."""
        return self.shelf.guide_of(spec, self.card)

    @property
    def obstacle(self) -> str:
        """Why what is chosen cannot be run; "" where it can."""
        try:
            self._possible(self.choices)
        except InputError as error:
            return str(error)
        return self._misread

    @Slot(str)
    def note_misread(self, trouble: str) -> None:
        """A field holds what cannot be read, "" for none: nothing runs without what it meant."""
        if trouble != self._misread:
            self._misread = trouble
            self.choicesChanged.emit(self.choices)

    def add_source(self, source: ModelSource) -> None:
        """Offer one more model, or a known one anew, and choose it.

        One that has the id of another model, but weights of its own, gets an id of its own.
        """
        self.shelf.add(source)
        self.modelsChanged.emit(self.cards)
        if source.card.id != self.choices.model_id:
            self.choose_model(source.card.id)
        else:
            self._forget()
            self.modelChanged.emit(source.card)
            self.choicesChanged.emit(self.choices)
            self.request_run()

    def _forget(self) -> None:
        """What was told of another model, or of one that could not be opened, is over."""
        for topic in ("open", "run"):
            self.begunAnew.emit(topic)

    def offer(self, source: ModelSource) -> None:
        """List one more model, and leave the chosen one as it is; one that is here stays."""
        if not self.shelf.has(source.card):
            self.shelf.add(source)
            self.modelsChanged.emit(self.cards)

    @Slot(str, str)
    def choose_place(self, device: str, dtype: str) -> None:
        """Choose where the model computes, and with what numbers; it is opened anew there."""
        if self.source.place != (device, dtype):
            self.source.place = (device, dtype)
            self.modelChanged.emit(self.card)
            self.request_run()

    def add_guide(self, guide: GuideSource) -> None:
        """Offer one more classifier, and choose it where it fits."""
        self.shelf.guides[guide.card.id] = guide
        self.modelsChanged.emit(self.cards)
        self.choicesChanged.emit(self.choices)
        kind = guides.kind_of(guide.card)
        reason = guides.reason_against(self.card, guide.card, kind)
        if reason:
            text = f"'{guide.card.title}' is here, but cannot guide the chosen model: {reason}"
            self.noticed.emit(Notice(text, "warning"))
        else:
            self._choose_guidance(self.choices.with_guidance(kind, guide.card.id, self.card))
            self._sample_anew(redo=True)

    # -- choices ------------------------------------------------------------------------------

    @Slot(str)
    def choose_model(self, model_id: str) -> None:
        """Choose another model and run it."""
        if model_id not in self.shelf.sources or model_id == self.choices.model_id:
            return
        self._forget()
        self._choose(state.adapted(self.choices, self.shelf.sources[model_id].card, self.card))
        if state.waits(self.choices, self.card):
            text = f"{self.card.title} is open: write a prompt, or press Run for any picture."
            self.noticed.emit(Notice(text, topic="open"))
        else:
            self.request_run()

    @Slot(str)
    def choose_sampler(self, name: str) -> None:
        """Choose another sampler for the next run."""
        self._choose(self.choices.with_sampler(name))

    @Slot(int)
    def choose_steps(self, n_steps: int) -> None:
        """Choose the number of steps of the next run."""
        self._choose(replace(self.choices, n_steps=n_steps))

    @Slot(str)
    def choose_spacing(self, spacing: str) -> None:
        """Choose how the next run's steps are spaced."""
        self._choose(self.choices.with_spacing(spacing, self.card))

    def choose_condition(self, condition: Condition) -> None:
        """Choose a class (or several, or none) and run."""
        if condition != self.choices.condition:
            self._choose(replace(self.choices, condition=condition))
            self._sample_anew(redo=not self.look.following)

    @Slot(object)
    def choose_negative(self, prompt: str | None) -> None:
        """Choose what guidance steers away from, None for no prompt, and run."""
        if prompt != self.choices.negative:
            self._choose(replace(self.choices, negative=prompt))
            self._sample_anew(redo=not self.look.following)

    def choose_seeds(self, first: int, count: int) -> None:
        """Choose `count` samples with seeds from `first` on."""
        self._choose(replace(self.choices, seeds=tuple(range(first, first + count))))

    def choose_option(self, name: str, value: Value) -> None:
        """Choose an option of the sampler."""
        self._choose(self.choices.with_option(name, value))

    @Slot(float)
    def choose_guidance(self, scale: float) -> None:
        """The slider's two effects: this step now, and the whole run in the background."""
        if scale == self.choices.guidance_scale:
            return
        self._choose(replace(self.choices, guidance_scale=scale), merge="guidance_scale")
        self._guide_anew()

    @Slot(str)
    def choose_guidance_kind(self, kind: str) -> None:
        """Choose another kind of guidance, with a guide that fits where it needs one, and run."""
        fitting = outlook.fitting(self.card, self.known, kind)
        guide = "" if fitting is None else fitting.id
        if kind == self.choices.guidance_kind:
            return
        self._choose_guidance(self.choices.with_guidance(kind, guide, self.card))
        self._sample_anew(redo=not self.look.following)

    @Slot(str)
    def choose_guide(self, guide: str) -> None:
        """Choose the classifier or the weaker model, and run."""
        if guide and guide != self.choices.guide:
            self._choose_guidance(replace(self.choices, guide=guide))
            self._sample_anew(redo=not self.look.following)

    def _choose_guidance(self, choices: Choices) -> None:
        self._choose(state.steered(choices, self.card, self._guide_card(choices)))

    @Slot(object)
    def choose_curve(self, curve: Curve) -> None:
        """Choose where along the run guidance acts; the run follows in the background."""
        if curve != self.choices.curve:
            self._choose(replace(self.choices, curve=curve), merge="curve")
            self._guide_anew()

    @Slot()
    def end_drag(self) -> None:
        """What is chosen from here on is a step of its own for undo."""
        self._history.end_merging()

    def _choose(self, choices: Choices, merge: str = "") -> None:
        """Take over choices; those that `merge` under one name are one step back for undo."""
        if choices == self.choices:
            return
        self._history.changed(self.choices, merge)
        self._set_choices(choices)

    def _set_choices(self, choices: Choices) -> None:
        # The model comes first: the panels show choices among what it offers.
        before, self.choices = self.choices, choices
        if before.model_id != choices.model_id:
            self.modelChanged.emit(self.card)
        self.choicesChanged.emit(choices)

    @Slot()
    def undo(self) -> None:
        """Go back to the choices before the last change, and run them."""
        self._travel_to(self._history.back(self.choices))

    @Slot()
    def redo(self) -> None:
        """Take back the last undo."""
        self._travel_to(self._history.forth(self.choices))

    def _travel_to(self, choices: Choices | None) -> None:
        if choices is None:
            return
        before = self.choices
        self._set_choices(choices)
        if replace(before, guidance_scale=self.choices.guidance_scale) == self.choices:
            self._guide_anew()
        elif before.model_id == self.choices.model_id:
            self._sample_anew()
        else:
            self.request_run()

    def forget_past(self) -> None:
        """Let undo begin here: what the last launch remembered is no change of settings."""
        self._history.forget()

    def restore(
        self,
        choices: Choices,
        about: Mapping[str, Any] | None = None,
        origin: Origin | None = None,
    ) -> str:
        """Take over choices from a file; returns what stands against it, "" if nothing does.

        origin: of the branch that they made, which began where a run from x_T perhaps cannot.
        """
        expected = sampling.weights_of(about or {})
        choices = replace(choices, model_id=self.shelf.id_of(choices.model_id, expected))
        if choices.model_id not in self.shelf.sources:
            return f"Model '{choices.model_id}' is not here; open its file to run it again."
        try:
            self._possible(choices, origin)
        except InputError as error:
            return f"It cannot be run here: {error}."
        self._choose(choices)
        if expected and expected != self.card.weights_sha256:
            return (
                f"Model '{choices.model_id}' has other weights than the ones this was made with."
            )
        spec = self.choices.spec(self.card, guidable=self.source.guidable)
        guide, of_guide = self.guide_of(spec), guides.weights_of(about or {})
        if guide is not None and of_guide and of_guide != guide.card.weights_sha256:
            return f"Guide '{guide.card.id}' has other weights than the one this was made with."
        return ""

    def _possible(self, choices: Choices, origin: Origin | None = None) -> None:
        """Raises InputError for what the model cannot be asked for."""
        source = self.shelf.sources[choices.model_id]
        spec = checked(choices.spec(source.card, guidable=source.guidable))
        check(replace(spec, origin=origin), source)
        self.shelf.guide_of(spec, source.card)

    def remembered(self) -> dict[str, Any]:
        """The choices as JSON, for the next launch."""
        return self.choices.spec(self.card).to_json()

    @property
    def guidable(self) -> bool:
        """Whether the model has a label that means none."""
        return (bool(self.card.classes) or self.card.takes_text) and self.source.guidable


def check(spec: RunSpec, source: ModelSource) -> None:
    """Raise InputError with the first thing that makes no sense for this model."""
    for reason in conflicts(spec, sampling.facts_of(source.card, guidable=source.guidable)):
        raise InputError(reason)
