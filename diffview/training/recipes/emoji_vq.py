"""`emoji-vq`: a VQ-VAE on emoji, 64 x 64 pixels to 16 x 16 tokens of a codebook of 1,024.

Loss: |x - x_hat| + |x - x_hat|^2 + beta |z - sg(e)|^2 with the straight-through gradient; the
codes follow the encoder's vectors by exponential averages (van den Oord et al. 2017, arXiv
1711.00937, eq. 3 and appendix A.1). A code that hardly any vector chooses is moved onto a vector
of the batch (Dhariwal et al. 2020, arXiv 2005.00341, section 3.1).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffview.datasets.emoji import EMOJI_LICENCE, EmojiPictures, emoji_pictures
from diffview.engine import schedules
from diffview.frames.pixels import Uint8
from diffview.models import catalog, families
from diffview.models.card import ModelCard
from diffview.models.tokenizer import Quantised, Tokenizer, TokenizerConfig
from diffview.training.augment import flipped, recoloured, shifted
from diffview.training.data import scaled
from diffview.training.evaluate import Evaluating
from diffview.training.loop import TrainSettings
from diffview.training.recipes import recipe
from diffview.training.reconstruction import judged, pairs_sheet

SETTINGS = TrainSettings(samples=80_000, batch=16, weight_decay=0.0)
CONFIG = TokenizerConfig()
COMMITMENT = 0.25
CODE_DECAY = 0.99
RARE = 0.05
"""A code is rare when it is chosen less than this often a batch, on average."""


class Learning(nn.Module):
    """A tokenizer and what its codebook's averages need while it learns."""

    counts: Tensor
    sums: Tensor
    tokenizer: Tokenizer

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.tokenizer = Tokenizer(config)
        self.register_buffer("counts", torch.zeros(config.codes))
        self.register_buffer("sums", torch.zeros(config.codes, config.depth))

    @torch.no_grad()
    def follow(self, z: Tensor, chosen: Quantised, generator: torch.Generator) -> None:
        """Move the codes to the averages of the vectors of z (B, d, h, w) that chose them."""
        flat = z.permute(0, 2, 3, 1).reshape(-1, z.shape[1])
        which = chosen.indices.flatten()
        counts = torch.zeros_like(self.counts).index_add_(0, which, torch.ones_like(flat[:, 0]))
        sums = torch.zeros_like(self.sums).index_add_(0, which, flat)
        self.counts.lerp_(counts, 1 - CODE_DECAY)
        self.sums.lerp_(sums, 1 - CODE_DECAY)
        rare = self.counts < RARE
        drawn = torch.randint(len(flat), self.counts.shape, generator=generator, device=z.device)
        self.sums[rare], self.counts[rare] = flat[drawn[rare]], 1.0
        self.tokenizer.codebook.copy_(self.sums / self.counts[:, None])


@dataclass(frozen=True)
class VqTask:
    """Reconstructing emoji; see the module for the loss."""

    pictures: Tensor
    config: TokenizerConfig = CONFIG
    name: str = "emoji-vq"

    @classmethod
    def from_pictures(cls, data: EmojiPictures, device: str, **given: Any) -> VqTask:
        """The task on `data`, in memory on `device`."""
        return cls(torch.from_numpy(data.pictures.copy()).to(device), **given)

    def __len__(self) -> int:
        return len(self.pictures)

    def network(self) -> nn.Module:
        """A fresh tokenizer."""
        return Learning(self.config)

    def loss(self, network: nn.Module, indices: Tensor, generator: torch.Generator) -> Tensor:
        """The loss of the batch `indices` (B,); moves the codes when gradients are asked for."""
        assert isinstance(network, Learning)
        x = varied(scaled(self.pictures[indices]), generator)
        z = network.tokenizer.encode(x)
        chosen = network.tokenizer.quantise(z.detach())
        x_hat = network.tokenizer.decode(z + (chosen.z_q - z).detach())
        loss = F.l1_loss(x_hat, x) + F.mse_loss(x_hat, x)
        loss = loss + COMMITMENT * F.mse_loss(z, chosen.z_q)
        if torch.is_grad_enabled():
            network.follow(z.detach(), chosen, generator)
        return loss


def varied(x: Tensor, generator: torch.Generator) -> Tensor:
    """x (B, 3, S, S) moved by up to 4 pixels, half of it mirrored, a quarter in other colours."""
    x = shifted(x, 4, generator, empty=1.0)
    return recoloured(flipped(x, generator), 0.25, generator)


@recipe(
    name="emoji-vq",
    title="Emoji tokenizer, VQ-VAE",
    needs="three npm packages of emoji pictures and their names (the command says which)",
    takes="about 60 minutes on two CPU cores",
    quick_to_judge=True,
)
@dataclass(frozen=True)
class EmojiVq:
    """A tokenizer of 1.5 million numbers, 1,024 codes of 4 numbers."""

    settings: TrainSettings = SETTINGS
    network: TokenizerConfig = CONFIG
    folder: Path | None = None

    def task(self, device: str, split: str = "train") -> VqTask:
        """Emoji of both styles in memory."""
        data = emoji_pictures(self.folder).split(split)
        return VqTask.from_pictures(data, device, config=self.network)

    def shipped(self, network: nn.Module) -> nn.Module:
        """The tokenizer without what only learning needs."""
        assert isinstance(network, Learning)
        return network.tokenizer

    def card(self) -> ModelCard:
        """The card, without figures."""
        return ModelCard(
            id="emoji-vq",
            title="Emoji tokenizer (VQ-VAE)",
            family="tokenizer",
            data_shape=(self.network.channels, self.network.size, self.network.size),
            prediction="tokens",
            schedule=schedules.named("cosine"),
            description="Turns a picture of 64 x 64 pixels into 16 x 16 tokens, each one of 1,024 "
            "codes, and back. Trained to reproduce the pixels of 3,013 emoji of two styles.",
            limits="It knows bright shapes on white: photographs come back coarse. What is finer "
            "than its tokens' four pixels, such as letters, is smeared: asked for pixels alone, "
            "it answers with the mean of what could be there.",
            source="diffview train emoji-vq",
            licence="MIT",
            data_licence=EMOJI_LICENCE,
        )

    def config(self) -> Mapping[str, Any]:
        """The network's shape."""
        return self.network.to_json()

    def sheet(self, network: nn.Module, device: str) -> Uint8:
        """Pictures kept from training, each above its reconstruction."""
        assert isinstance(network, Learning)
        return pairs_sheet(network.tokenizer, emoji_pictures(self.folder).split("test"), device)

    def evaluate(
        self, path: Path, device: str, n: int
    ) -> Generator[Evaluating, None, dict[str, Any]]:
        """PSNR, code usage and perplexity on the pictures kept from training."""
        tokenizer = families.load(catalog.entry(path), device)
        return (yield from judged(tokenizer, emoji_pictures(self.folder), device))
