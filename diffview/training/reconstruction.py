"""How well does a tokenizer reproduce pictures it has not seen, and does it use its codes?"""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diffview.datasets.emoji import EmojiPictures
from diffview.frames.pixels import Uint8
from diffview.models import catalog, families
from diffview.models.tokenizer import Tokenizer
from diffview.training.data import scaled
from diffview.training.evaluate import Evaluating, features, frechet

SHOWN = 32
BATCH = 32
JUDGE = "emoji-classifier"


def judged(
    tokenizer: Tokenizer, data: EmojiPictures, device: str
) -> Generator[Evaluating, None, dict[str, Any]]:
    """Figures on the pictures kept from training, and on those trained on.

    Fréchet: the distance of a classifier's features of the reconstructions from those of the
    pictures themselves, see training/evaluate.py.
    """
    judge = families.load(catalog.find(JUDGE), device)
    figures: dict[str, Any] = {"judge": JUDGE}
    for split, name in (("test", "held-out"), ("train", "training")):
        pictures = torch.from_numpy(data.split(split).pictures.copy()).to(device)
        rebuilt, counts = [], torch.zeros(tokenizer.config.codes)
        for first in range(0, len(pictures), BATCH):
            x_hat, indices = _reconstructed(tokenizer, scaled(pictures[first : first + BATCH]))
            rebuilt.append(x_hat)
            counts += torch.bincount(indices, minlength=len(counts))
            yield Evaluating(min(first + BATCH, len(pictures)), len(pictures), f"{name} pictures")
        figures[f"{name} pictures"] = len(pictures)
        x, x_hat = scaled(pictures), torch.cat(rebuilt)
        errors = (x_hat - x).square().mean(dim=(1, 2, 3)).cpu()
        distance = frechet(features(judge, x_hat), features(judge, x))
        figures[f"{name} PSNR (dB)"] = round(psnr(errors), 2)
        figures[f"{name} frechet"] = round(distance, 3)
        figures[f"{name} codes used"] = int((counts > 0).sum())
        figures[f"{name} perplexity"] = round(perplexity(counts), 1)
    return figures


@torch.no_grad()
def _reconstructed(tokenizer: Tokenizer, x: Tensor) -> tuple[Tensor, Tensor]:
    """The reconstruction of x (B, 3, S, S), and all codes chosen."""
    quantised = tokenizer.quantise(tokenizer.encode(x))
    return tokenizer.decode(quantised.z_q).clamp(-1, 1), quantised.indices.flatten().cpu()


def psnr(errors: Tensor) -> float:
    """The mean over pictures of 10 log10 (2^2 / mse), in dB: values go from -1 to 1."""
    return float((10 * torch.log10(4 / errors.clamp(min=1e-12))).mean())


def perplexity(counts: Tensor) -> float:
    """exp of the entropy of the codes' frequencies: how many equally used codes it is like."""
    share = counts[counts > 0].double() / counts.sum()
    return math.exp(-float((share * share.log()).sum()))


@torch.no_grad()
def pairs_sheet(tokenizer: Tokenizer, data: EmojiPictures, device: str) -> Uint8:
    """(H, W, 3): pictures spread over `data`, eight to a row, each above its reconstruction."""
    chosen = np.linspace(0, len(data) - 1, SHOWN).astype(int)
    x = scaled(torch.from_numpy(data.pictures[chosen]).to(device))
    x_hat = tokenizer(x).clamp(-1, 1)
    both = torch.stack([x, x_hat], dim=1).cpu()  # (SHOWN, 2, 3, S, S)
    size = both.shape[-1]
    rows = both.view(SHOWN // 8, 8, 2, 3, size, size).permute(0, 2, 4, 1, 5, 3)
    picture = rows.reshape(SHOWN // 8 * 2 * size, 8 * size, 3)
    pixels: Uint8 = ((picture + 1) * 127.5).round().to(torch.uint8).numpy()
    return pixels
