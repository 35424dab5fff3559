"""`folder`: a pixel U-Net on a person's own folder of pictures; sub-folders are its classes.

The loss and the schedule are those of `fashion`. Pictures are brought to one size by the rule of
`datasets/folder.py`; S is then the largest of SIDES that is not larger than theirs.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from diffview.datasets import LabelledPictures, folder
from diffview.datasets.folder import PictureFolder
from diffview.errors import InputError
from diffview.frames.pixels import Uint8
from diffview.models import catalog, families
from diffview.models.card import ModelCard
from diffview.models.network import NetworkDenoiser
from diffview.models.sampling import records, spec_for
from diffview.models.unet import UNetConfig
from diffview.training.data import by_turns, scaled
from diffview.training.evaluate import Evaluating
from diffview.training.loop import TrainSettings
from diffview.training.recipes import recipe
from diffview.training.recipes.fashion import SCHEDULE, FashionTask
from diffview.training.sheet import class_sheet, plain_sheet

SIDES = (16, 20, 24, 28, 32, 48, 64)
SMALL = 32
"""Up to this side a patch is 2 x 2 pixels, above it 4 x 4."""
FEWEST = 16
HELD_OUT = 10
"""One picture in so many is kept from training."""
BATCH, SAMPLES = 64, 384_000
UNKNOWN_SHAPE = (3, 32, 32)
"""What the card tells of before a folder is given."""


@recipe(
    name="folder",
    title="Your own folder of pictures",
    needs="a folder of pictures; sub-folders, if there are any, are the classes",
    takes="about an hour and a half on two CPU cores, a few minutes on a GPU",
)
@dataclass(frozen=True)
class Folder:
    """A U-Net of about 3 million numbers; `folder` is where the pictures are."""

    folder: Path | None = None
    own_settings: TrainSettings | None = None
    base: int = 64

    @cached_property
    def _found(self) -> PictureFolder | None:
        """What is in the folder, at the size it is trained at; None where there is nothing."""
        if self.folder is None or not folder.holds_pictures(self.folder):
            return None
        found = folder.look_into(self.folder)
        channels, side, _ = found.shape
        side = max((s for s in SIDES if s <= side), default=SIDES[0])
        return replace(found, shape=(channels, side, side))

    @cached_property
    def _pictures(self) -> LabelledPictures:
        if self.folder is None:
            raise InputError("whose pictures? Give the folder that they are in with --data FOLDER")
        found = self._found or folder.look_into(self.folder)
        if len(found) < FEWEST:
            raise InputError(
                f"{self.folder} holds {_counted(len(found))}, at least {FEWEST} are needed to "
                "train on; what a model of so few would say is exact in closed form: open the "
                "folder as a model instead"
            )
        return folder.read(found)

    @property
    def settings(self) -> TrainSettings:
        """Smaller batches where there are fewer pictures."""
        if self.own_settings is not None:
            return self.own_settings
        count = len(self._found) if self._found is not None else HELD_OUT * BATCH
        return TrainSettings(samples=SAMPLES, batch=max(1, min(BATCH, count - count // HELD_OUT)))

    @property
    def network(self) -> UNetConfig:
        """Attention at the lowest resolution, a quarter of which are patches."""
        channels, side, _ = self._shape
        patch = 2 if side <= SMALL else 4
        return UNetConfig(
            channels=channels,
            size=side,
            base=self.base,
            blocks=1,
            attention=(side // patch // 2,),
            patch=patch,
            classes=len(self._classes),
        )

    @property
    def _shape(self) -> tuple[int, int, int]:
        return UNKNOWN_SHAPE if self._found is None else self._found.shape

    @property
    def _classes(self) -> tuple[str, ...]:
        return () if self._found is None else self._found.classes

    def _split(self, split: str) -> LabelledPictures:
        """Every tenth picture of each class is of split "test"; their order is that of the names.

        A picture without a label, beside sub-folders of others, is one of no class.
        """
        data = self._pictures
        labels = np.where(data.labels < 0, len(self._classes), data.labels)
        turn = np.empty(len(labels), np.int64)
        for label in np.unique(labels):
            turn[labels == label] = np.arange(int((labels == label).sum()))
        test = turn % HELD_OUT == HELD_OUT - 1
        if not test.any():
            test[-1] = True
        kept = test if split == "test" else ~test
        return LabelledPictures(data.pictures[kept], labels[kept])

    def task(self, device: str, split: str = "train") -> FashionTask:
        """The pictures in memory."""
        data = self._split(split)
        pictures = torch.from_numpy(data.pictures).to(device)
        labels = torch.from_numpy(data.labels).to(device)
        return FashionTask(pictures, labels, name="folder", config=self.network)

    def card(self) -> ModelCard:
        """The card, without figures."""
        channels, side, _ = self._shape
        name = "your folder" if self.folder is None else f"the folder “{self.folder.name}”"
        count = "" if self._found is None else f"{len(self._found):,} "
        return ModelCard(
            id="folder",
            title="Own pictures" if self.folder is None else self.folder.name or "Own pictures",
            family="pixel_unet",
            data_shape=(channels, side, side),
            prediction="v",
            schedule=SCHEDULE,
            classes=self._classes,
            description=f"Pictures of {side} x {side} pixels like the {count}in {name}, made from "
            "noise by a small U-Net that was trained on them.",
            limits="Few pictures are learned by heart, or hardly at all: look whether what it "
            "makes is in the folder.",
            source="diffview train folder",
            licence="whoever trained it may say",
            data_licence="as the pictures in the folder",
            defaults={"sampler": "ddim", "steps": 50, "spacing": "trailing"},
        )

    def config(self) -> Mapping[str, Any]:
        """The network's shape."""
        return self.network.to_json()

    def shipped(self, network: nn.Module) -> nn.Module:
        """All of it."""
        return network

    def denoiser(self, network: nn.Module, device: str) -> NetworkDenoiser:
        """The model around a network in training."""
        return NetworkDenoiser(self.card(), network, device, len(self._classes) or None)

    def clean(self, n: int, device: str) -> tuple[Tensor, Tensor | None]:
        """The first pictures kept from training, of the classes in turn."""
        data = self._split("test")
        chosen = by_turns(data.labels)[:n]
        x_0 = scaled(torch.from_numpy(data.pictures[chosen])).to(device)
        labels = torch.from_numpy(data.labels[chosen]).to(device)
        return x_0, labels if self._classes else None

    def sheet(self, network: nn.Module, device: str) -> Uint8:
        """Every class at two guidance scales, or 32 samples."""
        model = self.denoiser(network, device)
        return class_sheet(model) if self._classes else plain_sheet(model)

    def evaluate(
        self, path: Path, device: str, n: int
    ) -> Generator[Evaluating, None, dict[str, Any]]:
        """How near the nearest training picture is, to n samples and to what was held out.

        Distances are root mean squares over all values, in data units. Samples that are much
        nearer than held-out pictures were learned by heart.
        """
        model = families.load(catalog.entry(path), device)
        train = scaled(torch.from_numpy(self._split("train").pictures)).flatten(1)
        yield Evaluating(0, n, "samples")
        samples = _sampled(model, n)
        yield Evaluating(n, n, "samples")
        return {
            "samples": n,
            "samples_to_nearest": _nearest(samples, train),
            "held_out_to_nearest": _nearest(self.clean(n, "cpu")[0], train),
        }


def _sampled(model: NetworkDenoiser, n: int) -> Tensor:
    classes = len(model.card.classes)
    label = [k % classes for k in range(n)] if classes else None
    spec = spec_for(model.card, label=label, guidance=1.0 if classes else None, seeds=range(n))
    last = None
    for record in records(model, spec):
        last = record.x_t
    return torch.from_numpy(np.asarray(last))


def _nearest(pictures: Tensor, train: Tensor) -> float:
    apart = torch.cdist(pictures.flatten(1).cpu(), train) / train.shape[1] ** 0.5
    return round(float(apart.min(dim=1).values.mean()), 4)


def _counted(pictures: int) -> str:
    return "one picture" if pictures == 1 else f"{pictures} pictures"
