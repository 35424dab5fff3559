"""Seeded noise: its contract with torch, its independence of batch and steps, its randomness."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffview.engine import noise, schedules, spacings
from diffview.engine.levels import CLEAN, NoiseLevel
from diffview.engine.noise import BrownianPath
from diffview.errors import InputError


def test_the_initial_noise_of_a_seed_is_that_of_torch_after_manual_seed():
    torch.manual_seed(1234)
    expected = torch.randn(3, 8, 8)
    assert torch.equal(noise.initial_noise([1234], (3, 8, 8))[0], expected)


def test_seeds_that_torch_cannot_tell_apart_have_an_x_T_of_their_own():
    seeds = [5, 2**32 + 5, 2**33 + 5, 2**40 + 5, 2**32, 0]
    x_T = noise.initial_noise(seeds, (400,))
    correlations = np.corrcoef(x_T.numpy()) - np.eye(len(seeds))
    assert abs(correlations).max() < 5 / math.sqrt(400)
    assert abs(x_T.mean()) < 5 / math.sqrt(x_T.numel())


def test_the_last_seed_that_torch_tells_apart_is_still_torch_s_own():
    expected = torch.randn(3, generator=torch.Generator().manual_seed(2**32 - 1))
    assert torch.equal(noise.initial_noise([2**32 - 1], (3,))[0], expected)


@pytest.mark.parametrize("i", [None, 0, 7])
def test_row_k_is_the_same_in_any_batch(i):
    def draw(seeds):
        if i is None:
            return noise.initial_noise(seeds, (1, 5, 5))
        return noise.step_noise(seeds, (1, 5, 5), i)

    together = draw([3, 1, 4, 1])
    for row, seed in enumerate([3, 1, 4, 1]):
        assert torch.equal(together[row], draw([seed])[0])


def test_the_noise_of_a_step_does_not_depend_on_what_was_drawn_before():
    alone = noise.step_noise([5], (4,), 9)
    torch.manual_seed(99)
    for i in range(9):
        noise.step_noise([5], (4,), i)
    assert torch.equal(noise.step_noise([5], (4,), 9), alone)


def test_drawing_leaves_the_global_generator_alone():
    torch.manual_seed(7)
    expected = torch.randn(3)
    torch.manual_seed(7)
    noise.initial_noise([1, 2], (4,))
    noise.step_noise([1, 2], (4,), 3)
    assert torch.equal(torch.randn(3), expected)


def test_noise_is_standard_normal_float32():
    z = noise.step_noise(range(50), (2000,), 0)
    assert z.dtype == torch.float32
    n = z.numel()
    # Five standard errors of the mean, the variance, and the fourth moment of N(0, 1).
    assert abs(z.mean().item()) < 5 / math.sqrt(n)
    assert abs(z.var().item() - 1) < 5 * math.sqrt(2 / n)
    assert abs((z**4).mean().item() - 3) < 5 * math.sqrt(96 / n)


def test_neighbouring_seeds_and_steps_are_uncorrelated_with_each_other_and_with_the_start():
    seeds, size = range(12), 4000
    drawn = [noise.initial_noise(seeds, (size,))]
    drawn += [noise.step_noise(seeds, (size,), i) for i in range(12)]
    rows = torch.cat(drawn).double()
    correlation = torch.corrcoef(rows) - torch.eye(len(rows), dtype=torch.float64)
    # 156 rows make 12,090 pairs: six standard errors are beyond chance.
    assert correlation.abs().max().item() < 6 / math.sqrt(size)


def test_large_seeds_and_steps_are_accepted():
    assert noise.initial_noise([noise.MAX_SEED], (2,)).isfinite().all()
    assert noise.step_noise([noise.MAX_SEED], (2,), 999).isfinite().all()


def test_a_seed_that_differs_only_in_its_upper_half_draws_other_step_noise():
    seeds = [5, 5 + 2**32, 5 + 2**62]
    a, b, c = noise.step_noise(seeds, (100,), 3)
    assert not torch.equal(a, b)
    assert not torch.equal(a, c)
    assert not torch.equal(b, c)


@pytest.mark.parametrize(
    ("first", "second"),
    [((199, 552), (199, 810)), ((76, 399), (179, 155)), ((59, 896), (264, 79))],
)
def test_steps_of_a_long_run_do_not_share_their_noise(first, second):
    # These pairs once met in one 32-bit state of the generator.
    a, b = (noise.step_noise([seed], (50,), i)[0] for seed, i in (first, second))
    assert not torch.equal(a, b)


WHOLE = BrownianPath.WHOLE
places = st.integers(0, WHOLE)


@given(first=places, between=places, last=places)
def test_increments_over_adjacent_intervals_add_up(first, between, last):
    path = BrownianPath([3, 8], (5,))
    sum_of_parts = path.increment(first, between) + path.increment(between, last)
    torch.testing.assert_close(path.increment(first, last), sum_of_parts, rtol=0, atol=1e-12)


@given(asked=st.lists(st.tuples(places, places), min_size=1, max_size=6))
def test_an_increment_does_not_depend_on_what_was_asked_before(asked):
    path = BrownianPath([3], (4,))
    for first, last in asked:
        fresh = BrownianPath([3], (4,)).increment(first, last)
        assert torch.equal(path.increment(first, last), fresh)


def test_a_path_has_independent_normal_increments_of_their_own_variance():
    path = BrownianPath(range(40), (500,))
    cuts = [0, 1, 2, 4, 1000, 1001, 300_000, 524_288, 524_289, 999_999, WHOLE]
    rows = torch.stack(
        [path.increment(a, b).flatten() / ((b - a) / WHOLE) ** 0.5 for a, b in pairwise(cuts)]
    )
    n = rows.shape[1]
    assert (rows.mean(1).abs() < 5 / math.sqrt(n)).all()
    assert ((rows.var(1) - 1).abs() < 5 * math.sqrt(2 / n)).all()
    assert (((rows**4).mean(1) - 3).abs() < 5 * math.sqrt(96 / n)).all()
    correlation = torch.corrcoef(rows) - torch.eye(len(rows))
    assert correlation.abs().max() < 5 / math.sqrt(n)


def test_a_row_of_the_path_is_its_seeds_own():
    level, target = (schedules.named("linear").level(t) for t in (700, 300))
    together = BrownianPath([3, 1, 4], (2, 2)).noise(level, target)
    for row, seed in enumerate([3, 1, 4]):
        assert torch.equal(together[row], BrownianPath([seed], (2, 2)).noise(level, target)[0])
    assert not torch.equal(together[0], together[1])


def test_the_path_is_independent_of_the_start_and_of_the_noise_of_steps():
    path = BrownianPath([6], (4000,))
    rows = [path.increment(k, k + WHOLE // 8)[0] for k in range(0, WHOLE, WHOLE // 8)]
    rows += [noise.initial_noise([6], (4000,))[0].double()]
    rows += [noise.step_noise([6], (4000,), i)[0].double() for i in range(20)]
    correlation = torch.corrcoef(torch.stack(rows)) - torch.eye(len(rows))
    assert correlation.abs().max() < 6 / math.sqrt(4000)


@pytest.mark.parametrize("name", sorted(schedules.SCHEDULES))
@pytest.mark.parametrize("spacing", ["trailing", "karras"])
def test_the_noise_of_a_coarse_run_is_made_of_that_of_a_fine_one(name, spacing):
    schedule = schedules.named(name)
    fine = spacings.levels(schedule, 60, spacing)
    coarse = (*fine[:-1:4], CLEAN)
    path, again = BrownianPath([2], (50,)), BrownianPath([2], (50,))
    for k in range(0, 60, 4):
        steps = fine[k : k + 5]
        parts = [
            path.noise(a, b).double() * math.sqrt(path._place(a) - path._place(b))
            for a, b in pairwise(steps)
        ]
        whole = again.noise(coarse[k // 4], coarse[k // 4 + 1]).double()
        length = path._place(steps[0]) - path._place(steps[-1])
        torch.testing.assert_close(sum(parts) / math.sqrt(length), whole, rtol=1e-5, atol=1e-5)


def test_a_thousand_steps_of_every_schedule_are_told_apart():
    for name in schedules.SCHEDULES:
        for spacing in (*spacings.BY_TIME, *spacings.BY_RATIO):
            levels = spacings.levels(schedules.named(name), 1000, spacing)
            path = BrownianPath([0], (1,))
            assert (np.diff([path._place(level) for level in levels]) < 0).all()


def test_levels_too_close_to_tell_apart_are_refused():
    level = NoiseLevel(1, 1.0, 1.0)
    with pytest.raises(InputError, match="noise_path=step"):
        BrownianPath([0], (1,)).noise(level, NoiseLevel(1, 1.0, 1.0 - 1e-9))
