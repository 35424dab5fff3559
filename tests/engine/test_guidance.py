"""Guidance as laws: 0 is unconditional, 1 conditional, everything between and beyond affine."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffview.engine import guidance, schedules
from diffview.engine.estimate import Estimate
from diffview.engine.finishing import Finish
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
    shown = estimate.base + asked * estimate.direction
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


def test_without_guidance_there_is_one_call_and_nothing_to_recombine(plain_denoiser):
    denoiser = plain_denoiser()
    estimate = guidance.unguided(denoiser, LABELS)(start(), LEVEL)
    assert denoiser.batches == [2]
    assert estimate.base is None and estimate.direction is None


@pytest.mark.parametrize("rederive", [True, False])
def test_clipping_limits_the_estimate_and_keeps_guidance_unclipped(plain_denoiser, rederive):
    raw = guidance.classifier_free(plain_denoiser(), LABELS, 4.0)
    clipped = guidance.finish(
        raw, Finish(clip="clamp", low=-0.5, high=0.5), rederive_eps=rederive
    )(start(), LEVEL)
    before = raw(start(), LEVEL)
    assert before.x0_hat.abs().max() > 0.5
    assert torch.equal(clipped.x0_hat, before.x0_hat.clamp(-0.5, 0.5))
    assert torch.equal(clipped.base, before.base)
    assert torch.equal(clipped.base + 4.0 * clipped.direction, before.x0_hat)


def test_eps_follows_the_clipped_or_the_raw_estimate_as_chosen():
    x_t = torch.full((1, 1), 2.0, dtype=torch.float64)

    def denoise(x, level):
        return Estimate(torch.full_like(x, 3.0))

    def eps(rederive):
        clipped = guidance.finish(
            denoise, Finish(clip="clamp", low=-1, high=1), rederive_eps=rederive
        )
        return clipped(x_t, LEVEL).eps_hat(x_t, LEVEL).item()

    assert eps(True) == pytest.approx((2 - LEVEL.alpha * 1) / LEVEL.sigma)
    assert eps(False) == pytest.approx((2 - LEVEL.alpha * 3) / LEVEL.sigma)


def test_a_scale_may_depend_on_the_level(plain_denoiser):
    def gamma(level):
        return 2 * level.alpha

    denoise = guidance.classifier_free(plain_denoiser(), LABELS, gamma)
    expected = guided(plain_denoiser(), 2 * LEVEL.alpha)
    assert torch.equal(denoise(start(), LEVEL).x0_hat, expected.x0_hat)


def two_gaussians(x_t, level, mean=0.8, std=0.5):
    """x0_hat of data N(-mean, std^2) for class 0 and N(mean, std^2) for 1, and of their mixture.

    p(x_t) of a class is N(alpha mean, variance), the posterior of the classes a sigmoid.
    """
    variance = level.alpha**2 * std**2 + level.sigma**2
    gain = level.alpha * std**2 / variance
    means = (-mean, mean)
    of_class = [m + gain * (x_t - level.alpha * m) for m in means]
    logits = torch.stack([-((x_t - level.alpha * m) ** 2) / (2 * variance) for m in means], dim=-1)
    weights = logits.softmax(-1)
    mixture = weights[..., 0] * of_class[0] + weights[..., 1] * of_class[1]
    return of_class, mixture, logits


class Mixture:
    """The exact unconditional denoiser of the two, for samples of one value."""

    def __init__(self, schedule, conditional=False):
        self.schedule, self.conditional = schedule, conditional
        self.data_shape, self.device = (1,), torch.device("cpu")
        self.grad_modes, self.conditions = [], []

    def __call__(self, x_t, level, condition):
        self.grad_modes.append(torch.is_grad_enabled())
        self.conditions.append(condition)
        return two_gaussians(x_t, level)[1]

    def null_condition(self, batch):
        return torch.full((batch,), -1) if self.conditional else None


KINDS = [
    schedules.named("linear").level(300),
    schedules.named("cosine").level(800),
    schedules.flow().level(0.5),
    schedules.edm().level(2.0),
]


@pytest.mark.parametrize("level", KINDS, ids=lambda level: f"t={level.t:g}")
def test_an_exact_classifier_at_gamma_one_gives_the_estimate_of_its_class(level):
    # log p(y | x) + log p(x) = log p(x | y) + const, so Tweedie's formula makes them equal.
    x_t = torch.linspace(-2, 2, 6, dtype=torch.float64)[:, None]
    labels = torch.tensor([0, 1] * 3)

    def classifier(x, t):
        assert t.shape == (6,)
        assert (t == level.t).all()
        return two_gaussians(x, level)[2][:, 0]

    denoiser = Mixture(schedules.named("linear"))
    estimate = guidance.classifier_guided(denoiser, labels, classifier, 1.0)(x_t, level)
    of_class = two_gaussians(x_t, level)[0]
    expected = torch.where(labels[:, None] == 0, of_class[0], of_class[1])
    torch.testing.assert_close(estimate.x0_hat, expected, rtol=1e-6, atol=1e-6)
    assert torch.equal(estimate.base, two_gaussians(x_t, level)[1])
    at_three = guidance.classifier_guided(denoiser, labels, classifier, 3.0)(x_t, level)
    recombined = estimate.base + 3.0 * estimate.direction
    torch.testing.assert_close(recombined, at_three.x0_hat)


def test_classifier_guidance_is_the_papers_change_of_eps(plain_denoiser):
    # Algorithm 2: eps - sqrt(1 - alphas_cumprod) s grad log p(y | x_t).
    x_t, level = start(), LEVEL

    def classifier(x, t):
        return torch.stack([x.flatten(1).sum(1), (x**2).flatten(1).sum(1)], dim=1)

    labels = torch.tensor([0, 1])
    estimate = guidance.classifier_guided(plain_denoiser(), labels, classifier, 2.5)(x_t, level)
    plain = Estimate(plain_denoiser()(x_t, level, torch.tensor([-1, -1])))
    x = x_t.clone().requires_grad_()
    logits = classifier(x, None)
    chosen = logits[[0, 1], labels] - logits.logsumexp(1)
    (gradient,) = torch.autograd.grad(chosen.sum(), x)
    expected = plain.eps_hat(x_t, level) - math.sqrt(1 - level.alphas_cumprod) * 2.5 * gradient
    torch.testing.assert_close(estimate.eps_hat(x_t, level), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.enable_grad, torch.inference_mode])
def test_the_classifiers_gradient_leaves_no_mode_and_no_graph_behind(mode):
    level, denoiser = KINDS[0], Mixture(schedules.named("linear"))

    def classifier(x, t):
        assert torch.is_grad_enabled()
        return two_gaussians(x, level)[2][:, 0]

    with mode():
        before = torch.is_grad_enabled()
        x_t = torch.linspace(-1, 1, 4, dtype=torch.float64)[:, None]
        labels = torch.tensor([0, 1, 0, 1])
        estimate = guidance.classifier_guided(denoiser, labels, classifier, 2.0)(x_t, level)
        assert torch.is_grad_enabled() is before
        assert denoiser.grad_modes == [before]
        assert not estimate.direction.requires_grad
        assert not x_t.requires_grad


def test_a_classifier_guides_the_model_without_condition_where_it_can_do_without():
    level, labels = KINDS[0], torch.tensor([1, 0])
    x_t = torch.zeros(2, 1, dtype=torch.float64)
    for conditional, asked in [(True, [-1, -1]), (False, [1, 0])]:
        denoiser = Mixture(schedules.named("linear"), conditional)
        guidance.classifier_guided(
            denoiser, labels, lambda x, t: two_gaussians(x, level)[2][:, 0], 1.0
        )(x_t, level)
        assert denoiser.conditions[0].tolist() == asked


def test_a_clean_classifier_is_asked_about_the_estimate_and_bounded_where_all_is_noise(
    plain_denoiser,
):
    # A linear classifier: grad log p(y | x0) = w_y - sum p w, whatever the noise.
    weights = torch.linspace(-1, 1, 27, dtype=torch.float64).reshape(3, 9)

    class Clean:
        clean = True

        def __call__(self, x, t):
            return x.flatten(1) @ weights.T

    labels = torch.tensor([0, 2])
    for t in (0, 500, 999):
        level = schedules.named("cosine").level(t)
        estimate = guidance.classifier_guided(plain_denoiser(), labels, Clean(), 2.0)(
            start(), level
        )
        base = plain_denoiser()(start(), level, torch.tensor([-1, -1]))
        p = (base.flatten(1) @ weights.T).softmax(-1)
        uphill = (weights[labels] - p @ weights).reshape(2, 1, 3, 3)
        # alpha^2 + sigma^2 = 1, so Cov[x_0 | x_t] of unit data is sigma^2
        torch.testing.assert_close(estimate.direction, level.sigma**2 * uphill)


def test_a_classifier_is_refused_where_there_is_no_signal():
    denoise = guidance.classifier_guided(
        Mixture(schedules.flow()), torch.tensor([0]), lambda x, t: x, 1.0
    )
    with pytest.raises(InputError, match="cannot guide at alpha = 0"):
        denoise(torch.zeros(1, 1), schedules.flow().level(1.0))


def test_autoguidance_leads_from_the_weak_model_to_the_model_and_beyond(plain_denoiser):
    class Weak(plain_denoiser):
        def __call__(self, x_t, level, condition):
            return 0.5 * super().__call__(x_t, level, condition)

    strong, weak = plain_denoiser(), Weak()
    alone = plain_denoiser()(start(), LEVEL, LABELS)
    for gamma in (0.0, 1.0, 2.5):
        estimate = guidance.autoguided(strong, weak, LABELS, gamma)(start(), LEVEL)
        # edm2's generate_images: ref.lerp(D, guidance).
        expected = (0.5 * alone).lerp(alone, gamma)
        torch.testing.assert_close(estimate.x0_hat, expected, rtol=0, atol=1e-14)
        assert torch.equal(estimate.base, 0.5 * alone)


@pytest.mark.parametrize(
    "change", [{"data_shape": (1, 2, 2)}, {"schedule": schedules.named("cosine")}]
)
def test_a_weak_model_of_other_samples_or_another_schedule_is_refused(plain_denoiser, change):
    with pytest.raises(InputError, match=r"samples and the schedule.*\(1, 3, 3\) on 'linear'"):
        guidance.autoguided(plain_denoiser(), plain_denoiser(**change), LABELS, 2.0)


def learning(plain_denoiser):
    class Learned(plain_denoiser):
        learned_variance = True

        def with_variance(self, x_t, level, condition):
            x0_hat = self(x_t, level, condition)
            return x0_hat, 0 * x0_hat + condition.view(-1, 1, 1, 1)

    return Learned()


def test_a_learned_variance_comes_along_and_with_guidance_it_is_the_conditional_one(
    plain_denoiser,
):
    denoiser = learning(plain_denoiser)
    for denoise in (
        guidance.unguided(denoiser, LABELS),
        guidance.classifier_free(denoiser, LABELS, 3.0),
        guidance.autoguided(denoiser, plain_denoiser(), LABELS, 3.0),
    ):
        mix = denoise(start(), LEVEL).variance_mix
        assert mix.flatten(1).unique(dim=1).tolist() == [[2], [5]]
    assert guidance.unguided(plain_denoiser(), LABELS)(start(), LEVEL).variance_mix is None


@pytest.mark.parametrize("rederive", [True, False])
def test_eps_before_clipping_is_that_of_the_rescaled_estimate(plain_denoiser, rederive):
    raw = guidance.classifier_free(plain_denoiser(), LABELS, 6.0)
    rescale, both = Finish(rescale=0.7), Finish(rescale=0.7, clip="threshold")
    before = guidance.finish(raw, rescale, rederive_eps=rederive)(start(), LEVEL)
    after = guidance.finish(raw, both, rederive_eps=rederive)(start(), LEVEL)
    assert not torch.equal(before.x0_hat, raw(start(), LEVEL).x0_hat)
    assert before.x0_raw is None
    assert (after.x0_raw is None) is rederive
    eps = (before if not rederive else Estimate(after.x0_hat)).eps_hat(start(), LEVEL)
    assert torch.equal(after.eps_hat(start(), LEVEL), eps)
