"""`emoji-text`: text-to-image latent diffusion in the space of the emoji tokenizer.

v-prediction in latents of 4 x 16 x 16 numbers, standardised by channel, before they are snapped
to codes, as Rombach et al. (2022), arXiv 2112.10752, section 3.2, who let the decoder quantise.
The loss is that of `fashion`; captions are drawn as training/captions.py says. The bundled file
saw all things equally often in its first 507,000 samples; only then were everyday ones preferred.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffview.datasets.emoji import EMOJI_LICENCE, EmojiPictures, emoji_pictures
from diffview.engine import schedules
from diffview.frames.pixels import Uint8
from diffview.models import catalog, families
from diffview.models.card import ModelCard
from diffview.models.first_stage import FirstStage
from diffview.models.latent_text import LatentText, LatentTextConfig
from diffview.models.prompts import LENGTH
from diffview.models.text_unet import TextUNetConfig
from diffview.models.tokenizer import FACTOR, Tokenizer
from diffview.training.captions import Captions, vocabulary
from diffview.training.evaluate import Evaluating
from diffview.training.everyday import one_round
from diffview.training.latents import channel_scale, variant_latents
from diffview.training.loop import TrainSettings
from diffview.training.prompts import PROMPTS, decoded, drawn, judged, prompt_sheet
from diffview.training.recipes import recipe
from diffview.training.recipes.fashion import stratified_times

SETTINGS = TrainSettings(samples=800_000)
SCHEDULE = schedules.discrete("cosine")
TOKENIZER = "emoji-vq"
DECODER = "emoji-vqgan"
"""It has the encoder and the codebook of TOKENIZER, and a decoder trained to look sharp."""


@dataclass(frozen=True)
class TextTask:
    """Denoising latents (P, V, d, h, w), V variants of each of P pictures with captions.

    order (N,): the pictures of one round, common ones several times.
    """

    latents: Tensor
    captions: Captions
    scale: tuple[Tensor, Tensor]
    config: LatentTextConfig
    order: Tensor
    name: str = "emoji-text"

    def __len__(self) -> int:
        return len(self.order)

    def network(self) -> nn.Module:
        """A fresh network that knows the latents' scale."""
        network = LatentText(self.config)
        network.mean.copy_(self.scale[0])
        network.std.copy_(self.scale[1])
        return network

    def loss(self, network: nn.Module, indices: Tensor, generator: torch.Generator) -> Tensor:
        """Mean squared error of v over the batch `indices` (B,)."""
        assert isinstance(network, LatentText)
        indices = self.order[indices]
        device, batch = indices.device, len(indices)
        which = torch.randint(self.latents.shape[1], (batch,), generator=generator, device=device)
        x_0 = network.standardised(self.latents[indices, which])
        numbers = self.captions.draw(indices, generator)
        t = stratified_times(batch, SCHEDULE.T, generator)
        eps = torch.randn(x_0.shape, generator=generator, device=device)
        acp = torch.tensor(SCHEDULE.alphas_cumprod, dtype=torch.float32, device=device)[t]
        alpha, sigma = acp.sqrt().view(-1, 1, 1, 1), (1 - acp).sqrt().view(-1, 1, 1, 1)
        x_t, v = alpha * x_0 + sigma * eps, alpha * eps - sigma * x_0
        return F.mse_loss(network(x_t, t, numbers), v)


def chosen(folder: Path | None, split: str) -> EmojiPictures:
    """The 3-D pictures without gendered copies and signs; the copies are kept for "test"."""
    data = emoji_pictures(folder)
    kept = [one.plain if split == "train" else one.gendered for one in data.emoji]
    return data.where((data.styles == 0) & np.array(kept, dtype=bool))


def stage_of(folder: Path | None, tokenizer: Tokenizer) -> FirstStage:
    """The words of all pictures trained on, and the decoder of `tokenizer`'s codes."""
    known = vocabulary(chosen(folder, "train").emoji)
    return FirstStage(known, DECODER, tokenizer.codebook_sha256)


@recipe(
    name="emoji-text",
    title="Text-to-image latent diffusion on emoji",
    needs="three npm packages of emoji pictures and their names (the command says which)",
    takes="about 4 hours on one CPU core",
)
@dataclass(frozen=True)
class EmojiText:
    """A U-Net of 3.8 million numbers on latents, with its own text encoder."""

    settings: TrainSettings = SETTINGS
    folder: Path | None = None

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The frozen first stage."""
        tokenizer: Tokenizer = families.load(catalog.find(TOKENIZER))
        return tokenizer

    @cached_property
    def stage(self) -> FirstStage:
        """The words of the pictures trained on, and the tokenizer that will show what is made."""
        return stage_of(self.folder, self.tokenizer)

    @property
    def network(self) -> LatentTextConfig:
        """The network's shape."""
        return LatentTextConfig(TextUNetConfig(len(self.stage.words)), self.stage)

    def task(self, device: str, split: str = "train") -> TextTask:
        """Latents in memory."""
        data = chosen(self.folder, split)
        latents = variant_latents(self.tokenizer.to(device), data, device)
        captions = Captions.of(data.emoji, self.stage.words)
        order = one_round(data.emoji).to(device)
        return TextTask(latents, captions, channel_scale(latents), self.network, order)

    def card(self) -> ModelCard:
        """The card, without figures."""
        shape = self.network.network.unet
        side = shape.size * FACTOR
        return ModelCard(
            id="emoji-text",
            title="Emoji (text)",
            family="latent_text",
            data_shape=(shape.channels, shape.size, shape.size),
            prediction="v",
            schedule=SCHEDULE,
            description="Pictures of 64 x 64 pixels from words: diffusion in the latents of the "
            "emoji tokenizer, with its own small text encoder, trained on 3-D emoji "
            "and their names. The words were left out for 12 % of what it saw, so it can be "
            "guided.",
            limits="It knows the words of some 1,200 emoji and no others, reads eight of them and "
            "little of their order. Three quarters of what it was shown "
            "last were 210 everyday things (fruit, animals, faces, hearts, vehicles): those it "
            "draws well. Thin, rare or many-parted things come out as blobs.",
            source="diffview train emoji-text",
            licence="MIT",
            data_licence=EMOJI_LICENCE,
            defaults={
                "sampler": "ddim",
                "steps": 50,
                "spacing": "trailing",
                "guidance": 2.0,
                "prompt": "red apple",
            },
            latent=True,
            text_tokens=LENGTH,
            vocabulary=self.stage.words,
            picture_shape=(3, side, side),
        )

    def config(self) -> Mapping[str, Any]:
        """The network's shape, the vocabulary, and whose latents these are."""
        return self.network.to_json()

    def shipped(self, network: nn.Module) -> nn.Module:
        """All of it."""
        return network

    def sheet(self, network: nn.Module, device: str) -> Uint8:
        """Prompts at two guidance scales."""
        assert isinstance(network, LatentText)
        return prompt_sheet(network, self.card(), self.tokenizer)

    def evaluate(
        self, path: Path, device: str, n: int
    ) -> Generator[Evaluating, None, dict[str, Any]]:
        """In how many pictures a classifier sees the thing that the prompt names."""
        model = families.load(catalog.entry(path), device)

        def pictures(prompts: Sequence[str], seed: int, scale: float) -> Tensor:
            x_0 = drawn(model, prompts, [seed] * len(prompts), scale)
            return decoded(model.network, self.tokenizer, x_0)

        return (yield from judged(pictures, device, seeds=n // len(PROMPTS)))
