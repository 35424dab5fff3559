"""Guidance as laws: 0 is unconditional, 1 conditional, everything between and beyond affine."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffview.engine import guidance, schedules
from diffview.engine.estimate import Estimate
from diffview.errors import InputError

LEVEL = schedules.named("linear").level(500)
LABELS = torch.tensor([2, 5])


def start():
    generator = torch.Generator().manual_seed(3)
    return torch.randn(2, 1, 3, 3, generator=generator, dtype=torch.float64)


def guided(denoiser, scale):
    return guidance.classifier_free(denoiser, LABELS, scale)(start(), LEVEL)


def test_scale_zero_is_the_unconditional_estimate(plain_denoiser):
    alone = plain_denoiser()(start(), LEVEL, torch.tensor([-1, -1]))
    assert torch.equal(guided(plain_denoiser(), 0.0).x0_hat, alone)


def test_scale_one_is_the_conditional_estimate(plain_denoiser):
    alone = plain_denoiser()(start(), LEVEL, LABELS)
    torch.testing.assert_close(guided(plain_denoiser(), 1.0).x0_hat, alone, rtol=0, atol=1e-15)


def test_base_is_the_unconditional_branch_and_direction_leads_to_the_conditional_one(
    plain_denoiser,
):
    estimate = guided(plain_denoiser(), 3.0)
    unconditional = plain_denoiser()(start(), LEVEL, torch.tensor([-1, -1]))
    conditional = plain_denoiser()(start(), LEVEL, LABELS)
    assert torch.equal(estimate.base, unconditional)
    torch.testing.assert_close(estimate.direction, conditional - unconditional)


@given(a=st.floats(-20, 20), b=st.floats(-20, 20), part=st.floats(0, 1))
def test_the_estimate_is_affine_in_the_scale(plain_denoiser, a, b, part):
    mixed = part * a + (1 - part) * b
    ends = (
        part * guided(plain_denoiser(), a).x0_hat + (1 - part) * guided(plain_denoiser(), b).x0_hat
    )
    torch.testing.assert_close(guided(plain_denoiser(), mixed).x0_hat, ends, rtol=0, atol=1e-12)


@given(recorded=st.floats(-20, 20), asked=st.floats(-20, 20))
def test_the_slider_needs_no_network_to_show_what_another_scale_would_have_given(
    plain_denoiser, recorded, asked
):
    denoiser = plain_denoiser()
    estimate = guided(denoiser, recorded)
    calls = denoiser.calls
    shown = estimate.at(asked)
    assert denoiser.calls == calls
    assert torch.equal(shown, guided(plain_denoiser(), asked).x0_hat)


def test_both_branches_go_through_the_network_as_one_batch(plain_denoiser):
    denoiser = plain_denoiser()
    guided(denoiser, 2.0)
    assert denoiser.batches == [4]


def test_what_a_guided_estimate_keeps_holds_no_hidden_memory(plain_denoiser):
    # A half of the doubled batch would keep the other half alive for as long as it is recorded.
    estimate = guided(plain_denoiser(), 2.0)
    for tensor in (estimate.x0_hat, estimate.base, estimate.direction):
        assert tensor.untyped_storage().nbytes() == tensor.nbytes


def test_a_model_without_a_null_condition_cannot_be_guided_this_way(plain_denoiser):
    with pytest.raises(InputError, match="no 'no condition' input"):
        guidance.classifier_free(plain_denoiser(null=None), LABELS, 2.0)


def test_without_guidance_there_is_one_call_and_any_scale_gives_the_same(plain_denoiser):
    denoiser = plain_denoiser()
    estimate = guidance.unguided(denoiser, LABELS)(start(), LEVEL)
    assert denoiser.batches == [2]
    assert estimate.base is None
    assert torch.equal(estimate.at(7.0), estimate.x0_hat)


@pytest.mark.parametrize("rederive", [True, False])
def test_clipping_limits_the_estimate_and_keeps_guidance_unclipped(plain_denoiser, rederive):
    raw = guidance.classifier_free(plain_denoiser(), LABELS, 4.0)
    clipped = guidance.clamped(raw, -0.5, 0.5, rederive_eps=rederive)(start(), LEVEL)
    before = raw(start(), LEVEL)
    assert before.x0_hat.abs().max() > 0.5
    assert torch.equal(clipped.x0_hat, before.x0_hat.clamp(-0.5, 0.5))
    assert torch.equal(clipped.base, before.base)
    assert torch.equal(clipped.at(4.0), before.x0_hat)


def test_eps_follows_the_clipped_or_the_raw_estimate_as_chosen():
    x_t = torch.full((1, 1), 2.0, dtype=torch.float64)

    def denoise(x, level):
        return Estimate(torch.full_like(x, 3.0))

    def eps(rederive):
        clipped = guidance.clamped(denoise, -1, 1, rederive_eps=rederive)
        return clipped(x_t, LEVEL).eps_hat(x_t, LEVEL).item()

    assert eps(True) == pytest.approx((2 - LEVEL.alpha * 1) / LEVEL.sigma)
    assert eps(False) == pytest.approx((2 - LEVEL.alpha * 3) / LEVEL.sigma)
