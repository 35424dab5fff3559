"""The shipped emoji models keep what their cards say, judged again on the emoji that ship too.

The cards' figures were taken on the original pictures by `diffview train RECIPE --evaluate`; the
shipped sheet holds the 3-D half of them, a little compressed, so figures differ a little.
"""

from functools import cache

import numpy as np
import pytest
import torch

from diffview.datasets.emoji_sprite import emoji_sprite
from diffview.models import catalog, families
from diffview.training.data import scaled
from diffview.training.evaluate import features, frechet
from diffview.training.reconstruction import perplexity, psnr


def shown():
    """The pictures kept from training, and every fourth of the others."""
    data = emoji_sprite()
    chosen = data.held_out | (np.arange(len(data)) % 4 == 0)
    return scaled(torch.from_numpy(data.pictures[chosen])), torch.from_numpy(data.held_out[chosen])


@cache
def rebuilt(name):
    """Pictures and their reconstructions (B, 3, 64, 64) in [-1, 1], and their codes."""
    x, _ = shown()
    tokenizer = families.load(catalog.find(name))
    with torch.no_grad():
        parts = [tokenizer.quantise(tokenizer.encode(part)).indices for part in x.split(100)]
        rebuilt_ones = [tokenizer.decode(tokenizer.codes_at(part)) for part in parts]
    return x, torch.cat(rebuilt_ones).clamp(-1, 1), torch.cat(parts)


@pytest.mark.parametrize("name", ["emoji-vq", "emoji-vqgan"])
def test_a_tokenizer_rebuilds_what_it_has_not_seen_as_its_card_says(name):
    x, x_hat, indices = rebuilt(name)
    _, held_out = shown()
    figures = catalog.find(name).card.figures
    # the 3-D pictures are smoother than the flat ones, which the card's figure counts in
    found = psnr((x_hat - x)[held_out].square().mean(dim=(1, 2, 3)))
    assert 0 < found - figures["held-out PSNR (dB)"] < 3
    counts = torch.bincount(indices[held_out].flatten(), minlength=1024)
    assert (counts > 0).float().mean() > 0.7
    assert perplexity(counts.float()) > 0.5 * figures["held-out perplexity"]


def test_the_discriminator_bought_likeness_with_decibels():
    """Blau & Michaeli (2018), arXiv 1711.06077: less distortion and more realism exclude each
    other. Both decoders see the same codes."""
    judge = families.load(catalog.find("emoji-classifier"))
    (x, plain, codes), (_, sharp, others) = rebuilt("emoji-vq"), rebuilt("emoji-vqgan")
    assert torch.equal(codes, others)
    error = [(x_hat - x).square().mean() for x_hat in (plain, sharp)]
    distance = [frechet(features(judge, x_hat), features(judge, x)) for x_hat in (plain, sharp)]
    assert error[0] < error[1] and distance[0] > distance[1]
    vq, vqgan = (catalog.find(name).card.figures for name in ("emoji-vq", "emoji-vqgan"))
    for pictures in ("held-out", "training"):
        assert vq[f"{pictures} frechet"] > vqgan[f"{pictures} frechet"]
        assert vq[f"{pictures} PSNR (dB)"] > vqgan[f"{pictures} PSNR (dB)"]


def test_the_classifier_names_the_emoji_it_is_shown():
    data, entry = emoji_sprite(), catalog.find("emoji-classifier")
    judge = families.load(entry)
    x = scaled(torch.from_numpy(data.pictures.copy()))
    generator = torch.Generator().manual_seed(0)
    noisy = x + 0.15 * torch.randn(x.shape, generator=generator)
    with torch.no_grad():
        found = torch.cat([judge(part).topk(5, dim=1).indices for part in noisy.split(100)])
    names = np.array(entry.card.classes)[found.numpy()]
    right = names == np.array(data.names)[:, None]
    assert right[:, 0].mean() > entry.card.figures["noise 0.15, first name right"] - 0.05
    assert right.any(axis=1).mean() > entry.card.figures["noise 0.15, among first 5"] - 0.02
