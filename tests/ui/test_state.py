"""Choices: the run they ask for, and what is left of them on another model."""

import dataclasses

import pytest

from diffview.engine import schedules
from diffview.engine.spec import Guidance, RunSpec, checked, from_json
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


def test_what_diffusers_does_with_flows_is_left_behind_by_a_sampler_that_it_has_for_none():
    choices = Choices("fake", sampler="flow_euler").with_option("compat", "diffusers")
    assert choices.with_sampler("flow_heun").option("compat") == "diffusers"
    assert choices.with_sampler("ddim").option("compat") == "none"


def test_on_another_model_what_fits_is_kept_and_the_rest_is_its_default():
    choices = Choices("old", n_steps=300, condition=2, guidance_scale=5.0, seeds=(8, 9))
    same = state.adapted(choices, card("new"))
    assert same == dataclasses.replace(choices, model_id="new")
    small = state.adapted(choices, card("new", classes=("a", "b"), T=100))
    assert (small.n_steps, small.condition, small.guidance_scale) == (100, 0, 5.0)
    none = state.adapted(choices, card("new", classes=()))
    assert none.condition is None


def test_a_scale_that_nobody_chose_becomes_the_next_models_own():
    old, new = card("old", guidance=3), card("new", guidance=2)
    choices = state.defaults(old)
    assert state.adapted(choices, new, old).guidance_scale == 2
    chosen = dataclasses.replace(choices, guidance_scale=5.0)
    assert state.adapted(chosen, new, old).guidance_scale == 5


def test_one_of_each_of_more_classes_than_the_next_model_has_falls_back():
    choices = Choices("old", condition=(0, 1, 2, 3, 4))
    assert state.adapted(choices, card("new")).condition == 0


GUIDED = [
    Guidance("cfg", 2.0, "", ((-3.0, 0.0), (1.0, 1.5))),
    Guidance("classifier", 4.0, "judge", ((0.0, 0.5),)),
    Guidance("autoguidance", 1.5, "weak"),
]


@pytest.mark.parametrize("guidance", GUIDED, ids=lambda guidance: guidance.kind)
def test_kind_guide_curve_and_interval_come_back_from_a_run_and_from_settings(guidance):
    options = (("interval", "0.10000000000000001, 5"), ("rescale", 0.7))
    spec = checked(RunSpec("fake", guidance=guidance, condition=1, options=options))
    choices = state.from_spec(spec)
    assert (choices.guidance_kind, choices.guide, choices.curve) == (
        guidance.kind, guidance.guide, guidance.curve,
    )  # fmt: skip
    assert choices.spec(card()) == spec
    assert state.from_spec(from_json(choices.spec(card()).to_json())) == choices


def test_guidance_that_was_turned_off_stays_off():
    off = dataclasses.replace(state.defaults(card()), guidance_kind="none")
    assert off.spec(card()).guidance == Guidance()
    assert state.from_spec(off.spec(card())).guidance_kind == "none"


def test_autoguidance_needs_no_class_and_classifier_guidance_does():
    auto = dataclasses.replace(
        state.defaults(card()), guidance_kind="autoguidance", guide="weak", condition=None
    )
    assert auto.spec(card()).guidance == Guidance("autoguidance", 3.0, "weak")
    judged = dataclasses.replace(auto, guidance_kind="classifier", guide="judge")
    assert judged.spec(card()).guidance == Guidance()


def test_another_model_keeps_the_curve_and_no_guide_that_may_not_fit():
    curve = ((0.0, 1.0),)
    before = dataclasses.replace(
        state.defaults(card()), guidance_kind="classifier", guide="judge", curve=curve
    )
    after = state.adapted(before, card("new"))
    assert (after.guidance_kind, after.guide, after.curve) == ("cfg", "", curve)


def test_clipping_follows_the_kind_of_guidance_until_it_is_chosen():
    pixels = card()
    plain = state.defaults(pixels)
    judged = plain.with_guidance("classifier", "judge", pixels)
    assert plain.option("clip") == "none" and judged.option("clip") == "clamp"
    assert judged.with_guidance("cfg", "", pixels).option("clip") == "none"
    unclipped = judged.with_option("clip", "none")
    assert unclipped.with_guidance("cfg", "", pixels).option("clip") == "none"
    chosen = plain.with_option("clip", "threshold").with_guidance("classifier", "judge", pixels)
    assert chosen.option("clip") == "threshold"
    own = dataclasses.replace(pixels, family="wrapped")
    assert state.defaults(own).with_guidance("classifier", "judge", own).option("clip") == "none"


def of_text(**changes):
    facts = {"classes": (), "text_tokens": 8, "latent": True, "picture_shape": (3, 16, 16)}
    return dataclasses.replace(card("text"), **facts, **changes)


def test_the_range_that_is_clipped_to_is_each_model_s_own():
    halves = dataclasses.replace(card(), value_range=(0.0, 1.0))
    chosen = state.defaults(halves).with_option("clip", "clamp")
    assert chosen.spec(halves).finish().low == 0.0
    carried = state.adapted(chosen, card())
    assert (carried.option("clip"), carried.option("clip_range")) == ("clamp", "-1, 1")
    assert state.adapted(carried, halves).option("clip_range") == "0, 1"
    opened = state.from_spec(state.defaults(halves).spec(halves))  # it clipped nothing
    assert opened.with_option("clip", "clamp").spec(halves).finish().low == 0.0


def test_a_negative_prompt_stays_with_models_of_text():
    choices = Choices("old", condition="a cat", negative="a dog")
    assert state.adapted(choices, of_text()).negative == "a dog"
    assert state.adapted(choices, card("new")).negative is None


def test_a_persons_own_folder_runs_as_its_makers_chose():
    choices = Choices("old", sampler="heun", n_steps=7, guidance_scale=1.5)
    own = {"sampler": "euler", "steps": 20, "spacing": "leading", "guidance": 7.5}
    adapted = state.adapted(choices, of_text(family="diffusers", defaults=own))
    assert (adapted.sampler, adapted.n_steps, adapted.guidance_scale) == ("euler", 20, 7.5)
    assert adapted.seeds == choices.seeds


def test_of_a_large_model_a_few_samples_are_asked_for():
    large = of_text(family="diffusers", parameters=10**9)
    assert len(state.adapted(Choices("old"), large).seeds) == state.FEW_SAMPLES


def test_what_makes_no_sense_on_another_model_is_not_carried_over_to_it():
    """Latents have no range to clip to."""
    choices = Choices("old").with_option("clip", "clamp")
    adapted = state.adapted(choices, of_text())
    assert adapted.option("clip") == "none"
    assert state.adapted(choices, card("new")).option("clip") == "clamp"


def test_a_model_that_was_made_to_run_without_guidance_does_not_pay_for_it():
    """Guidance may be distilled into it: nothing is evaluated without the condition."""
    own = state.defaults(of_text(defaults={"guidance_kind": "none", "prompt": "a cat"}))
    assert own.guidance_kind == "none"
    spec = own.spec(of_text())
    assert spec.guidance == Guidance() and spec.condition == "a cat"


def test_a_long_run_of_nothing_waits_for_a_prompt():
    large = of_text(parameters=10**9)
    assert state.waits(Choices("text"), large)
    assert not state.waits(Choices("text", condition="a cat"), large)
    assert not state.waits(Choices("text"), of_text()), "a small one is quick"
