"""Rescaling and clipping against diffusers and the papers' words, on arrays and tensors alike."""

import math

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from diffusers.guiders.guider_utils import rescale_noise_cfg
from hypothesis import given
from hypothesis import strategies as st

from diffview.engine import conversions, finishing, schedules
from diffview.engine.finishing import Finish
from diffview.errors import InputError

LEVELS = {
    "vp": schedules.named("cosine").level(700),
    "ve": schedules.edm().level(3.0),
    "flow": schedules.flow().level(0.6),
}
SHAPE = (3, 2, 4, 4)


def pictures(seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(SHAPE, generator=generator, dtype=dtype)


@pytest.mark.parametrize("phi", [0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("space", ["eps", "v", "x0"])
@pytest.mark.parametrize("level", LEVELS.values(), ids=LEVELS)
def test_rescaling_equals_that_of_diffusers_applied_to_a_network_of_that_prediction(
    level, space, phi
):
    x_t, base, direction = pictures(0), pictures(1), pictures(2)
    scale = 5.0
    to, back = conversions.FROM_X0[space], conversions.TO_X0[space]
    uncond, text = to(x_t, base, level), to(x_t, base + direction, level)
    theirs = rescale_noise_cfg(uncond + scale * (text - uncond), text, guidance_rescale=phi)
    ours = finishing.guided(
        x_t, base, direction, scale, level, Finish(rescale=phi, rescale_space=space)
    )
    torch.testing.assert_close(ours, back(x_t, theirs, level), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("space", ["eps", "v", "x0"])
def test_fully_rescaled_the_spread_is_the_conditional_ones_over_each_sample(space):
    level, (x_t, base, direction) = LEVELS["vp"], map(pictures, range(3))
    how = Finish(rescale=1.0, rescale_space=space)
    out = finishing.guided(x_t, base, direction, 7.0, level, how)
    to = conversions.FROM_X0[space]
    found, wanted = (to(x_t, x0, level).flatten(1).std(1) for x0 in (out, base + direction))
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=0)


@given(phi=st.floats(0, 1), space=st.sampled_from(["eps", "v", "x0"]))
def test_at_gamma_one_rescaling_changes_nothing(phi, space):
    x_t, base, direction = map(pictures, range(3))
    how = Finish(rescale=phi, rescale_space=space)
    out = finishing.guided(x_t, base, direction, 1.0, LEVELS["vp"], how)
    torch.testing.assert_close(out, base + direction, rtol=1e-9, atol=1e-9)


def test_what_does_not_vary_is_left_as_it_is():
    level, flat = LEVELS["vp"], torch.zeros(2, 3, dtype=torch.float64)
    how = Finish(rescale=0.7, rescale_space="x0")
    out = finishing.guided(flat, flat, flat + 1, 3.0, level, how)
    torch.testing.assert_close(out, flat + 3)


def test_eps_cannot_be_rescaled_at_pure_noise_but_v_can():
    noise, (x_t, base, direction) = schedules.flow().level(1.0), map(pictures, range(3))
    with pytest.raises(InputError, match="alpha = 0"):
        finishing.guided(x_t, base, direction, 3.0, noise, Finish(0.7, "eps"))
    assert finishing.guided(x_t, base, direction, 3.0, noise, Finish(0.7, "v")).isfinite().all()


@pytest.mark.parametrize("ratio", [0.9, 0.995, 1.0])
@pytest.mark.parametrize("size", [1, 7, 32])
def test_thresholding_equals_that_of_diffusers(ratio, size):
    theirs = DDIMScheduler(
        thresholding=True, dynamic_thresholding_ratio=ratio, sample_max_value=1e9
    )
    generator = torch.Generator().manual_seed(size)
    x0 = 2 * torch.randn(4, 3, size, size, generator=generator)
    x0[0] *= 0.1  # nothing to cut: s is 1
    ours = finishing.clipped(x0, Finish(clip="threshold", threshold=ratio))
    torch.testing.assert_close(ours, theirs._threshold_sample(x0), rtol=1e-6, atol=1e-6)
    assert ours.abs().max() <= 1
    torch.testing.assert_close(ours[0], x0[0].clip(-1, 1))


@given(
    q=st.floats(0.5, 1),
    row=st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=20),
)
def test_the_quantile_is_numpys(q, row):
    found = finishing._quantile(np.array([row], np.float32), q)
    assert found[0] == pytest.approx(np.quantile(np.array(row), q), abs=1e-6)


def test_thresholding_of_another_range_is_that_of_minus_one_to_one_moved_there():
    x0 = 2 * torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    usual = finishing.clipped(x0, Finish(clip="threshold", threshold=0.9))
    moved = Finish(clip="threshold", threshold=0.9, low=0, high=255)
    theirs = 127.5 * (usual + 1)
    torch.testing.assert_close(finishing.clipped(127.5 * (x0 + 1), moved), theirs)


def test_clamping_cuts_to_the_range_and_none_leaves_all():
    x0 = torch.tensor([[-3.0, -0.5, 2.0]])
    assert finishing.clipped(x0, Finish(clip="clamp")).tolist() == [[-1, -0.5, 1]]
    assert finishing.clipped(x0, Finish()) is x0


def finished(*terms_and_how):
    """What a run uses: guided, then clipped."""
    return finishing.clipped(finishing.guided(*terms_and_how), terms_and_how[-1])


EVERY_FINISH = [
    Finish(rescale=phi, rescale_space=space, clip=clip)
    for phi in (0.0, 0.7)
    for space in ("v", "eps", "x0")
    for clip in ("none", "clamp", "threshold")
]


@pytest.mark.parametrize("how", EVERY_FINISH, ids=str)
@pytest.mark.parametrize("level", LEVELS.values(), ids=LEVELS)
def test_an_array_and_a_tensor_give_the_same_float32_numbers(level, how):
    terms = [pictures(seed, torch.float32) for seed in range(3)]
    tensor = finished(*terms, 3.7, level, how)
    array = finished(*(term.numpy() for term in terms), 3.7, level, how)
    assert tensor.dtype == torch.float32
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, tensor.numpy())


@pytest.mark.parametrize("how", EVERY_FINISH, ids=str)
def test_a_row_of_a_batch_is_finished_as_it_would_be_alone(how):
    terms = [pictures(seed, torch.float32) for seed in range(3)]
    together = finished(*terms, 3.7, LEVELS["vp"], how)
    for row in range(SHAPE[0]):
        alone = finished(*(t[row : row + 1] for t in terms), 3.7, LEVELS["vp"], how)
        assert torch.equal(together[row], alone[0])


def test_a_single_value_has_no_spread_and_is_not_touched():
    one = torch.ones(2, 1)
    assert math.isclose(
        finishing.guided(one, one, one, 3.0, LEVELS["vp"], Finish(0.7, "x0"))[0, 0].item(), 4.0
    )
