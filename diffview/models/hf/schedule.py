"""A scheduler's configuration read for its facts: noise schedule, prediction, how it is sampled.

The scheduler itself is never built. Its numbers become one of our schedules, its class chooses
one of our samplers; where we have none of its kind, or it holds something unusual, a note says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from diffview.engine import schedules
from diffview.engine.options import Value
from diffview.engine.schedules import Schedule
from diffview.errors import InputError
from diffview.models.hf.folder import Part

SAMPLERS = {
    "DDPMScheduler": "ddpm",
    "DDIMScheduler": "ddim",
    "EulerDiscreteScheduler": "euler",
    "EulerAncestralDiscreteScheduler": "euler_ancestral",
    "HeunDiscreteScheduler": "heun",
    "LMSDiscreteScheduler": "lms",
    "DPMSolverMultistepScheduler": "dpmpp_2m",
    "UniPCMultistepScheduler": "unipc",
    "FlowMatchEulerDiscreteScheduler": "flow_euler",
    "FlowMatchHeunDiscreteScheduler": "flow_heun",
    "PNDMScheduler": "",
    "DEISMultistepScheduler": "",
    "DPMSolverSinglestepScheduler": "",
    "KDPM2DiscreteScheduler": "",
    "KDPM2AncestralDiscreteScheduler": "",
    "LCMScheduler": "",
}
"""The schedulers whose configurations are understood -> our sampler of their kind, if any."""

PREDICTIONS = {
    "epsilon": "eps",
    "sample": "x0",
    "v_prediction": "v",
    "flow_prediction": "flow",
}

BETAS = {
    "linear": "linear",
    "scaled_linear": "scaled_linear",
    "squaredcos_cap_v2": "cosine",
    "sigmoid": "sigmoid_beta",
}
"""Their names -> ours, for the usual end points."""

CLIPS = ("DDPMScheduler", "DDIMScheduler")
"""Clip the estimate unless told not to."""

SPACINGS = {"DDPMScheduler": "leading", "DDIMScheduler": "leading", "PNDMScheduler": "leading"}
"""Where the configuration is silent; elsewhere linspace."""


@dataclass(frozen=True)
class Sampling:
    """What a scheduler's configuration says, in our words."""

    schedule: Schedule
    prediction: str
    sampler: str
    spacing: str
    options: dict[str, Value] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read(part: Part, *, latent: bool, tokens: int = 0, flow_spacing: str = "linspace") -> Sampling:
    """The facts of the scheduler `part`. Raises InputError for what is not understood.

    latent: its samples are latents, which are never clipped. tokens: how many a flow's
    transformer sees, for a shift that depends on it. flow_spacing: the row of times that the
    pipeline hands to a flow's scheduler; its own is linspace.
    """
    if part.cls not in SAMPLERS:
        raise InputError(
            f"{part.path}: scheduler {part.cls} is not known here; known are {', '.join(SAMPLERS)}"
        )
    if part.cls.startswith("FlowMatch"):
        return _flow(part, tokens, flow_spacing)
    config = part.config
    prediction = _prediction(part)
    if prediction == "flow":
        return _flow(part, tokens, flow_spacing)
    sampler, notes = SAMPLERS[part.cls], _notes(part)
    if not sampler:
        notes.append(f"{part.cls} has no counterpart here: DDIM is offered on its noise schedule")
    if config.get("algorithm_type", "").startswith("sde"):
        sampler = "dpmpp_2m_sde"
    options: dict[str, Value] = {}
    if config.get("steps_offset", 0):
        options["steps_offset"] = _whole(part, "steps_offset", 0)
    if not latent:
        options |= _clipping(part, notes)
    return Sampling(
        _vp(part), prediction, sampler or "ddim", _spacing(part), options, tuple(notes)
    )


def _prediction(part: Part) -> str:
    stated = part.config.get("prediction_type", "epsilon")
    if stated not in PREDICTIONS:
        raise InputError(
            f"{part.path}: prediction_type {stated!r} is not known; known are "
            f"{', '.join(PREDICTIONS)}"
        )
    return PREDICTIONS[stated]


def _vp(part: Part) -> Schedule:
    config, T = part.config, _whole(part, "num_train_timesteps", 1000)
    zero_snr = bool(config.get("rescale_betas_zero_snr", False))
    if config.get("trained_betas") is not None:
        return schedules.given(betas=config["trained_betas"], name="trained")
    name = config.get("beta_schedule", "linear")
    if name not in BETAS:
        raise InputError(
            f"{part.path}: beta_schedule {name!r} is not known; known are {', '.join(BETAS)}"
        )
    start, end = _number(part, "beta_start", 1e-4), _number(part, "beta_end", 0.02)
    if not 0 < start <= end < 1 or not 1 <= T <= schedules.MAX_TIMES:
        raise InputError(
            f"{part.path}: beta_start {start:g}, beta_end {end:g}, T {T} are no betas"
        )
    if name == "squaredcos_cap_v2":
        return schedules.named("cosine", T, zero_snr=zero_snr)
    usual = schedules.named(BETAS[name], T, zero_snr=zero_snr)
    acp = np.cumprod(1 - _betas(name, start, end, T))
    if zero_snr:
        acp = _without_signal(acp)
    found = schedules.given(alphas_cumprod=acp, name=f"{BETAS[name]} {start:g} to {end:g}")
    same = np.allclose(_table(usual), acp, rtol=1e-12, atol=0)
    return usual if same else found


def _table(schedule: Schedule) -> Any:
    return np.array([schedule.level(t).alphas_cumprod for t in range(schedule.T)])


def _betas(name: str, start: float, end: float, T: int) -> Any:
    if name == "linear":
        return np.linspace(start, end, T)
    if name == "scaled_linear":
        return np.linspace(start**0.5, end**0.5, T) ** 2
    return (end - start) / (1 + np.exp(-np.linspace(-6, 6, T))) + start


def _without_signal(acp: Any) -> Any:
    """Lin et al. 2023, arXiv 2305.08891, algorithm 1."""
    s = np.sqrt(acp)
    return ((s - s[-1]) * s[0] / (s[0] - s[-1])) ** 2


def _flow(part: Part, tokens: int, spacing: str) -> Sampling:
    config, notes = part.config, []
    shift = _number(part, "shift", 1.0)
    if config.get("use_dynamic_shifting"):
        shift = _dynamic_shift(part, tokens)
        notes.append(f"the shift of its times, {shift:.3f}, is that of {tokens} tokens")
    for key in ("shift_terminal", "invert_sigmas", "use_karras_sigmas", "use_beta_sigmas"):
        if config.get(key):
            notes.append(f"{key} is set and is not reproduced")
    sampler = SAMPLERS[part.cls] if part.cls.startswith("FlowMatch") else "flow_euler"
    return Sampling(schedules.flow(shift), "flow", sampler, spacing, {}, tuple(notes))


def _dynamic_shift(part: Part, tokens: int) -> float:
    """exp(mu), mu linear in the number of tokens (Esser et al. 2024, arXiv 2403.03206)."""
    low, high = _number(part, "base_image_seq_len", 256), _number(part, "max_image_seq_len", 4096)
    least, most = _number(part, "base_shift", 0.5), _number(part, "max_shift", 1.15)
    if high <= low:
        raise InputError(f"{part.path}: max_image_seq_len {high:g} is not above {low:g}")
    mu = least + (tokens - low) * (most - least) / (high - low)
    linear = part.config.get("time_shift_type") == "linear"
    return float(mu if linear else np.exp(mu))


def _spacing(part: Part) -> str:
    config = part.config
    if config.get("use_karras_sigmas"):
        return "karras"
    if config.get("use_exponential_sigmas"):
        return "exponential"
    stated = config.get("timestep_spacing", SPACINGS.get(part.cls, "linspace"))
    if stated not in ("leading", "linspace", "trailing"):
        raise InputError(f"{part.path}: timestep_spacing {stated!r} is not known")
    return str(stated)


def _clipping(part: Part, notes: list[str]) -> dict[str, Value]:
    config = part.config
    if config.get("thresholding"):
        return {
            "clip": "threshold",
            "threshold": _number(part, "dynamic_thresholding_ratio", 0.995),
            "rederive_eps": False,
        }
    if not config.get("clip_sample", part.cls in CLIPS):
        return {}
    if _number(part, "clip_sample_range", 1.0) != 1.0:
        notes.append("clip_sample_range is not 1 and is not reproduced")
        return {}
    return {"clip": "clamp", "rederive_eps": False}


def _notes(part: Part) -> list[str]:
    config, notes = part.config, []
    if config.get("rescale_betas_zero_snr"):
        notes.append("its last time has no signal at all (zero terminal SNR)")
    if config.get("set_alpha_to_one") is False:
        notes.append(
            "set_alpha_to_one is off: diffusers' DDIM ends at t = 0 with its noise; "
            "compat=diffusers with set_alpha_to_one=false does the same"
        )
    if config.get("trained_betas") is not None:
        notes.append("its betas are given one by one")
    return notes


def _number(part: Part, key: str, default: float) -> float:
    value = part.config.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{part.path}: {key} = {value!r} is not a number")
    return float(value)


def _whole(part: Part, key: str, default: int) -> int:
    number = _number(part, key, default)
    if not number.is_integer() or number < 0:
        raise InputError(f"{part.path}: {key} = {number:g} is not a whole number")
    return int(number)
