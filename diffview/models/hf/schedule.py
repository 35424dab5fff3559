"""A scheduler's configuration read for its facts: noise schedule, prediction, how it is sampled.

The scheduler itself is never built. Its numbers become one of our schedules, its class chooses
one of our samplers; where we have none of its kind, or it holds something unusual, a note says so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from diffview.engine import schedules
from diffview.engine.options import CLIP_RANGE, THRESHOLD, Option, Value
from diffview.engine.schedules import Schedule
from diffview.errors import InputError
from diffview.models.hf.folder import INDEX, Part

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

CLIPS = {
    "DDPMScheduler": True,
    "DDIMScheduler": True,
    "HeunDiscreteScheduler": False,
    "LCMScheduler": False,
}
"""The schedulers that can clip the estimate -> whether they do where the configuration is silent;
the others do not look at clip_sample."""

THRESHOLDS = (
    "DDPMScheduler",
    "DDIMScheduler",
    "DPMSolverMultistepScheduler",
    "UniPCMultistepScheduler",
    "DEISMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "LCMScheduler",
)
"""The schedulers that know thresholding, which goes before clip_sample."""

SPACINGS = dict.fromkeys(
    ("DDPMScheduler", "DDIMScheduler", "PNDMScheduler", "LCMScheduler"), "leading"
)
"""Where the configuration is silent; elsewhere linspace."""

SCHEDULES = {"LCMScheduler": "scaled_linear"}
"""Where the configuration is silent; elsewhere linear."""

ENDS = dict.fromkeys(
    ("HeunDiscreteScheduler", "KDPM2DiscreteScheduler", "KDPM2AncestralDiscreteScheduler",
     "LCMScheduler"), (0.00085, 0.012),
)  # fmt: skip
"""The first and the last beta where the configuration is silent; elsewhere 0.0001 and 0.02."""

LARGE_VARIANCE = ("fixed_large", "fixed_large_log")

USUAL: Mapping[str, tuple[Any, ...]] = {
    "algorithm_type": ("dpmsolver++", "sde-dpmsolver++", "deis"),
    "solver_order": (2,),
    "solver_type": ("midpoint", "bh2", "logrho"),
    "lower_order_final": (True,),
    "euler_at_final": (False,),
    "final_sigmas_type": ("zero",),
    "use_lu_lambdas": (False,),
    "use_beta_sigmas": (False,),
    "predict_x0": (True,),
    "disable_corrector": ([],),
    "solver_p": (),
    "sigma_min": (),
    "sigma_max": (),
    "interpolation_type": ("linear",),
    "timestep_type": ("discrete",),
    "stochastic_sampling": (False,),
    "shift_terminal": (),
    "invert_sigmas": (False,),
}
"""Settings that we do not read -> the values under which diffusers does what we do."""

FREE_S = 1e6
"""A bound of thresholding's divisor that no picture reaches: as if there were none."""

MOST_MU = 20.0
"""A shift of e^20 would leave no time but that of pure noise."""

LARGEST = 1e9
"""No number of a scheduler is larger; NaN and infinity are none."""


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
            f"{part.source}: scheduler {part.cls} is not known here; known are "
            f"{', '.join(SAMPLERS)}"
        )
    _check_kind(part)
    if part.cls.startswith("FlowMatch"):
        return _flow(part, tokens, flow_spacing)
    config = part.config
    prediction = _prediction(part)
    if prediction == "flow":
        return _flow(part, tokens, flow_spacing)
    sampler, notes = SAMPLERS[part.cls], _notes(part, latent)
    if not sampler:
        notes.append(f"{part.cls} has no counterpart here: DDIM is offered on its noise schedule")
    if config.get("algorithm_type") == "sde-dpmsolver++":
        sampler = "dpmpp_2m_sde"
    options: dict[str, Value] = {}
    if config.get("steps_offset", 0):
        options["steps_offset"] = _whole(part, "steps_offset", 0)
    if part.cls == "DDPMScheduler" and config.get("variance_type") in LARGE_VARIANCE:
        options["variance"] = "large"
    if not latent:
        options |= _clipping(part)
    return Sampling(
        _vp(part), prediction, sampler or "ddim", _spacing(part), options, tuple(notes)
    )


def _stated(part: Part) -> str:
    """The class that its own file says."""
    return str(part.config.get("_class_name") or part.cls)


def _check_kind(part: Part) -> None:
    """Raise InputError where the index and the file name schedulers of different kinds of noise:
    the settings of one mean nothing to the other."""
    stated, kinds = _stated(part), ("FlowMatch", "EDM")
    if any(stated.startswith(kind) != part.cls.startswith(kind) for kind in kinds):
        raise InputError(
            f"{part.source} is of a {stated}, {INDEX} says {part.cls}: these have no settings in "
            "common, so its noise is not known; write the right class into both, or fetch the "
            "model again"
        )


def _class_note(part: Part) -> list[str]:
    """Schedulers of one kind take each other's files, as diffusers has it."""
    stated = _stated(part)
    if stated == part.cls:
        return []
    return [
        f"{part.source.name} is of a {stated}, {INDEX} says {part.cls}: its noise is read as the "
        "file has it, its sampler is that of the index, as diffusers does"
    ]


def _prediction(part: Part) -> str:
    return PREDICTIONS[_one_of(part, "prediction_type", PREDICTIONS, "epsilon")]


def _vp(part: Part) -> Schedule:
    config, T = part.config, _whole(part, "num_train_timesteps", 1000)
    zero_snr = _flag(part, "rescale_betas_zero_snr")
    if config.get("trained_betas") is not None:
        return _trained(part)
    usual_ends = ENDS.get(part.cls, (1e-4, 0.02))
    name = _one_of(part, "beta_schedule", BETAS, SCHEDULES.get(part.cls, "linear"))
    start, end = (
        _number(part, key, default)
        for key, default in zip(("beta_start", "beta_end"), usual_ends, strict=True)
    )
    if not 0 < start <= end < 1 or not 1 <= T <= schedules.MAX_TIMES:
        raise InputError(
            f"{part.source}: beta_start {start:g}, beta_end {end:g}, T {T} are no betas"
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


def _trained(part: Part) -> Schedule:
    betas = part.config["trained_betas"]
    numbers = isinstance(betas, list) and all(type(beta) in (int, float) for beta in betas)
    if not numbers or not 1 <= len(betas) <= schedules.MAX_TIMES:
        raise InputError(f"{part.source}: trained_betas are no row of numbers")
    try:
        return schedules.given(betas=betas, name="trained")
    except InputError as error:
        raise InputError(f"{part.source}: trained_betas: {error}") from None


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
    notes = [*_class_note(part), *_unlike(part)]
    if part.cls.startswith("FlowMatch"):
        sampler, shift = SAMPLERS[part.cls], _number(part, "shift", 1.0)
    else:  # a solver of the diffusion ODE that was told to take a flow's times
        sampler, shift, spacing = "flow_euler", _number(part, "flow_shift", 1.0), "trailing"
        notes.append(f"{part.cls} has no counterpart for flows here: Euler is offered")
    if _flag(part, "use_dynamic_shifting"):
        shift = _dynamic_shift(part, tokens)
        notes.append(f"the shift of its times, {shift:.3f}, is that of {tokens} tokens")
    for key in ("use_karras_sigmas", "use_exponential_sigmas"):
        if _flag(part, key):
            notes.append(f"{key} is set and is not reproduced for flows")
    if shift <= 0:
        raise InputError(f"{part.source}: the shift of its times, {shift:g}, is not above 0")
    options: dict[str, Value] = {}
    if _shifts_twice(part, shift, spacing):
        options["compat"] = "diffusers"
        notes.append(
            f"diffusers shifts its last time by {shift:g} before it shifts all, and so does this "
            "model by default (compat=diffusers); compat=none shifts once"
        )
    return Sampling(schedules.flow(shift), "flow", sampler, spacing, options, tuple(notes))


def _shifts_twice(part: Part, shift: float, spacing: str) -> bool:
    """Whether the scheduler makes the row of times itself, from ends that were shifted already."""
    own = part.cls.startswith("FlowMatch") and spacing == "linspace"
    return own and shift != 1 and not _flag(part, "use_dynamic_shifting")


def _dynamic_shift(part: Part, tokens: int) -> float:
    """exp(mu), mu linear in the number of tokens (Esser et al. 2024, arXiv 2403.03206)."""
    low, high = _number(part, "base_image_seq_len", 256), _number(part, "max_image_seq_len", 4096)
    least, most = _number(part, "base_shift", 0.5), _number(part, "max_shift", 1.15)
    if high <= low:
        raise InputError(f"{part.source}: max_image_seq_len {high:g} is not above {low:g}")
    mu = least + (tokens - low) * (most - least) / (high - low)
    kind = _one_of(part, "time_shift_type", ("exponential", "linear"), "exponential")
    if not abs(mu) < MOST_MU:
        raise InputError(f"{part.source}: the shift of its times is of size {mu:g}")
    return float(mu if kind == "linear" else np.exp(mu))


def _spacing(part: Part) -> str:
    if _flag(part, "use_karras_sigmas"):
        return "karras"
    if _flag(part, "use_exponential_sigmas"):
        return "exponential"
    known = ("leading", "linspace", "trailing")
    return _one_of(part, "timestep_spacing", known, SPACINGS.get(part.cls, "linspace"))


def _clipping(part: Part) -> dict[str, Value]:
    """How x0_hat is limited. Their DDIM keeps the ε of before, as do those that know only x0_hat.

    Thresholding divides by s, the quantile kept within 1 and sample_max_value: where that is 1, as
    it is unless stated, what remains is a clamp to -1 .. 1.
    """
    if part.cls in THRESHOLDS and _flag(part, "thresholding"):
        quantile = _within(part, "dynamic_thresholding_ratio", 0.995, THRESHOLD)
        if _number(part, "sample_max_value", 1.0) <= 1:
            return {"clip": "clamp", "rederive_eps": False}
        return {"clip": "threshold", "threshold": quantile, "rederive_eps": False}
    if not (part.cls in CLIPS and _flag(part, "clip_sample", CLIPS[part.cls])):
        return {}
    most = _within(part, "clip_sample_range", 1.0, CLIP_RANGE)
    if most <= 0:
        raise InputError(f"{part.source}: clip_sample_range {most:g} is not above 0")
    own: dict[str, Value] = {} if most == 1 else {"clip_range": f"{-most!r}, {most!r}"}
    return {"clip": "clamp", "rederive_eps": False, **own}


def _notes(part: Part, latent: bool) -> list[str]:
    config, notes = part.config, [*_class_note(part), *_unlike(part)]
    if config.get("rescale_betas_zero_snr"):
        notes.append("its last time has no signal at all (zero terminal SNR)")
    if _flag(part, "set_alpha_to_one", True) is False:
        notes.append(
            "set_alpha_to_one is off: diffusers' DDIM ends at t = 0 with its noise; "
            "compat=diffusers with set_alpha_to_one=false does the same"
        )
    if config.get("trained_betas") is not None:
        notes.append("its betas are given one by one")
    for key, known in (("clip_sample", CLIPS), ("thresholding", THRESHOLDS)):
        if latent and part.cls in known and config.get(key):
            notes.append(f"{key} is set: diffusers clips latents then, here they are not")
    if not latent and part.cls in THRESHOLDS and _flag(part, "thresholding"):
        notes += _of_bounded_s(part)
    return notes


def _of_bounded_s(part: Part) -> list[str]:
    """A note where thresholding's divisor s has a bound that ours has not."""
    most = _number(part, "sample_max_value", 1.0)
    if most == 1 or most >= FREE_S or not SAMPLERS[part.cls]:
        return []
    instead = "has no bound" if most > 1 else "is at least 1"
    return [
        f"sample_max_value = {most:g} is not reproduced: what thresholding divides by {instead} "
        "here"
    ]


def _unlike(part: Part) -> list[str]:
    """A note for each setting that changes what diffusers computes and that we do not follow."""
    if not SAMPLERS[part.cls]:
        return []  # another sampler is offered anyway
    found = ((key, part.config[key]) for key in USUAL if key in part.config)
    return [
        f"{key} = {value!r} is set and is not reproduced"
        for key, value in found
        if value is not None and value not in USUAL[key]
    ]


def _flag(part: Part, key: str, default: bool = False) -> bool:
    value = part.config.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise InputError(f"{part.source}: {key} = {value!r} is neither true nor false")
    return value


def _one_of(part: Part, key: str, known: Collection[str], default: str) -> str:
    stated = part.config.get(key, default)
    if not isinstance(stated, str) or stated not in known:
        raise InputError(
            f"{part.source}: {key} {stated!r} is not known; known are {', '.join(known)}"
        )
    return stated


def _number(part: Part, key: str, default: float) -> float:
    value = part.config.get(key)
    if value is None:
        return float(default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST:
        raise InputError(f"{part.source}: {key} = {value!r} is not a number")
    return float(value)


def _within(part: Part, key: str, default: float, option: Option) -> float:
    """A number that our option for it takes too."""
    number = _number(part, key, default)
    low, high = option.low, option.high
    if (low is not None and number < low) or (high is not None and number > high):
        raise InputError(
            f"{part.source}: {key} = {number:g} is out of its range, {option.allowed}"
        )
    return number


def _whole(part: Part, key: str, default: int) -> int:
    number = _number(part, key, default)
    if not number.is_integer() or number < 0:
        raise InputError(f"{part.source}: {key} = {number:g} is not a whole number")
    return int(number)
