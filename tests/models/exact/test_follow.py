"""Many particles go the way that a run's samples go, chunk after chunk."""

from dataclasses import replace

import numpy as np
import pytest

from diffview.errors import InputError
from diffview.models import sampling
from diffview.models.exact import particles as rooms
from diffview.models.exact.follow import follow
from diffview.models.exact.mixture import mixture
from diffview.models.exact.particles import particles, room_for

COUNT = 1200


@pytest.fixture
def model(exact_model, uneven_mixture):
    return exact_model(uneven_mixture())


def followed(model, spec, count=COUNT):
    made = particles(spec, count)
    ready = list(follow(model, made))
    return made, ready


def test_particles_take_the_steps_of_a_run_from_the_same_noise(model):
    spec = sampling.spec_for(
        model.card, sampler="dpmpp_2m", steps=6, label=1, guidance=2.0, seeds=range(5)
    )
    made, _ = followed(model, spec)
    run = sampling.trajectory_for(model.card, spec)
    list(sampling.sample_into(run, model, init_noise=made.at(0)[:5]))
    for record in run:
        np.testing.assert_allclose(made.at(record.i)[:5], record.x_t, atol=1e-5)


def test_they_become_ready_chunk_by_chunk(model):
    spec = sampling.spec_for(model.card, steps=3, seeds=[0])
    made, ready = followed(model, spec)
    assert ready == [0, 0, 0, 1000, 1000, 1000, 1000, 1200]
    assert made.at(3).shape == (1200, 2)
    first, second = made.at(0)[:1000], made.at(0)[1000:]
    assert not np.isin(second[:, 0], first[:, 0]).any(), "a chunk has noise of its own"


def test_many_of_a_gaussian_have_its_mean_and_width(exact_model):
    model = exact_model(mixture([[0.3, -0.1]], 0.2**2))
    spec = sampling.spec_for(model.card, steps=200, sampler="dpmpp_2m", seeds=[0])
    end = followed(model, spec, 6000)[0].at(200)
    np.testing.assert_allclose(end.mean(axis=0), [0.3, -0.1], atol=0.02)
    np.testing.assert_allclose(end.std(axis=0), 0.2, rtol=0.05)


def test_many_end_in_the_known_mean_and_covariance_for_a_sampler_with_noise(exact_model):
    data = mixture([[-0.5, 0.0], [0.4, 0.3]], 0.03, weights=[1, 2])
    model = exact_model(data)
    spec = sampling.spec_for(model.card, steps=200, sampler="ddpm", seeds=[0])
    end = followed(model, spec, 20_000)[0].at(200)
    mean, cov = data.moments()
    np.testing.assert_allclose(end.mean(axis=0), mean, atol=0.02)
    np.testing.assert_allclose(np.cov(end.T), cov, atol=0.02)


def test_equal_recipes_give_equal_particles(model):
    spec = sampling.spec_for(model.card, steps=3, sampler="ddpm", seeds=[0])
    one, two = (followed(model, spec, 10)[0].paths for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_several_classes_are_dealt_out_in_turn(model):
    spec = sampling.spec_for(model.card, steps=2, label=[0, 2], guidance=1.0, seeds=[0, 1])
    made, _ = followed(model, spec, 10)
    alone = sampling.spec_for(model.card, steps=2, label=0, guidance=1.0, seeds=[0])
    other, _ = followed(model, alone, 10)
    np.testing.assert_allclose(made.at(2)[::2], other.at(2)[::2], atol=1e-6)


def test_no_more_than_fit_into_memory(model, monkeypatch):
    spec = sampling.spec_for(model.card, steps=3, seeds=[0])
    monkeypatch.setattr(rooms, "MOST_BYTES", 4 * 8 * 100)
    assert room_for(spec, 1000) == 100
    assert particles(spec, 1000).count == 100


def test_only_points_of_a_moving_noise_are_followed(exact_model):
    line = exact_model(mixture([[0.0]], 1.0))
    spec = sampling.spec_for(line.card, steps=2, seeds=[0])
    with pytest.raises(InputError, match="points in the plane"):
        next(follow(line, particles(replace(spec), 10)))
