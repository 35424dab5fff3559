"""The shipped model of the next pixel writes clothes that a classifier knows."""

import pytest
import torch
import torch.nn.functional as F

from diffview.models import catalog, families
from diffview.training.data import FASHION_FOLDER, fashion_mnist
from diffview.training.recipes.fashion_pixel_ar import levelled, painted

EACH = 3
"""Pictures of each class: 784 evaluations one after the other are slow."""


@pytest.fixture(scope="module")
def network():
    return families.load(catalog.find("fashion-pixel-ar")).network


@pytest.mark.timeout(600)
def test_what_it_writes_is_recognised_far_more_often_than_by_chance(network):
    judge = families.load(catalog.find("fashion-classifier-clean"))
    labels = torch.arange(10).repeat(EACH)
    pixels = painted(network, labels, seed=1)
    pictures = pixels[:, None] / (network.config.levels - 1) * 2 - 1
    with torch.no_grad():
        right = judge(pictures).argmax(1) == labels
    # By chance 1 in 10: that a third are right by chance happens once in two thousand times.
    assert right.sum() >= 10


@pytest.mark.skipif(not FASHION_FOLDER.is_dir(), reason="dataset-fashion-mnist is not installed")
def test_bits_per_pixel_are_those_of_its_card(network):
    test = fashion_mnist("test")
    pixels = levelled(torch.from_numpy(test.pictures[:500, 0].copy()), network.config.levels)
    labels = torch.from_numpy(test.labels[:500])
    with torch.no_grad():
        nats = [
            F.cross_entropy(network(p, y), p)
            for p, y in zip(pixels.split(100), labels.split(100), strict=True)
        ]
    bits = float(torch.stack(nats).mean() / torch.log(torch.tensor(2.0)))
    # of 500 of the 10,000 test pictures that the card's figure is of
    assert bits == pytest.approx(
        catalog.find("fashion-pixel-ar").card.figures["bits per pixel"], rel=0.05
    )
