"""The first look while a slider moves: at the same level in a tenth of the steps, or in all."""

import dataclasses
import math

import pytest

from diffview.engine import schedules
from diffview.engine.trajectory import Trajectory
from diffview.models import sampling
from diffview.models.card import ModelCard
from diffview.ui.first_look import FEW, STEPS, first_look, place_of

COSINE = schedules.named("cosine")
CARD = ModelCard("fake", "Fake", "pixel_unet", (1, 4, 4), "v", COSINE, classes=("a", "b"))


def asked(steps=50, seeds=16, **choices):
    spec = sampling.spec_for(CARD, label=1, steps=steps, seeds=range(seeds), **choices)
    return Trajectory(spec, CARD.data_shape, 1, spec.levels(COSINE))


@pytest.mark.parametrize("index", [50, 30, 11])
@pytest.mark.parametrize("sampler", ["ddim", "dpmpp_2m", "euler"])
def test_ten_steps_lead_to_the_level_that_is_looked_at(index, sampler):
    run = asked(sampler=sampler)
    look = first_look(run, asked(), index, COSINE)
    levels = look.run.spec.levels(COSINE)
    assert look.steps == STEPS and look.upto == STEPS + 1 and look.run.spec.batch == FEW
    assert levels[STEPS] == run.levels[index] and levels[0] == run.levels[0]
    assert set(levels) <= set(run.levels)
    assert look.run.spec.guidance == run.spec.guidance


@pytest.mark.parametrize(
    "choices",
    [
        {"sampler": "ddpm"},
        {"options": {"eta": 0.5}},
        {"steps": 8},
        {"sampler": "heun"},  # from sigma / alpha = 20,000 it diverges in ten steps
        {"options": {"compat": "diffusers"}},
    ],
)
def test_where_fewer_steps_would_show_something_else_all_are_taken(choices):
    run = asked(**choices)
    look = first_look(run, run, run.spec.n_steps, COSINE)
    assert look.steps == 0 and look.run.spec.n_steps == run.spec.n_steps
    assert look.upto == run.spec.n_steps + 1


def test_of_a_flow_on_the_times_of_diffusers_ten_steps_are_enough():
    """Stable Diffusion 3: its scheduler shifts twice, but that moves the times alone."""
    flow = schedules.flow(3.0)
    card = dataclasses.replace(CARD, schedule=flow, prediction="flow")
    told = {"sampler": "flow_euler", "spacing": "linspace", "options": {"compat": "diffusers"}}
    spec = sampling.spec_for(card, label=1, steps=50, seeds=range(16), **told)
    run = Trajectory(spec, card.data_shape, 1, spec.levels(flow))
    look = first_look(run, run, 30, flow)
    assert look.steps == STEPS
    assert look.run.spec.levels(flow)[STEPS] == run.levels[30]


def test_a_run_of_another_form_has_no_first_look():
    run = asked()
    assert first_look(run, None, 5, COSINE) is None
    assert first_look(run, asked(steps=20), 5, COSINE) is None
    assert first_look(asked(seeds=FEW), asked(seeds=FEW), 5, COSINE) is None


def test_a_record_is_found_by_its_level_once_it_is_there(make_model):
    model = make_model(shape=(1, 4, 4), classes=2, null=2, schedule="cosine")
    run = asked()
    look = first_look(run, run, 50, COSINE)
    assert place_of(run.levels[50], look.run) is None
    for _ in sampling.sample_into(look.run, model):
        pass
    assert place_of(run.levels[50], look.run) == STEPS
    assert place_of(run.levels[25], look.run) == STEPS // 2
    assert place_of(run.levels[1], look.run) is None
    assert math.isclose(look.run[STEPS].level.sigma, 0)
