"""The shipped model of the next token writes what it is asked for, as often as its card says."""

import math

import pytest
import torch

from diffview.models import catalog, families
from diffview.models.prompts import Vocabulary
from diffview.training.prompts import (
    JUDGE,
    PROMPTS,
    TEMPERATURE,
    TOP_K,
    seen,
    shown,
    written,
)

FEW, SEEDS = list(PROMPTS)[::10], 2


@pytest.fixture(scope="module")
def entry():
    return catalog.find("emoji-ar")


@pytest.fixture(scope="module")
def pictures(entry):
    """pictures(prompts, seed, gamma, temperature) -> (P, 3, 64, 64) in [-1, 1]."""
    network = families.load(entry).network
    stage = network.config.stage
    tokenizer, words = stage.open(), Vocabulary(stage.words)

    def make(prompts, seed, scale, temperature=TEMPERATURE):
        with torch.no_grad():
            tokens = written(network, words(prompts), seed, scale, temperature)
            return shown(tokenizer, tokenizer.codes_at(tokens))

    return make


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_judge_finds_the_thing_as_often_as_the_card_says(entry, pictures):
    """At the card's own gamma, one seed each of 50 prompts; the card's figure is of more."""
    judge = catalog.find(JUDGE)
    scale = entry.card.defaults["guidance"]
    hits = seen(families.load(judge), judge.card.classes, pictures(list(PROMPTS), 0, scale))
    found, figure = sum(hits) / len(hits), entry.card.figures["found among 5"][f"{scale:g}"]
    # three standard deviations of 50 draws that succeed as often as the card says
    assert abs(found - figure) <= 3 * math.sqrt(max(figure * (1 - figure), 0.02) / len(hits))
    assert found >= 0.8


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_lower_temperature_makes_its_pictures_of_a_prompt_more_alike(pictures):
    def spread(temperature):
        made = [pictures(FEW, seed, 1.0, temperature) for seed in range(SEEDS)]
        return float(torch.stack(made).var(dim=0).mean().sqrt())

    assert spread(0.0) == 0.0 < spread(TEMPERATURE) < spread(1.5)


def test_its_card_says_what_was_measured_and_whose_pictures_it_saw(entry):
    card = entry.card
    assert (card.figures["judge"], card.figures["prompts"]) == (JUDGE, len(PROMPTS))
    drawn = {"temperature": TEMPERATURE, "top_k": TOP_K}
    assert card.defaults["options"] == drawn == {name: card.figures[name] for name in drawn}
    assert entry.path.stat().st_size < 9e6
    assert "MIT" in card.data_licence and "Microsoft" in card.data_licence
    assert {word for prompt in PROMPTS for word in prompt.split()} <= set(card.vocabulary)
    assert card.by_token and card.limits
