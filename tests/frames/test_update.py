"""A step written out: the terms of every sampler add up to the state it went on to."""

import numpy as np
import pytest
import torch

from diffview.engine import samplers
from diffview.engine.noise import step_noise
from diffview.frames import update as updates
from diffview.models import sampling
from diffview.models.wrapped import wrap

SUMS = [name for name in samplers.every() if name != "lms"]


def model():
    """A denoiser that depends on x_t, t and the label, and leaves the data's range."""
    return wrap(
        lambda x, t, y: 1.2 * torch.tanh(x) + 0.1 * (y.float() + 1).reshape(-1, 1, 1, 1),
        shape=(1, 4, 4), classes=2, null=2, prediction="x0",
    )  # fmt: skip


def run(sampler, steps=6, **options):
    made = model()
    spec = sampling.spec_for(
        made.card, sampler=sampler, steps=steps, seeds=(3, 4), label=1, guidance=2.0,
        options=options,
    )  # fmt: skip
    trajectory = sampling.trajectory_for(made.card, spec)
    for _ in sampling.sample_into(trajectory, made):
        pass
    return trajectory


@pytest.mark.parametrize("name", SUMS)
def test_the_terms_of_every_sampler_add_up_to_the_next_state(name):
    made = run(name)
    for index in range(len(made) - 1):
        update = updates.update(made, index, 1)
        total = sum(term.part.astype(np.float64) for term in update.terms)
        np.testing.assert_allclose(total, made[index + 1].x_t[1], atol=2e-6)
        np.testing.assert_allclose(update.result, made[index + 1].x_t[1], atol=2e-6)
        assert update.target == made[index + 1].level
        assert not update.remark


def test_the_noise_of_a_step_is_the_one_that_its_seed_draws():
    made = run("ddpm")
    update = updates.update(made, 2, 1)
    z = update.terms[-1]
    assert z.name == "z" and z.weight == made[2].move.noise_std
    np.testing.assert_allclose(z.values, step_noise((4,), (1, 4, 4), 2)[0], atol=1e-5)


def test_a_clipped_estimate_and_the_one_that_eps_comes_from_are_terms_of_their_own():
    made = run("ddim", clip="clamp", rederive_eps=False)
    update = updates.update(made, 1, 0)
    assert [term.name for term in update.terms] == ["x0hat", "xraw", "xt"]
    assert np.abs(update.terms[0].values).max() == 1.0 < np.abs(update.terms[1].values).max()
    assert update.gap < 2e-6


def test_under_another_guidance_scale_the_step_is_the_one_a_run_would_have_made():
    """At the first step both runs hold the same x_t, and draw the same noise."""
    made, other = run("ddpm"), model()
    spec = sampling.spec_for(
        other.card, sampler="ddpm", steps=6, seeds=(3, 4), label=1, guidance=5.0
    )
    stronger = sampling.trajectory_for(other.card, spec)
    for _ in sampling.sample_into(stronger, other):
        pass
    update = updates.update(made, 0, 1, scale=5.0)
    np.testing.assert_allclose(update.result, stronger[1].x_t[1], atol=3e-6)
    assert update.gap is None


def test_where_there_is_no_sum_it_says_why():
    assert "slopes" in updates.update(run("lms"), 3, 0).remark
    assert updates.update(run("lms"), 0, 0).gap < 2e-6, "the first step is of order 1"
    made = run("ddim")
    assert updates.update(made, len(made) - 1, 0).remark == updates.END


def test_what_was_not_kept_is_said_to_be_missing():
    made = run("dpmpp_2m")
    thin = type(made)(made.spec, made.data_shape, stride=3)
    for record in made:
        thin.append(record)
    assert updates.update(thin, 1, 0).remark == updates.THINNED
    stochastic = run("ddpm").before(3, run("ddpm").spec)
    assert updates.update(stochastic, 2, 0).remark == updates.NOT_YET


@pytest.mark.parametrize("name", [*samplers.every(), *samplers.by_token()])
def test_every_sampler_says_how_its_weights_come_about_or_why_it_has_none(name):
    info = samplers.find(name)
    assert info.no_sum or {"w0", "w1"} <= info.weights.keys()
    assert info.source in updates.weight_help(name, "x0hat")
