"""A small convolutional classifier of pictures, and the features a Fréchet distance is made of.

Trained on noisy pictures and told the time t, it can guide a sampler: Dhariwal & Nichol (2021),
arXiv 2105.05233, section 4.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor, nn

from diffview.models.unet import MAX_NUMBER, TimeEmbedding, norm, whole_number


@dataclass(frozen=True, slots=True)
class ClassifierConfig:
    """The shape of a `Classifier`; stored with its weights. timed: it is told the time t."""

    channels: int
    classes: int
    width: int = 64
    timed: bool = False

    def __post_init__(self) -> None:
        """Refuse, with ValueError, what no network can be built from."""
        for name, least in {"channels": 1, "classes": 1, "width": 2}.items():
            whole_number(getattr(self, name), name, least, MAX_NUMBER)
        if not isinstance(self.timed, bool):
            raise ValueError(f"timed = {self.timed!r} is neither true nor false")

    def to_json(self) -> dict[str, Any]:
        """A JSON value; the keywords of this class."""
        value = asdict(self)
        if not self.timed:
            del value["timed"]
        return value


class Classifier(nn.Module):
    """Five convolutions, a mean over the map, one linear layer.

    t is needed where the configuration says `timed`, and ignored elsewhere.
    """

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        width = config.width
        self.body = nn.Sequential(
            *_conv(config.channels, width // 2, stride=1),
            *_conv(width // 2, width, stride=2),
            *_conv(width, width, stride=1),
            *_conv(width, width, stride=2),
            *_conv(width, width, stride=1),
        )
        # What t says is a shift of every channel, before the third and before the fifth layer.
        self.shifts = TimeEmbedding(width, 2 * width) if config.timed else None
        self.head = nn.Linear(width, config.classes)

    def features(self, x: Tensor, t: Tensor | None = None) -> Tensor:
        """x (B, C, S, S) in [-1, 1], t (B,) -> (B, width), what the last layer sees."""
        if self.shifts is None:
            out: Tensor = self.body(x).mean(dim=(2, 3))
            return out
        if t is None:
            raise ValueError("this classifier has to be told the time t of its pictures")
        early, late = self.shifts(t)[:, :, None, None].chunk(2, dim=1)
        h = self.body[2 * LAYER : 4 * LAYER](self.body[: 2 * LAYER](x) + early)
        out = self.body[4 * LAYER :](h + late).mean(dim=(2, 3))
        return out

    def forward(self, x: Tensor, t: Tensor | None = None) -> Tensor:
        """x (B, C, S, S) in [-1, 1], t (B,) -> logits (B, classes)."""
        out: Tensor = self.head(self.features(x, t))
        return out


LAYER = 3
"""Modules in one layer: convolution, norm, nonlinearity."""


def _conv(width_in: int, width_out: int, *, stride: int) -> list[nn.Module]:
    conv = nn.Conv2d(width_in, width_out, 3, stride=stride, padding=1)
    return [conv, norm(width_out), nn.SiLU()]
