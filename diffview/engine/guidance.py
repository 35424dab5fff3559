"""Guidance wraps a denoiser: condition and scale go in, a `Denoise` comes out.

Every kind is x0_hat = base + gamma * direction:
classifier-free  x0_hat_u + gamma (x0_hat_c - x0_hat_u): 0 unconditional, 1 conditional, above 1
                 guided; the paper's own weight is w = gamma - 1 (Ho & Salimans 2022, arXiv
                 2207.12598, eq. 6, in the form of Imagen)
classifier       x0_hat + gamma (sigma^2 / alpha) grad log p(y | x_t), which is the paper's eps -
                 sigma gamma grad log p (Dhariwal & Nichol 2021, arXiv 2105.05233, algorithm 2);
                 of a classifier of clean pictures p(y | x0_hat) takes its place (Bansal et al.
                 2023, arXiv 2302.07121, eq. 6). By the chain rule and Tweedie's formula the term
                 is then gamma Cov[x_0 | x_t] grad log p(y | x0_hat), with sigma^2 / (sigma^2 +
                 alpha^2) for Cov, that of data of unit variance (Song et al. 2023, PiGDM, section
                 3.2): it stays small where there is nothing but noise
autoguidance     x0_hat_weak + gamma (x0_hat - x0_hat_weak), a worse model of the same condition
                 (Karras et al. 2024, arXiv 2406.02507, eq. 2)
Both terms are evaluated at every level, also where an interval or a curve takes guidance out: what
is recorded says what guidance would have done there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor

from diffview.engine import finishing
from diffview.engine.denoiser import Denoiser, LearnsVariance
from diffview.engine.estimate import Denoise, Estimate
from diffview.engine.finishing import Finish
from diffview.engine.levels import NoiseLevel
from diffview.errors import InputError

Scale = float | Callable[[NoiseLevel], float]
"""gamma, or what it is at each level."""

Classifier = Callable[[Tensor, Tensor], Tensor]
"""x_t (B, *D), t (B,) -> logits (B, K); one with a true `clean` is given x0_hat as x_t."""


def unguided(denoiser: Denoiser, condition: Tensor | None) -> Denoise:
    """The denoiser under its condition and nothing else."""

    def denoise(x_t: Tensor, level: NoiseLevel) -> Estimate:
        x0_hat, mix = _ask(denoiser, x_t, level, condition)
        return Estimate(x0_hat, variance_mix=mix)

    return denoise


def classifier_free(
    denoiser: Denoiser, condition: Tensor, scale: Scale, negative: Tensor | None = None
) -> Denoise:
    """Both branches in one batch of 2B; base = unconditional, direction = cond - uncond.

    negative (B, ...), the condition to steer away from, takes the place of none at all.

    A learned variance is that of the conditional branch, as in DiT's code.
    """
    null = denoiser.null_condition(len(condition)) if negative is None else negative
    if null is None:
        raise InputError("this model has no 'no condition' input, so it cannot be guided this way")
    both = torch.cat([null, condition])

    def denoise(x_t: Tensor, level: NoiseLevel) -> Estimate:
        out, mix = _ask(denoiser, torch.cat([x_t, x_t]), level, both)
        base, conditional = out.chunk(2)
        # A copy: a half of the doubled batch would keep the other half alive while it is recorded.
        estimate = _affine(base.clone(), conditional - base, scale, level)
        return estimate if mix is None else replace(estimate, variance_mix=mix.chunk(2)[1])

    return denoise


def classifier_guided(
    denoiser: Denoiser, condition: Tensor, classifier: Classifier, scale: Scale
) -> Denoise:
    """base = the model without condition where it can do without, else under it.

    condition (B,) are the classes to steer to; the classifier is given x_t, or x0_hat, and t.
    """
    clean = bool(getattr(classifier, "clean", False))
    null = denoiser.null_condition(len(condition))
    asked = condition if null is None else null

    def denoise(x_t: Tensor, level: NoiseLevel) -> Estimate:
        if level.alpha == 0 and not clean:
            raise InputError(
                "a classifier cannot guide at alpha = 0: pure noise tells it nothing; choose a "
                "spacing that starts below, such as karras"
            )
        base, mix = _ask(denoiser, x_t, level, asked)
        asked_at = base if clean else x_t
        uphill = log_probability_gradient(classifier, asked_at, level, condition)
        spread = level.sigma**2 + level.alpha**2 if clean else level.alpha
        direction = level.sigma**2 / spread * uphill
        return replace(_affine(base, direction, scale, level), variance_mix=mix)

    return denoise


def autoguided(
    denoiser: Denoiser, weak: Denoiser, condition: Tensor | None, scale: Scale
) -> Denoise:
    """base = the weak model under the same condition, direction = the model minus it."""
    if tuple(weak.data_shape) != tuple(denoiser.data_shape) or weak.schedule != denoiser.schedule:
        raise InputError(
            "the weaker model must have the samples and the schedule of the model it guides: "
            f"{tuple(denoiser.data_shape)} on '{denoiser.schedule.name}'"
        )

    def denoise(x_t: Tensor, level: NoiseLevel) -> Estimate:
        strong, mix = _ask(denoiser, x_t, level, condition)
        base, _ = _ask(weak, x_t, level, condition)
        return replace(_affine(base, strong - base, scale, level), variance_mix=mix)

    return denoise


def finish(denoise: Denoise, how: Finish, *, rederive_eps: bool) -> Denoise:
    """The estimate rescaled and clipped; eps follows the clipped estimate if `rederive_eps`.

    Guided-diffusion derives eps anew after clipping, diffusers by default does not.
    """

    def finishing_denoise(x_t: Tensor, level: NoiseLevel) -> Estimate:
        estimate = denoise(x_t, level)
        x0 = _rescaled(estimate, x_t, level, how)
        raw = None if rederive_eps or how.clip == "none" else x0
        return replace(estimate, x0_hat=finishing.clipped(x0, how), x0_raw=raw)

    return finishing_denoise


def log_probability_gradient(
    classifier: Classifier, x_t: Tensor, level: NoiseLevel, labels: Tensor
) -> Tensor:
    """grad log p(y | x_t) (B, *D) by x_t, at labels (B,); gradient mode is left as it was."""
    with torch.inference_mode(False), torch.enable_grad():
        # Copies: what a caller made in inference mode could enter no graph.
        x, chosen = x_t.detach().clone().requires_grad_(), labels.clone()[:, None]
        t = torch.full((len(x_t),), level.t, device=x_t.device)
        log_p = classifier(x, t).log_softmax(-1)
        # Rows do not meet in a classifier, so the gradient of the sum is each row's own.
        (gradient,) = torch.autograd.grad(log_p.gather(1, chosen).sum(), x)
    return gradient


def _affine(base: Tensor, direction: Tensor, scale: Scale, level: NoiseLevel) -> Estimate:
    gamma = scale(level) if callable(scale) else scale
    return Estimate(base + gamma * direction, base, direction)


def _rescaled(estimate: Estimate, x_t: Tensor, level: NoiseLevel, how: Finish) -> Tensor:
    base, direction = estimate.base, estimate.direction
    if how.rescale == 0 or base is None or direction is None:
        return estimate.x0_hat
    conditional = base + direction
    phi, space = how.rescale, how.rescale_space
    x0: Tensor = finishing.rescaled(x_t, estimate.x0_hat, conditional, level, phi, space)
    return x0


def _ask(
    denoiser: Denoiser, x_t: Tensor, level: NoiseLevel, condition: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """x0_hat and, where the network learned it, the mix of its variance."""
    if getattr(denoiser, "learned_variance", False):
        return cast(LearnsVariance, denoiser).with_variance(x_t, level, condition)
    return denoiser(x_t, level, condition), None
