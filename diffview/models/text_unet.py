"""A U-Net that listens to a prompt: words -> small transformer -> cross-attention and time input.

Rombach et al. (2022), arXiv 2112.10752, section 3.3, in small.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor, nn

from diffview.models.prompts import PromptEncoder
from diffview.models.unet import MAX_NUMBER, UNet, UNetConfig, whole_number


@dataclass(frozen=True, slots=True)
class TextUNetConfig:
    """The shape of a `TextUNet`; stored with its weights."""

    vocabulary: int
    unet: UNetConfig = field(
        default_factory=lambda: UNetConfig(
            channels=4, size=16, base=64, blocks=1, attention=(8,), patch=1, context=128
        )
    )
    layers: int = 1

    def __post_init__(self) -> None:
        """Refuse, with ValueError, what no network can be built from."""
        whole_number(self.vocabulary, "vocabulary", 1, MAX_NUMBER)
        whole_number(self.layers, "layers", 1, 64)
        if self.unet.context < 32:
            raise ValueError(f"context = {self.unet.context} is less than one head of 32")

    def to_json(self) -> dict[str, Any]:
        """A JSON value `from_json` reads back."""
        return {**asdict(self), "unet": self.unet.to_json()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> TextUNetConfig:
        """The configuration that `to_json` wrote."""
        return cls(**{**value, "unet": UNetConfig.from_json(value["unet"])})


class TextUNet(nn.Module):
    """forward(x_t (B, C, S, S), t (B,), numbers (B, LENGTH) int64) -> (B, C, S, S)."""

    def __init__(self, config: TextUNetConfig) -> None:
        super().__init__()
        self.text = PromptEncoder(config.vocabulary, config.unet.context, config.layers)
        self.unet = UNet(config.unet)

    def forward(self, x_t: Tensor, t: Tensor, numbers: Tensor) -> Tensor:
        """The network's raw prediction for prompts as `prompts.Vocabulary` numbers them."""
        out: Tensor = self.unet(x_t, t, self.text(numbers))
        return out
