"""The lecture's point: a classifier that never saw noise cannot guide (Dhariwal & Nichol 2021,
arXiv 2105.05233, section 4). What one classifier made is judged by the other one.

x0_hat is clipped: at high noise the gradient is multiplied by sigma^2 / alpha, and what is left of
it there is noise.
"""

from functools import cache

import pytest
import torch

import diffview
from diffview.models import catalog, families

LABELS = [k % 10 for k in range(20)]
NOISY, CLEAN = "fashion-classifier-noisy", "fashion-classifier-clean"


@cache
def guided(guide, weight):
    """Twenty pictures (20, 1, 28, 28), two of each class, from the same noise."""
    run = diffview.sample(
        "fashion",
        steps=25,
        seeds=range(len(LABELS)),
        label=LABELS,
        guidance=weight,
        guidance_kind="classifier",
        guide=guide,
        options={"clip": "clamp", "rederive_eps": True},
        device="cpu",
    )
    return run.x_t[-1]


def share_seen(judge, pictures):
    """In how many pictures the judge sees the class that was asked for."""
    network = families.load(catalog.find(judge))
    t = torch.zeros(len(pictures), dtype=torch.int64)
    with torch.no_grad():
        return float((network(pictures, t).argmax(1) == torch.tensor(LABELS)).float().mean())


def test_a_classifier_that_saw_noise_leads_to_the_class():
    assert share_seen(CLEAN, guided(NOISY, 10.0)) > 0.8


def test_a_classifier_that_never_saw_noise_is_fooled_and_nobody_else():
    pictures = guided(CLEAN, 10.0)
    assert share_seen(CLEAN, pictures) > 0.9
    assert share_seen(NOISY, pictures) < 0.5


def test_a_greater_weight_leads_more_often_to_the_class():
    assert share_seen(CLEAN, guided(NOISY, 10.0)) > share_seen(CLEAN, guided(NOISY, 1.0))


def test_the_noisy_classifier_s_card_says_how_noise_blinds_it():
    accuracy = list(catalog.find(NOISY).card.figures["test accuracy"].values())
    assert accuracy == sorted(accuracy, reverse=True)
    # far better than one in ten at t = 800, where alpha_cumprod is 0.09
    assert accuracy[0] > 0.85 and accuracy[-1] > 0.5


@pytest.mark.parametrize("name", [NOISY, CLEAN])
def test_classifiers_are_listed_but_not_sampled(name):
    assert not catalog.find(name).card.samples
