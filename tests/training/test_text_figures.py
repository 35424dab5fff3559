"""The shipped text-to-image model makes what it is asked for, as often as its card says."""

import math

import pytest
import torch

from diffview.models import catalog, families
from diffview.training.prompts import JUDGE, PROMPTS, decoded, drawn, seen
from diffview.training.recipes.emoji_text import TOKENIZER

FEW, SEEDS = list(PROMPTS)[::10], 2
FREE, STRONG = 1.0, 4.0


@pytest.fixture(scope="module")
def entry():
    return catalog.find("emoji-text")


@pytest.fixture(scope="module")
def pictures(entry):
    """pictures(prompts, seed, gamma) -> (P, 3, 64, 64) in [-1, 1], in 25 steps of DDIM."""
    model, tokenizer = families.load(entry), families.load(catalog.find(TOKENIZER))

    def make(prompts, seed, scale):
        return decoded(
            model.network, tokenizer, drawn(model, prompts, [seed] * len(prompts), scale)
        )

    return make


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_of_50_prompts_the_judge_finds_the_thing_in_four_of_five(entry, pictures):
    """At the card's own gamma, one seed each; the card's figure is of ten."""
    judge = catalog.find(JUDGE)
    made = pictures(list(PROMPTS), 0, entry.card.defaults["guidance"])
    hits = seen(families.load(judge), judge.card.classes, made)
    found = sum(hits) / len(hits)
    assert len(hits) == 50
    assert found >= 0.8
    figure = entry.card.figures["found among 5"][f"{entry.card.defaults['guidance']:g}"]
    assert figure >= 0.8
    # three standard deviations of 50 draws that succeed as often as the card says
    assert abs(found - figure) <= 3 * math.sqrt(max(figure * (1 - figure), 0.02) / len(hits))


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_gamma_trades_variety_for_fidelity(entry, pictures):
    def spread(scale):
        made = torch.stack([pictures(FEW, seed, scale) for seed in range(SEEDS)])
        return float(made.var(dim=0).mean().sqrt())

    free, strong = spread(FREE), spread(STRONG)
    assert strong < free
    figures = entry.card.figures
    for scale, found in ((FREE, free), (STRONG, strong)):
        assert found == pytest.approx(figures["spread"][f"{scale:g}"], rel=0.35)
    assert figures["spread"]["4"] < figures["spread"]["1"]
    assert figures["found among 5"]["2"] > figures["found among 5"]["1"]


def test_its_card_says_what_was_measured_and_whose_pictures_it_saw(entry):
    card = entry.card
    assert (card.figures["judge"], card.figures["prompts"]) == (JUDGE, len(PROMPTS))
    assert card.figures["pictures"] >= 500
    assert entry.path.stat().st_size < 9e6
    assert "MIT" in card.data_licence and "Microsoft" in card.data_licence
    assert {word for prompt in PROMPTS for word in prompt.split()} <= set(card.vocabulary)
    assert card.limits
