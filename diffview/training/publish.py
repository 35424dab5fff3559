"""From averaged weights to the file of a model: fp16 safetensors with all that is known in it.

Header: `diffview.card` what the model is, `diffview.config` the network's shape, `diffview.recipe`
how it was trained, `diffview.licence` under which terms it may be used. Half precision changes
what these networks say by 0.03 %.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from diffview import tensorfile
from diffview.errors import DiffviewError
from diffview.models import card as cards
from diffview.models.card import ModelCard
from diffview.models.sampling import versions
from diffview.training.loop import Task, TrainSettings
from diffview.training.recipes import Recipe

RECIPE_VERSION = 1
HELD_OUT_BATCHES = 16


@dataclass(frozen=True, slots=True)
class Trained:
    """What was done to the weights; `samples` counts every showing of a picture; begun_from names
    the model whose weights it began with, if it began with any."""

    recipe: str
    settings: TrainSettings
    samples: int
    loss: float
    begun_from: str = ""

    @property
    def share(self) -> float:
        """How much of the planned training was done."""
        return min(1.0, self.samples / self.settings.samples)

    def to_json(self) -> dict[str, Any]:
        """A JSON value for the header."""
        return {
            "version": RECIPE_VERSION,
            "recipe": self.recipe,
            "settings": asdict(self.settings),
            "samples_seen": self.samples,
            "held_out_loss": self.loss,
            **({"begun_from": self.begun_from} if self.begun_from else {}),
            "versions": versions(),
        }


def publish(
    recipe: Recipe,
    network: nn.Module,
    trained: Trained,
    path: Path,
    card: ModelCard | None = None,
) -> None:
    """Write the model's file to `path`, whole or not at all; `card` in place of the recipe's.

    Raises DiffviewError when a weight does not fit half precision, OSError when the disk refuses.
    """
    card = card or recipe.card()
    card = replace(card, description=_with_training(card, trained))
    metadata = {
        "diffview.card": json.dumps(card.to_json(), ensure_ascii=False),
        "diffview.config": json.dumps(recipe.config()),
        "diffview.recipe": json.dumps(trained.to_json()),
        "diffview.licence": f"Weights: {card.licence}. Data: {card.data_licence}",
    }
    tensorfile.write_numpy(path, _halved(network), metadata)


def _with_training(card: ModelCard, trained: Trained) -> str:
    """The card says what was trained, and all the more when that was less than planned."""
    seen = f"It saw {trained.samples:,} samples"
    if trained.share < 1:
        seen += (
            f", {trained.share:.0%} of the {trained.settings.samples:,} of its recipe: "
            "the training was stopped early"
        )
    begun = f" It began with the weights of {trained.begun_from}." if trained.begun_from else ""
    return f"{card.description}{begun} {seen}."


def _halved(network: nn.Module) -> dict[str, NDArray[Any]]:
    halved = {}
    for name, tensor in network.state_dict().items():
        array = tensor.detach().to("cpu", torch.float16).contiguous().numpy()
        if not np.isfinite(array).all():
            raise DiffviewError(
                f"weight '{name}' does not fit half precision; nothing was written"
            )
        halved[name] = array
    return halved


def add_figures(path: Path, figures: Mapping[str, Any]) -> None:
    """Put `figures` into the card of the file at `path`; its weights stay as they are."""
    header = tensorfile.read_header(path)
    card = cards.from_metadata(header.metadata, str(path))
    card = replace(card, figures={**card.figures, **figures})
    text = json.dumps(card.to_json(), ensure_ascii=False)
    metadata = {**header.metadata, "diffview.card": text}
    tensorfile.write_numpy(path, tensorfile.read_numpy(path), metadata)


@torch.no_grad()
def held_out_loss(task: Task, network: nn.Module, batch: int = 64) -> float:
    """The mean training loss on pictures kept from training, the same ones and noise each time."""
    device = next(network.parameters()).device
    batches = min(HELD_OUT_BATCHES, len(task) // batch) or 1
    losses = []
    for k in range(batches):
        indices = torch.arange(k * batch, min((k + 1) * batch, len(task)), device=device)
        losses.append(task.loss(network, indices, torch.Generator(device).manual_seed(k)).item())
    return float(np.mean(losses))
