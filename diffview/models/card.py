"""ModelCard: what a model is, what it was trained on and what it cannot do."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from diffview.engine import schedules
from diffview.engine.schedules import Schedule
from diffview.errors import InputError

CARD_VERSION = 1
KEY = "diffview.card"
"""Where it stands in a safetensors header."""
LISTS = ("data_shape", "classes", "value_range", "vocabulary", "picture_shape", "notes")
FLAGS = ("learned_variance", "whole_times", "latent", "needs_condition", "distilled")
UNTOLD = (
    *FLAGS, "text_tokens", "vocabulary", "picture_shape", "notes", "null_condition", "decoder"
)  # fmt: skip
"""What a card leaves out where it is not so: those who do not know these facts can read it."""


@dataclass(frozen=True)
class ModelCard:
    """What can be known of a model without loading its weights.

    learned_variance: the network has a second half of channels, for the variance of a step.
    whole_times: it can only be asked at whole times. latent: its samples are no pictures yet, and
    picture_shape is what they decode to. needs_condition: it has no input that means "none".
    text_tokens: how long a prompt it takes, 0 where it takes none; vocabulary: the only words it
    knows, empty where any text will do. notes: what is unusual about it, one a line.
    null_condition: what it is given in place of a class or prompt; decoder: what makes pictures of
    its samples, and their scale. distilled: it is told a scale of guidance as one more input.
    """

    id: str
    title: str
    family: str
    data_shape: tuple[int, ...]
    prediction: str
    schedule: Schedule
    classes: tuple[str, ...] = ()
    value_range: tuple[float, float] = (-1.0, 1.0)
    description: str = ""
    limits: str = ""
    source: str = ""
    licence: str = ""
    data_licence: str = ""
    parameters: int = 0
    weights_sha256: str = ""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    learned_variance: bool = False
    whole_times: bool = False
    latent: bool = False
    needs_condition: bool = False
    text_tokens: int = 0
    vocabulary: tuple[str, ...] = ()
    picture_shape: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    null_condition: str = ""
    decoder: str = ""
    distilled: bool = False

    @property
    def samples(self) -> bool:
        """Whether this model can be sampled (classifiers and tokenizers cannot)."""
        return self.prediction not in ("class", "tokens")

    @property
    def by_token(self) -> bool:
        """Whether it writes token by token: what it predicts is the next one."""
        return self.prediction == "next"

    @property
    def tokens(self) -> int:
        """How many tokens it writes, 0 where it writes none."""
        return math.prod(self.data_shape) if self.by_token else 0

    @property
    def codes(self) -> int:
        """How many different tokens it tells apart, 0 where it writes none."""
        return int(self.value_range[1]) + 1 if self.by_token else 0

    @property
    def coded(self) -> bool:
        """Whether its samples must be decoded before they can be seen."""
        return self.by_token or (self.latent and bool(self.picture_shape))

    @property
    def takes_text(self) -> bool:
        """Whether its condition is a prompt."""
        return self.text_tokens > 0

    @property
    def guidable(self) -> bool:
        """Whether it takes a condition and can do without it, as classifier-free guidance asks."""
        return (bool(self.classes) or self.takes_text) and not self.needs_condition

    @property
    def shown_shape(self) -> tuple[int, ...]:
        """The shape of a sample as a picture: what its latents decode to, else its own."""
        return self.picture_shape or self.data_shape

    def to_json(self) -> dict[str, Any]:
        """A JSON value `from_json` reads back."""
        value = asdict(self) | {"schedule": self.schedule.to_json(), "version": CARD_VERSION}
        return {key: item for key, item in value.items() if key not in UNTOLD or item}


def from_json(value: Mapping[str, Any]) -> ModelCard:
    """The card that `to_json` wrote. Raises InputError for anything else."""
    version = value.get("version")
    if type(version) is not int or version < 1:
        raise InputError("the model's card has no version, so it is not one of diffview's")
    if version > CARD_VERSION:
        raise InputError(
            f"the model's card has version {version}, this diffview reads up to {CARD_VERSION}: "
            "update diffview to open it"
        )
    try:
        fields = {key: item for key, item in value.items() if key != "version"}
        fields["schedule"] = schedules.from_json(fields["schedule"])
        for key in LISTS:
            if not isinstance(fields.get(key, []), list | tuple):
                raise TypeError(f"{key} is not a list")
            if key in fields or key == "data_shape":
                fields[key] = tuple(fields[key])
        return _checked(ModelCard(**fields))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"the model's card is damaged: {error}") from None


def _checked(card: ModelCard) -> ModelCard:
    texts = ("id", "title", "family", "prediction", "description", "limits", "source", "licence")
    for name in (*texts, "data_licence", "weights_sha256", "null_condition", "decoder"):
        if not isinstance(getattr(card, name), str):
            raise TypeError(f"{name} is not text")
    if not all(isinstance(name, str) for name in (*card.classes, *card.vocabulary, *card.notes)):
        raise TypeError("classes, vocabulary or notes are not all text")
    for shape in (card.data_shape, card.shown_shape):
        if not shape or not all(type(n) is int and n > 0 for n in shape):
            raise ValueError(f"data_shape {shape} is not of whole numbers above 0")
    if card.picture_shape and not card.latent:
        raise ValueError("it has a picture_shape, but its samples are no latents")
    low, high = card.value_range
    if not -math.inf < low < high < math.inf:
        raise ValueError(f"value_range {card.value_range} is not from a low to a high number")
    for name in FLAGS:
        if not isinstance(getattr(card, name), bool):
            raise TypeError(f"{name} is neither true nor false")
    if type(card.parameters) is not int:
        raise TypeError("parameters is not a whole number")
    if type(card.text_tokens) is not int or card.text_tokens < 0:
        raise TypeError("text_tokens is not a whole number")
    if card.text_tokens and card.classes:
        raise ValueError("it takes classes and prompts, and a condition is only one of them")
    if not isinstance(card.defaults, dict) or not isinstance(card.figures, dict):
        raise TypeError("defaults or figures are not JSON objects")
    for name, value in card.defaults.items():
        _check_default(name, value)
    return card


_DEFAULTS: Mapping[str, tuple[type, ...]] = {
    "sampler": (str,),
    "steps": (int,),
    "spacing": (str,),
    "guidance": (int, float),
    "guidance_kind": (str,),
    "options": (dict,),
    "label": (int,),
}


def _check_default(name: str, value: object) -> None:
    """What the card recommends is of its own type; whether it can be run, a run checks."""
    kinds = _DEFAULTS.get(name, (object,))
    if not isinstance(value, kinds) or (isinstance(value, bool) and name in _DEFAULTS):
        raise TypeError(f"default {name} = {value!r} is not of type {kinds[0].__name__}")
    if name == "guidance_kind" and value not in ("cfg", "none"):
        raise TypeError(f"default guidance_kind = {value!r} is neither cfg nor none")
    if isinstance(value, dict) and not all(
        isinstance(v, str | int | float) for v in value.values()
    ):
        raise TypeError("default options are not all numbers or words")


def from_metadata(metadata: Mapping[str, str], where: str) -> ModelCard:
    """The card in a safetensors header. Raises InputError when there is none."""
    text = metadata.get(KEY)
    if text is None:
        raise InputError(
            f"{where} carries no diffview model card, so what its weights mean is unknown; "
            "open the model from Python with diffview.wrap(network, shape=..., schedule=...)"
        )
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: the model's card is damaged: {error}") from None
    if not isinstance(value, dict):
        raise InputError(f"{where}: the model's card is not a JSON object")
    try:
        return from_json(value)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
