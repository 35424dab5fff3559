"""What a text model makes of prompts: sheets to look at, and whether a judge sees the thing."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from diffview.engine.run import run
from diffview.engine.spec import Guidance, RunSpec
from diffview.engine.tokens import drawn as drawn_token
from diffview.engine.tokens import guided, probabilities
from diffview.frames.pixels import Uint8
from diffview.models import catalog, families
from diffview.models.card import ModelCard
from diffview.models.latent_text import LatentText
from diffview.models.network import NetworkDenoiser
from diffview.models.prompts import Vocabulary, words
from diffview.models.token_transformer import TokenTransformer
from diffview.models.tokenizer import Tokenizer
from diffview.training.evaluate import Evaluating

SHEET = (
    "red apple", "red heart", "green heart", "cat face", "dog", "grinning face", "crying face",
    "green book", "house", "car", "pizza", "rose", "banana", "airplane", "crown", "green cat",
)  # fmt: skip
PROMPTS: Mapping[str, str] = {
    "red apple": "apple", "green apple": "apple", "banana": "banana", "pizza": "pizza",
    "hamburger": "hamburger", "strawberry": "strawberry", "watermelon": "watermelon",
    "carrot": "carrot", "lemon": "lemon", "grapes": "grapes", "tangerine": "tangerine",
    "cookie": "cookie", "cat face": "cat", "dog face": "dog", "lion": "lion", "panda": "panda",
    "frog": "frog", "pig face": "pig", "penguin": "penguin", "rabbit face": "rabbit",
    "octopus": "octopus", "butterfly": "butterfly", "tropical fish": "fish",
    "red heart": "heart", "green heart": "heart", "blue heart": "heart",
    "grinning face": "grinning", "crying face": "crying", "sleeping face": "sleeping",
    "angry face": "angry", "ghost": "ghost", "alien": "alien", "skull": "skull",
    "robot": "robot", "house": "house", "bus": "bus", "airplane": "airplane",
    "rocket": "rocket", "sailboat": "sailboat", "crescent moon": "moon", "sun": "sun",
    "cloud": "cloud", "star": "star", "crown": "crown", "green book": "book",
    "guitar": "guitar", "soccer ball": "ball", "rose": "rose", "umbrella": "umbrella",
    "gift": "gift",
}  # fmt: skip
"""Prompts that name one thing, and the word that must stand in the name a judge gives it."""
SCALES = (1.0, 2.0)
JUDGED_SCALES = (1.0, 2.0, 4.0)
JUDGED_SCALES_OF_TOKENS = (1.0, 1.5, 2.0)
TOP = 5
JUDGE = "emoji-classifier"
STEPS = 25
TEMPERATURE, TOP_K = 0.6, 100
"""How tokens are drawn: at 1, one unlikely token of 256 leads to what was never seen, and spoils
all after it."""


def prompt_sheet(
    network: LatentText, card: ModelCard, tokenizer: Tokenizer, prompts: Sequence[str] = SHEET
) -> Uint8:
    """(H, W, 3): a column for each prompt, two rows for each guidance scale, seeds by row."""
    model = NetworkDenoiser(
        card, network, next(network.parameters()).device, text=Vocabulary(card.vocabulary)
    )
    rows = []
    for scale in SCALES:
        for seed in range(2):
            x_0 = drawn(model, prompts, [seed] * len(prompts), scale)
            rows.append(decoded(network, tokenizer, x_0))
    return tiled(rows)


def token_sheet(
    network: TokenTransformer, tokenizer: Tokenizer, prompts: Sequence[str] = SHEET
) -> Uint8:
    """(H, W, 3): a column for each prompt, two rows for each guidance scale, seeds by row."""
    device = next(network.parameters()).device
    numbers = Vocabulary(network.config.stage.words, device)(prompts)
    rows = []
    for scale in SCALES:
        for seed in range(2):
            tokens = written(network, numbers, seed, scale)
            with torch.no_grad():
                pictures = tokenizer.decode(tokenizer.codes_at(tokens))
            rows.append(pictures.clamp(-1, 1).cpu())
    return tiled(rows)


@torch.no_grad()
def written(
    network: TokenTransformer,
    numbers: Tensor,
    seed: int,
    scale: float,
    temperature: float = TEMPERATURE,
) -> Tensor:
    """Tokens (B, h, w) for words (B, LENGTH), drawn one after the other."""
    side, batch = network.config.grid, len(numbers)
    generator = torch.Generator().manual_seed(seed)
    # Both branches in one batch: the words, and no words.
    reading, logits = network.begin(torch.cat([numbers, torch.zeros_like(numbers)]))
    found: list[Tensor] = []
    for _ in range(side * side):
        conditional, base = logits.chunk(2)
        p = probabilities(guided(base, conditional, scale), temperature, TOP_K)
        u = torch.rand(batch, generator=generator).to(p.device)
        found.append(drawn_token(p, u))
        if len(found) < side * side:
            logits = network.follow(reading, found[-1].repeat(2))
    return torch.stack(found, dim=1).view(batch, side, side)


def tiled(rows: Sequence[Tensor]) -> Uint8:
    """(H, W, 3): a row of pictures for each of `rows` (P, 3, S, S) in [-1, 1]."""
    pictures = torch.stack(list(rows))
    count, columns, _, height, width = pictures.shape
    sheet = pictures.permute(0, 3, 1, 4, 2).reshape(count * height, columns * width, 3)
    pixels: Uint8 = ((sheet + 1) * 127.5).round().to(torch.uint8).numpy()
    return pixels


@torch.no_grad()
def drawn(
    model: NetworkDenoiser, prompts: Sequence[str], seeds: Sequence[int], scale: float
) -> Tensor:
    """The clean ends (B, *D) of DDIM runs, one for each prompt and seed."""
    spec = RunSpec(
        model.card.id,
        n_steps=STEPS,
        guidance=Guidance() if scale == 1 else Guidance("cfg", scale),
        condition=tuple(prompts),
        seeds=tuple(seeds),
    )
    with closing(run(model, spec, model.encode(prompts))) as records:
        for record in records:
            last = record
    return torch.from_numpy(last.x_t).to(model.device)


@torch.no_grad()
def decoded(network: LatentText, tokenizer: Tokenizer, x_0: Tensor) -> Tensor:
    """Pictures (B, 3, S, S) in [-1, 1], on the CPU, of latents x_0, snapped to codes."""
    return shown(tokenizer, tokenizer.quantise(network.restored(x_0)).z_q)


@torch.no_grad()
def shown(tokenizer: Tokenizer, z_q: Tensor) -> Tensor:
    """Pictures (B, 3, S, S) in [-1, 1], on the CPU, of codes z_q (B, d, h, w)."""
    return tokenizer.decode(z_q).clamp(-1, 1).cpu()


def judged(
    pictures: Callable[[Sequence[str], int, float], Tensor],
    device: str,
    seeds: int,
    scales: Sequence[float] = JUDGED_SCALES,
) -> Generator[Evaluating, None, dict[str, Any]]:
    """Figures of pictures(prompts, seed, guidance scale) of PROMPTS, under `seeds` seeds each.

    found: the share in which the thing is among the classifier's first five names. spread: the
    root mean square distance of pictures of one prompt from their mean, values in [-1, 1].
    """
    entry = catalog.find(JUDGE)
    judge, prompts = families.load(entry, device), list(PROMPTS)
    found: dict[str, float] = {}
    spread: dict[str, float] = {}
    for row, scale in enumerate(scales):
        made = []
        for seed in range(seeds):
            yield Evaluating(row * seeds + seed, len(scales) * seeds, f"guidance {scale:g}")
            made.append(pictures(prompts, seed, scale))
        hits = [seen(judge, entry.card.classes, one.to(device)) for one in made]
        variance = float(torch.stack(made).var(dim=0, correction=0).mean())
        found[f"{scale:g}"] = round(float(np.mean(hits)), 3)
        spread[f"{scale:g}"] = round(math.sqrt(variance), 3)
    return {
        "judge": entry.card.id,
        "prompts": len(prompts),
        "pictures": len(prompts) * seeds,
        f"found among {TOP}": found,
        "spread": spread,
    }


@torch.no_grad()
def seen(judge: nn.Module, names: Sequence[str], pictures: Tensor) -> list[bool]:
    """Whether the judge's first names for the pictures (P, 3, S, S) tell the things of PROMPTS."""
    first = judge(pictures).topk(TOP, dim=1).indices.tolist()
    things = PROMPTS.values()
    return [
        any(thing in words(names[k]) for k in row)
        for row, thing in zip(first, things, strict=True)
    ]
