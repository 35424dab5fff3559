"""A small convolutional classifier of pictures, and the features a Fréchet distance is made of."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor, nn

from diffview.models.unet import MAX_NUMBER, norm, whole_number


@dataclass(frozen=True, slots=True)
class ClassifierConfig:
    """The shape of a `Classifier`; stored with its weights."""

    channels: int
    classes: int
    width: int = 64

    def __post_init__(self) -> None:
        """Refuse, with ValueError, what no network can be built from."""
        for name, least in {"channels": 1, "classes": 1, "width": 2}.items():
            whole_number(getattr(self, name), name, least, MAX_NUMBER)

    def to_json(self) -> dict[str, Any]:
        """A JSON value; the keywords of this class."""
        return asdict(self)


class Classifier(nn.Module):
    """Five convolutions, a mean over the map, one linear layer."""

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
        self.head = nn.Linear(width, config.classes)

    def features(self, x: Tensor) -> Tensor:
        """x (B, C, S, S) in [-1, 1] -> (B, width), what the last layer sees."""
        out: Tensor = self.body(x).mean(dim=(2, 3))
        return out

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, S, S) in [-1, 1] -> logits (B, classes)."""
        out: Tensor = self.head(self.features(x))
        return out


def _conv(width_in: int, width_out: int, *, stride: int) -> list[nn.Module]:
    conv = nn.Conv2d(width_in, width_out, 3, stride=stride, padding=1)
    return [conv, norm(width_out), nn.SiLU()]
