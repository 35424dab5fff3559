"""The outlook: what a panel greys out, with the command line's own reasons."""

import dataclasses

import pytest

from diffview.engine import schedules
from diffview.engine.spec import RunSpec, conflicts
from diffview.models import sampling
from diffview.models.card import ModelCard
from diffview.ui import outlook, state
from diffview.ui.outlook import fitting


def card(id="fake", classes=("a", "b"), schedule=None, **more):
    facts = {"prediction": "v", "schedule": schedule or schedules.named("cosine")}
    return ModelCard(
        id, id, "pixel_unet", (1, 8, 8), classes=classes, weights_sha256=id * 8, **facts | more
    )


JUDGE = card("judge", prediction="class")
ZERO = schedules.named("linear", zero_snr=True)


def of(model, choices=None, known=(), guidable=True, **changes):
    choices = dataclasses.replace(choices or state.defaults(model), **changes)
    return outlook.outlook(choices, model, known, guidable=guidable)


def test_what_is_idle_is_greyed_out_with_the_engines_reason():
    plain = of(card())
    assert plain.idle["rho"] == "only spacing 'karras' has a ρ"
    assert "rho" not in of(card(), spacing="karras").idle
    assert plain.idle["noise_path"] == "this sampler adds no noise on its way"
    assert plain.idle["rescale_space"].startswith("nothing is rescaled")


def test_an_option_that_is_set_but_idle_stays_set_and_takes_no_part_in_the_run():
    model = card()
    choices = state.defaults(model).with_option("rho", 3.0).with_option("rescale", 0.7)
    spec = choices.spec(model)
    assert dict(spec.options) == {"rescale": 0.7}
    assert conflicts(spec, sampling.facts_of(model)) == []
    assert choices.with_spacing("karras", model).spec(model).option("rho") == 3.0
    # its dependant stays usable where it is not idle
    assert "rescale_space" not in of(model, choices).idle


def test_a_choice_that_would_conflict_is_barred_with_the_command_lines_words():
    model = card(schedule=ZERO)
    barred = of(model).barred
    assert "cannot begin" in barred["sampler"]["heun"]
    assert "unipc" not in barred["sampler"]
    run = RunSpec(model.id, "heun", 10)
    assert barred["sampler"]["heun"] in conflicts(run, sampling.facts_of(model))
    heun = of(model, sampler="heun", spacing="leading").barred
    assert "cannot begin" in heun["spacing"]["trailing"]


def test_what_cannot_begin_in_pure_noise_can_go_on_from_a_later_step():
    """A branch inherits what lies before it: only from x_T on is there no signal."""
    model = card(schedule=ZERO)
    late = outlook.outlook(state.defaults(model), model, (), here=3)
    assert "heun" not in late.barred.get("sampler", {})
    heun = dataclasses.replace(state.defaults(model), sampler="heun")
    assert of(model, heun).warning.startswith("Cannot be run: ")
    scrubbed = outlook.outlook(heun, model, (), here=3)
    assert scrubbed.warning.startswith("Only a branch can be run so, from this step on: ")
    assert outlook.outlook(heun, model, (), left=3, here=3).warning == ""
    # Other levels are no branch's: these are judged from x_T on.
    leading = dataclasses.replace(heun, spacing="leading")
    assert "trailing" in outlook.outlook(leading, model, (), left=3, here=3).barred["spacing"]


def test_a_branch_diverges_or_not_from_where_it_left():
    model = card()
    heun = dataclasses.replace(state.defaults(model), sampler="heun", n_steps=10)
    assert "diverges" in of(model, heun).warning
    assert "diverges" in outlook.outlook(heun, model, (), here=5).warning, "Run is from x_T"
    assert outlook.outlook(heun, model, (), left=5, here=5).warning == ""


def test_choices_of_options_are_barred_too():
    assert "learned no variance" in of(card(), sampler="ddpm").barred["variance"]["learned"]
    assert "latents" in of(card(latent=True)).barred["clip"]["clamp"]
    points = dataclasses.replace(card(), data_shape=(2,))
    assert set(of(points).barred["clip"]) == {"threshold"}
    assert "no quantile" in of(points).barred["clip"]["threshold"]
    odd = of(card(), n_steps=61).barred
    assert "makes 62 times" in odd["compat"]["diffusers"]
    assert "compat" not in of(card(), n_steps=50).barred


def test_spacing_list_can_be_chosen_and_then_says_why_steps_cannot():
    model = card()
    assert "list" not in of(model).barred.get("spacing", {})
    listed = state.defaults(model).with_spacing("list", model)
    assert listed.spec(model).levels(model.schedule) == state.defaults(model).spec(model).levels(
        model.schedule
    )
    assert "as many steps as times" in of(model, listed).idle["steps"]
    fewer = listed.with_option("times", "900, 500, 100")
    assert fewer.n_steps == 3 and len(fewer.spec(model).levels(model.schedule)) == 4


def test_kinds_of_guidance_are_barred_where_there_is_nothing_to_guide_by():
    alone = of(card(classes=())).barred["guidance_kind"]
    assert "takes no condition" in alone["cfg"] and "no classifier is" in alone["classifier"]
    assert "classifier" not in of(card(classes=()), known=[JUDGE]).barred["guidance_kind"]
    nameless = card("nameless", classes=(), prediction="class")
    assert "classifier" in of(card(classes=()), known=[nameless]).barred["guidance_kind"]
    plain = of(card(), known=[card()]).barred["guidance_kind"]
    assert "no classifier is here" in plain["classifier"]
    assert "no weaker model" in plain["autoguidance"]  # a model is not weaker than itself
    assert "cfg" not in plain
    assert "'no condition' input" in of(card(), guidable=False).barred["guidance_kind"]["cfg"]
    helped = of(card(), known=[card(), JUDGE, card("weak")]).barred["guidance_kind"]
    assert helped == {}


def test_guides_that_do_not_fit_are_barred_with_a_reason():
    model, other = card(), card("other", classes=("x", "y"), prediction="class")
    known = [JUDGE, other, card("weak")]
    barred = of(model, known=known, guidance_kind="classifier", guide="judge").barred["guide"]
    assert set(barred) == {"other", "weak"} and "other classes" in barred["other"]
    assert fitting(model, known, "classifier") is JUDGE
    assert fitting(model, known, "autoguidance").id == "weak"
    assert fitting(model, known, "cfg") is None


def test_a_run_that_diverges_is_warned_of_and_one_that_is_refused_says_why():
    assert "diverges in 10 steps" in of(card(), sampler="heun", n_steps=10).warning
    assert of(card(), sampler="heun", n_steps=10, spacing="leading").warning == ""
    torn = of(card(), spacing="list", n_steps=3).warning
    assert torn.startswith("Cannot be run: spacing 'list' has 0 times")


def test_samples_that_will_be_equal_are_told_of_and_those_of_other_labels_are_not():
    assert of(card(), seeds=(3, 1, 3)).warning.startswith("Seed 3 is given twice: samples 0 and 2")
    assert of(card(), seeds=(3, 1, 3), condition=(0, 0, 1)).warning == ""


@pytest.mark.parametrize("n_steps", [1, 50, 1000])
def test_every_default_has_a_good_outlook(n_steps):
    found = of(card(), n_steps=n_steps)
    assert found.warning == "" and set(found.barred) == {"guidance_kind", "guide"}
