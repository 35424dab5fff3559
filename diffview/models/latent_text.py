"""The weights of a text-to-image latent diffusion model: the U-Net, and the latents' own scale.

The latents are those of a tokenizer before they are snapped to codes, brought to mean 0 and
deviation 1 channel by channel, as noise is (Rombach et al. 2022, arXiv 2112.10752, appendix G).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from diffview.models.first_stage import FirstStage
from diffview.models.text_unet import TextUNet, TextUNetConfig


@dataclass(frozen=True, slots=True)
class LatentTextConfig:
    """The shape of a `LatentText`, its words and its tokenizer."""

    network: TextUNetConfig
    stage: FirstStage

    def __post_init__(self) -> None:
        """Refuse, with ValueError, what no network can be built from."""
        if len(self.stage.words) != self.network.vocabulary:
            raise ValueError(
                f"{len(self.stage.words)} words for a vocabulary of {self.network.vocabulary}"
            )

    def to_json(self) -> dict[str, Any]:
        """A JSON value `from_json` reads back."""
        return {"network": self.network.to_json(), **self.stage.to_json()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> LatentTextConfig:
        """The configuration that `to_json` wrote."""
        return cls(TextUNetConfig.from_json(value["network"]), FirstStage.from_json(value))


class LatentText(nn.Module):
    """forward(x_t (B, d, h, w), t (B,), numbers (B, LENGTH) int64) -> (B, d, h, w)."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: LatentTextConfig) -> None:
        super().__init__()
        self.network = TextUNet(config.network)
        depth = config.network.unet.channels
        self.register_buffer("mean", torch.zeros(depth))
        self.register_buffer("std", torch.ones(depth))

    def forward(self, x_t: Tensor, t: Tensor, numbers: Tensor) -> Tensor:
        """The network's raw prediction in standardised latents."""
        out: Tensor = self.network(x_t, t, numbers)
        return out

    def standardised(self, z: Tensor) -> Tensor:
        """A tokenizer's latents (B, d, h, w) as this network sees them."""
        return (z - self.mean[:, None, None]) / self.std[:, None, None]

    def restored(self, x: Tensor) -> Tensor:
        """The tokenizer's latents of x (B, d, h, w)."""
        return x * self.std[:, None, None] + self.mean[:, None, None]
