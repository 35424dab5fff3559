"""Guidance wraps a denoiser: condition and scale go in, a `Denoise` comes out.

Classifier-free (Ho & Salimans 2022, arXiv 2207.12598) in the form of Imagen and of the lecture,
    x0_hat = x0_hat_u + gamma (x0_hat_c - x0_hat_u),
gamma = 0 unconditional, 1 conditional, above 1 guided; the paper's own weight is w = gamma - 1.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from diffview.engine.denoiser import Denoiser
from diffview.engine.estimate import Denoise, Estimate
from diffview.engine.levels import NoiseLevel
from diffview.errors import InputError


def unguided(denoiser: Denoiser, condition: Tensor | None) -> Denoise:
    """The denoiser under its condition and nothing else."""

    def denoise(x_t: Tensor, level: NoiseLevel) -> Estimate:
        return Estimate(denoiser(x_t, level, condition))

    return denoise


def classifier_free(denoiser: Denoiser, condition: Tensor, scale: float) -> Denoise:
    """Both branches in one batch of 2B; base = unconditional, direction = cond - uncond."""
    null = denoiser.null_condition(len(condition))
    if null is None:
        raise InputError("this model has no 'no condition' input, so it cannot be guided this way")
    both = torch.cat([null, condition])

    def denoise(x_t: Tensor, level: NoiseLevel) -> Estimate:
        base, conditional = denoiser(torch.cat([x_t, x_t]), level, both).chunk(2)
        direction = conditional - base
        # A copy: a half of the doubled batch would keep the other half alive while it is recorded.
        return Estimate(base + scale * direction, base.clone(), direction)

    return denoise


def clamped(denoise: Denoise, low: float, high: float, *, rederive_eps: bool) -> Denoise:
    """x0_hat clipped to low .. high; eps follows the clipped estimate if `rederive_eps`.

    Guided-diffusion derives eps anew after clipping, diffusers by default does not.
    """

    def clipped(x_t: Tensor, level: NoiseLevel) -> Estimate:
        estimate = denoise(x_t, level)
        raw = None if rederive_eps else estimate.x0_hat
        return replace(estimate, x0_hat=estimate.x0_hat.clamp(low, high), x0_raw=raw)

    return clipped
