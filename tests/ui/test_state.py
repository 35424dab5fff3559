"""Choices: the run they ask for, and what is left of them on another model."""

import dataclasses

import pytest

from diffview.engine import schedules
from diffview.engine.spec import Guidance, RunSpec, checked
from diffview.models.card import ModelCard
from diffview.ui import state
from diffview.ui.state import Choices


def card(id="fake", classes=("a", "b", "c"), T=1000, **defaults):
    schedule = schedules.named("linear")
    if T != 1000:
        schedule = schedules.given(betas=[0.01] * T)
    return ModelCard(
        id, id, "pixel_unet", (1, 8, 8), "eps", schedule, classes=classes, defaults=defaults
    )


def test_defaults_come_from_the_card_where_it_has_any():
    own = state.defaults(card(steps=20, guidance=1.5, sampler="ddpm", spacing="linspace"))
    assert (own.n_steps, own.guidance_scale, own.sampler, own.spacing) == (
        20, 1.5, "ddpm", "linspace",
    )  # fmt: skip
    plain = state.defaults(card())
    assert (plain.n_steps, plain.guidance_scale, plain.sampler) == (50, 3.0, "ddim")
    assert plain.condition == 0 and plain.seeds == tuple(range(16))


@pytest.mark.parametrize("label", ["Sneaker", None, 99, -1, 1.5, [0]])
def test_a_card_whose_default_label_is_nonsense_starts_with_the_first_class(label):
    assert state.defaults(card(label=label)).condition == 0


@pytest.mark.parametrize("options", [None, [], "eta", {"eta": "much"}, {"eta": [1]}])
def test_a_card_whose_default_options_are_nonsense_does_without(options):
    choices = state.defaults(card(options=options))
    checked(choices.spec(card()))


def test_a_model_without_classes_is_not_asked_for_one():
    choices = state.defaults(card(classes=()))
    assert choices.condition is None
    assert choices.spec(card(classes=())).guidance == Guidance("none", 1.0)


def test_a_class_is_guided_unless_the_model_cannot_be():
    choices = dataclasses.replace(state.defaults(card()), guidance_scale=2.5)
    assert choices.spec(card()).guidance == Guidance("cfg", 2.5)
    assert choices.spec(card(), guidable=False).guidance == Guidance("none", 1.0)


def test_one_of_each_is_dealt_out_to_the_samples_in_turn():
    choices = Choices("fake", condition=(0, 1, 2), seeds=tuple(range(7)))
    assert choices.spec(card()).condition == (0, 1, 2, 0, 1, 2, 0)


@pytest.mark.parametrize(
    "spec",
    [
        RunSpec("fake"),
        RunSpec("fake", guidance=Guidance("cfg", 2.0), condition=1, seeds=(3, 1, 2**40)),
        RunSpec("fake", "ddpm", 7, "leading", Guidance("cfg", -1.0), (2, 0), (5, 5)),
        RunSpec("fake", options=(("clip", "clamp"), ("eta", 0.25))),
        RunSpec("fake", seeds=tuple(range(300))),
    ],
)
def test_choices_from_a_run_ask_for_the_same_run(spec):
    assert state.from_spec(spec).spec(card()) == spec


def test_another_sampler_drops_the_options_it_does_not_have():
    choices = Choices("fake").with_option("eta", 0.5).with_option("clip", "clamp")
    assert dict(choices.with_sampler("ddpm").options) == {"clip": "clamp"}


def test_on_another_model_what_fits_is_kept_and_the_rest_is_its_default():
    choices = Choices("old", n_steps=300, condition=2, guidance_scale=5.0, seeds=(8, 9))
    same = state.adapted(choices, card("new"))
    assert same == dataclasses.replace(choices, model_id="new")
    small = state.adapted(choices, card("new", classes=("a", "b"), T=100))
    assert (small.n_steps, small.condition, small.guidance_scale) == (100, 0, 5.0)
    none = state.adapted(choices, card("new", classes=()))
    assert none.condition is None


def test_one_of_each_of_more_classes_than_the_next_model_has_falls_back():
    choices = Choices("old", condition=(0, 1, 2, 3, 4))
    assert state.adapted(choices, card("new")).condition == 0
