"""Varied pictures are the same pictures, moved, mirrored or with exchanged colours."""

import itertools

import torch

from diffview.training.augment import flipped, recoloured


def pictures(n):
    return torch.rand(n, 3, 4, 5, generator=torch.Generator().manual_seed(1))


def test_about_half_of_the_pictures_are_mirrored_and_the_others_left_alone():
    x = pictures(200)
    out = flipped(x, torch.Generator().manual_seed(0))
    mirrored = [torch.equal(a, b.flip(2)) for a, b in zip(out, x, strict=True)]
    assert all(m or torch.equal(a, b) for m, a, b in zip(mirrored, out, x, strict=True))
    assert 70 < sum(mirrored) < 130


def test_a_share_of_the_pictures_gets_another_order_of_colours_and_every_order_occurs():
    x = pictures(300)
    out = recoloured(x, 0.5, torch.Generator().manual_seed(0))
    found = []
    for before, after in zip(x, out, strict=True):
        orders = [
            o for o in itertools.permutations(range(3)) if torch.equal(before[list(o)], after)
        ]
        assert len(orders) == 1
        found.append(orders[0])
    assert len(set(found)) == 6
    assert 120 < sum(o != (0, 1, 2) for o in found) < 180
