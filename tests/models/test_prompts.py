"""Prompts on the road from a person's words to a guided run, with a text encoder known in full."""

import json

import numpy as np
import pytest
import torch

from diffview.engine import spec as specs
from diffview.engine.spec import Guidance, RunSpec
from diffview.errors import DiffviewError, InputError
from diffview.models import card as cards
from diffview.models import conditions, sampling
from diffview.models.network import NetworkDenoiser

LENGTHS = {"": 0.0, "no": 2.0, "cat": 3.0, "house": 5.0}


class Lengths:
    """Encodes a prompt as the number of its letters; -1 is no prompt at all."""

    def __init__(self):
        self.asked = []

    def __call__(self, prompts):
        self.asked.append(list(prompts))
        return torch.tensor([[float(len(prompt))] for prompt in prompts])

    def null(self, batch):
        return torch.full((batch, 1), -1.0)


@pytest.fixture
def text_card(make_card):
    return make_card(classes=(), text_tokens=8, prediction="x0", data_shape=(2,))


@pytest.fixture
def model(text_card):
    """Its estimate is the number of letters of its prompt."""
    network = lambda x_t, t, condition: condition.expand(-1, 2).clone()  # noqa: E731
    return NetworkDenoiser(text_card, network, text=Lengths())


def run(model, **choices):
    spec = sampling.spec_for(model.card, steps=2, **choices)
    trajectory = sampling.trajectory_for(model.card, spec)
    return list(sampling.sample_into(trajectory, model))


def test_guidance_goes_from_no_prompt_to_the_prompt(model):
    first = run(model, prompt="cat", guidance=2.0, seeds=(1, 2))[0]
    np.testing.assert_array_equal(first.base, -1)
    np.testing.assert_array_equal(first.direction, 4)  # 3 letters - (-1)
    np.testing.assert_array_equal(first.x0_hat, 7)


def test_a_negative_prompt_takes_the_place_of_no_prompt(model):
    first = run(model, prompt="house", negative_prompt="no", guidance=3.0)[0]
    np.testing.assert_array_equal(first.base, 2)
    np.testing.assert_array_equal(first.x0_hat, 2 + 3 * (5 - 2))


def test_an_empty_negative_prompt_is_not_the_same_as_none(model):
    assert run(model, prompt="cat", negative_prompt="")[0].base.max() == 0
    assert run(model, prompt="cat")[0].base.max() == -1


def test_without_a_prompt_the_run_is_unconditional_and_unguided(model):
    first = run(model)[0]
    assert first.base is None
    np.testing.assert_array_equal(first.x0_hat, -1)


def test_each_sample_may_have_a_prompt_of_its_own(model):
    first = run(model, prompt=("cat", "house", "cat"), guidance=1.0, seeds=(1, 2, 3))[0]
    assert first.x0_hat[:, 0].tolist() == [3, 5, 3]


def test_a_prompt_is_encoded_once_however_many_samples_share_it(model):
    run(model, prompt="cat", negative_prompt="no", seeds=range(8))
    assert model._text.asked == [["cat"], ["no"]]


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"label": 1}, "has no classes, so it takes no label"),
        ({"label": 1, "prompt": "cat"}, "one or the other"),
        ({"guidance": 3.0}, "needs a prompt to steer to"),
        ({"negative_prompt": "no"}, "does nothing without classifier-free guidance"),
        ({"prompt": ("cat", "no"), "seeds": (1,)}, "2 prompts were given for 1 samples"),
        ({"prompt": "x" * 10_001}, "at most 10000 letters"),
    ],
)
def test_what_a_text_model_cannot_be_asked_is_refused(text_card, choices, message):
    with pytest.raises(InputError, match=message):
        sampling.spec_for(text_card, **choices)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"prompt": "cat"}, "takes no prompt; it has 0 Trouser"),
        ({"label": 1, "negative_prompt": "no"}, "takes no prompt, and so no negative prompt"),
    ],
)
def test_a_model_of_classes_takes_no_prompt(make_card, choices, message):
    with pytest.raises(InputError, match=message):
        sampling.spec_for(make_card(), **choices)


def test_a_model_that_cannot_do_without_a_condition_asks_for_one(make_card):
    card = make_card(needs_condition=True)
    with pytest.raises(InputError, match="cannot do without a condition: give a label"):
        sampling.spec_for(card)
    assert sampling.spec_for(card, label=1).guidance.kind == "none"


@pytest.mark.parametrize("condition", ["a cat", ("a cat", "a dog"), "", None])
@pytest.mark.parametrize("negative", [None, "", "blurry γ"])
def test_prompts_survive_json(condition, negative):
    spec = RunSpec("m", guidance=Guidance("cfg", 2.0), condition=condition, seeds=(1, 2),
                   negative=negative)  # fmt: skip
    assert specs.from_json(json.loads(json.dumps(spec.to_json()))) == specs.checked(spec)


def test_a_recipe_from_before_prompts_is_read(make_card):
    old = RunSpec("m", condition=2).to_json() | {"version": 2}
    del old["negative"]
    assert specs.from_json(old) == specs.checked(RunSpec("m", condition=2))


@pytest.mark.parametrize(
    "damage", [{"negative": 3}, {"condition": ["a", 1]}, {"condition": [1, "a"]}]
)
def test_damaged_prompts_are_refused(damage):
    with pytest.raises(InputError, match="damaged"):
        specs.from_json(RunSpec("m").to_json() | damage)


def test_a_card_of_a_text_model_survives_json_and_an_old_card_has_no_text(make_card):
    card = make_card(classes=(), text_tokens=16, vocabulary=("cat", "apple"), latent=True,
                     picture_shape=(3, 64, 64))  # fmt: skip
    assert cards.from_json(json.loads(json.dumps(card.to_json()))) == card
    assert card.takes_text and card.guidable and card.shown_shape == (3, 64, 64)
    plain = make_card()
    assert not {"text_tokens", "vocabulary", "picture_shape"} & plain.to_json().keys()
    assert not plain.takes_text and plain.shown_shape == plain.data_shape


@pytest.mark.parametrize(
    "change",
    [{"text_tokens": -1}, {"text_tokens": True}, {"text_tokens": 8, "classes": ["a"]},
     {"vocabulary": [1]}, {"picture_shape": [3, 8, 8]}, {"picture_shape": [0], "latent": True}],
)  # fmt: skip
def test_a_card_with_impossible_facts_about_text_is_damaged(make_card, change):
    with pytest.raises(InputError, match="damaged"):
        cards.from_json(make_card(classes=()).to_json() | change)


def test_words_that_the_model_never_saw_are_named(make_card):
    card = make_card(classes=(), text_tokens=8, vocabulary=("green", "cat"))
    assert conditions.unknown_words(card, "A Green cat, a zebra and a Zebra's cat") == (
        "A", "a", "zebra", "and", "Zebra's",
    )  # fmt: skip
    assert conditions.unknown_words(make_card(classes=(), text_tokens=8), "zebra") == ()


def test_card_and_encoder_must_agree(make_card, text_card):
    for card, text in ((make_card(), Lengths()), (text_card, None)):
        with pytest.raises(InputError, match="needs a text encoder"):
            NetworkDenoiser(card, lambda x, t, c: x, text=text)


def test_an_encoder_that_loses_a_prompt_is_noticed(text_card):
    class Short(Lengths):
        def __call__(self, prompts):
            return torch.zeros(1, 1)

    with pytest.raises(DiffviewError, match="encoded 2 prompts to 1 rows"):
        run(NetworkDenoiser(text_card, lambda x, t, c: x, text=Short()), prompt=("a", "b"),
            seeds=(1, 2))  # fmt: skip
