"""Family `classifier`: the small network of `models/classifier.py`; it judges, never samples."""

from __future__ import annotations

import torch

from diffview.models.catalog import Entry
from diffview.models.classifier import Classifier, ClassifierConfig
from diffview.models.families import build, check_fit, config, family


@family("classifier")
def load(entry: Entry, device: torch.device) -> torch.nn.Module:
    """The network, on `device`."""
    network = build(entry, lambda value: Classifier(ClassifierConfig(**value)))
    shape = ClassifierConfig(**config(entry))
    check_fit(entry, (shape.channels, *entry.card.data_shape[1:]), shape.classes)
    return network.to(device)
