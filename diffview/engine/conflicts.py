"""Which combinations of a recipe make no sense for a model, each with one reason.

The panel greys out what is idle and the command line refuses what conflicts, with these words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from diffview.engine import samplers, spacings
from diffview.engine.conversions import TO_X0
from diffview.engine.levels import NoiseLevel
from diffview.engine.options import SCHEDULE
from diffview.engine.schedules import OWN, Flow, Schedule
from diffview.errors import InputError

if TYPE_CHECKING:
    from diffview.engine.spec import RunSpec


@dataclass(frozen=True, slots=True)
class Facts:
    """What must be known of a model to judge a recipe.

    conditional: it takes a class or a prompt (text: a prompt); null: it can also do without;
    latent: its samples are no pictures yet; points: they are places of a few numbers. tokens: how
    many it writes, one after the other; 0 where it removes noise. distilled: it is told a scale of
    guidance. exact: it is computed from its data, and knows every level of any schedule.
    """

    schedule: Schedule
    prediction: str = "eps"
    conditional: bool = False
    null: bool = False
    learned_variance: bool = False
    latent: bool = False
    text: bool = False
    tokens: int = 0
    points: bool = False
    distilled: bool = False
    exact: bool = False


NO_START = (
    "this model begins with nothing and writes token by token: there is no noise to start from, "
    "leave it out and choose other seeds"
)
ONLY_CFG = "guidance '{}' works on noise, of which a model of tokens has none: choose cfg"


def conflicts(spec: RunSpec, facts: Facts) -> list[str]:
    """Every reason against running `spec` on such a model; empty where it makes sense.

    A reason is of a value that cannot be used, or that was changed and would have no effect.
    `spec` is a checked one.
    """
    wrong_kind = kind_conflict(spec, by_token=facts.tokens > 0)
    if wrong_kind:
        return [wrong_kind]
    if spec.by_token:
        return [*_of_tokens(spec, facts), *_of_guidance(spec, facts), *_changed_idle(spec, facts)]
    try:
        _check_churn(spec)
        first = spec.levels(facts.schedule)[spec.origin.step if spec.origin else 0]
    except InputError as error:
        return [str(error)]
    return [
        *_of_the_start(spec, facts, first),
        *_of_guidance(spec, facts),
        *_of_the_model(spec, facts),
        *_of_churn(spec),
        *_changed_idle(spec, facts),
    ]


def kind_conflict(spec: RunSpec, *, by_token: bool) -> str:
    """Why the sampler is not for a model that does, or does not, write `by_token`; "" if it is."""
    if spec.by_token == by_token:
        return ""
    if by_token:
        known = ", ".join(samplers.by_token())
        return (
            "this model writes its pictures token by token, so there is no noise that sampler "
            f"'{spec.sampler}' could remove: choose {known}"
        )
    return (
        f"sampler '{spec.sampler}' is for models that predict the next token, and this one "
        "removes noise: choose another, such as ddim"
    )


def idle(spec: RunSpec, facts: Facts) -> dict[str, str]:
    """The options that do nothing in this recipe, each with its reason."""
    spec = _by_own_schedule(spec, facts)
    reasons = {
        "rho": spec.spacing != "karras" and "only spacing 'karras' has a ρ",
        "steps_offset": _offset_idle(spec, facts),
        "shift": _shift_idle(spec, facts),
        "schedule": not facts.exact and "a network knows only the schedule that it was trained on",
        "times": spec.spacing != spacings.LIST and "only spacing 'list' takes typed times",
        "clip_range": spec.option("clip") == "none" and "nothing is clipped",
        "threshold": spec.option("clip") != "threshold" and "only clip=threshold has a quantile",
        "rederive_eps": _rederive_idle(spec),
        "rescale": spec.guidance.kind == "none" and "without guidance nothing is rescaled",
        "rescale_space": spec.option("rescale") == 0 and "nothing is rescaled (rescale is 0)",
        "interval": spec.guidance.kind == "none" and "there is no guidance to limit",
        "noise_path": not _draws_noise(spec) and "this sampler adds no noise on its way",
        "distilled_scale": not facts.distilled and "this model was taught no scale of guidance",
        "set_alpha_to_one": spec.option("compat") == "none" and "only compat=diffusers has it",
        "top_k": spec.by_token and spec.option("temperature") == 0 and _ALWAYS_LIKELIEST,
        **dict.fromkeys(("s_tmin", "s_tmax", "s_noise"), _churn_idle(spec)),
        **_of_one_step(spec, facts),
    }
    return {name: why for name, why in reasons.items() if why and name in spec.declared()}


def _by_own_schedule(spec: RunSpec, facts: Facts) -> RunSpec:
    """The spec without a schedule that a network does not know: nothing else goes by it."""
    if facts.exact:
        return spec
    return replace(spec, options=tuple(o for o in spec.options if o[0] != SCHEDULE.name))


def trimmed(spec: RunSpec, facts: Facts) -> RunSpec:
    """The spec without the options that would do nothing."""
    unused = idle(spec, facts)
    return replace(spec, options=tuple(pair for pair in spec.options if pair[0] not in unused))


def _changed_idle(spec: RunSpec, facts: Facts) -> list[str]:
    unused = idle(spec, facts).items()
    return [f"{name}: {why}" for name, why in unused if _changed(spec, name)]


_ALWAYS_LIKELIEST = "at temperature 0 the likeliest token is taken, however many may be drawn"


def _of_tokens(spec: RunSpec, facts: Facts) -> list[str]:
    reasons = []
    if spec.n_steps != facts.tokens:
        count = facts.tokens
        reasons.append(f"this model writes {count} tokens, one a step: choose {count} steps")
    if spec.guidance.kind in spec.guidance.NEED_GUIDE:
        reasons.append(ONLY_CFG.format(spec.guidance.kind))
    if spec.guidance.curve:
        reasons.append("a guidance curve goes by the noise, of which a model of tokens has none")
    if spec.negative is not None and not facts.text:
        reasons.append("this model takes no prompt, and so no negative prompt")
    return reasons


def _of_the_start(spec: RunSpec, facts: Facts, first: NoiseLevel) -> list[str]:
    reasons = []
    if facts.prediction in TO_X0:
        try:
            TO_X0[facts.prediction](0.0, 0.0, first)
        except InputError as error:
            reasons.append(str(error))
    if first.alpha > 0:
        return reasons
    where = f"spacing '{spec.spacing}' starts at alpha = 0 (pure noise)"
    instead = _with_signal(spec, facts)
    if not samplers.find(spec.sampler).pure_noise:
        reasons.append(f"{where}, where sampler '{spec.sampler}' cannot begin: {instead}")
    if spec.guidance.kind == "classifier":
        reasons.append(f"{where}, where a classifier cannot guide: {instead}")
    guided = spec.guidance.kind != "none"
    if guided and float(spec.option("rescale")) > 0 and spec.option("rescale_space") == "eps":
        reasons.append(f"{where}, where eps cannot be rescaled: choose rescale_space=v")
    return reasons


def _with_signal(spec: RunSpec, facts: Facts) -> str:
    """A spacing that does start above alpha = 0 with these steps and options."""
    for spacing in ("leading", "karras"):
        try:
            first = replace(spec, spacing=spacing).levels(facts.schedule)[0]
        except InputError:
            continue
        if first.alpha > 0:
            return f"choose {spacing}"
    return "choose fewer steps"


def _of_guidance(spec: RunSpec, facts: Facts) -> list[str]:
    kind, reasons = spec.guidance.kind, []
    if kind == "cfg" and not facts.conditional:
        reasons.append("this model takes no condition, so there is nothing to steer to")
    elif kind in ("cfg", "classifier") and spec.condition is None:
        reasons.append(f"guidance '{kind}' needs a condition to steer to: choose one")
    elif kind == "cfg" and not facts.null:
        reasons.append("this model has no 'no condition' input, so it cannot be guided this way")
    if kind == "classifier" and facts.text:
        reasons.append("this model takes a prompt, and a classifier steers to a class: choose cfg")
    if kind in spec.guidance.NEED_GUIDE and spec.schedule(facts.schedule) != facts.schedule:
        reasons.append(
            f"guidance '{kind}' has a second model, which knows its own schedule: choose "
            f"{SCHEDULE.name}={OWN}"
        )
    if kind in spec.guidance.NEED_GUIDE and not spec.guidance.guide:
        reasons.append(f"guidance '{kind}' needs a second model: name its guide")
    if kind not in spec.guidance.NEED_GUIDE and spec.guidance.guide:
        reasons.append(f"guidance '{kind}' uses no second model, and '{spec.guidance.guide}' is")
    if spec.negative is not None and kind != "cfg":
        reasons.append("a negative prompt does nothing without classifier-free guidance")
    if kind == "none" and spec.guidance.curve:
        reasons.append("a guidance curve does nothing without guidance")
    return reasons


def _of_the_model(spec: RunSpec, facts: Facts) -> list[str]:
    reasons = []
    if facts.latent and spec.option("clip") != "none":
        reasons.append("this model's samples are latents, which have no range to clip to")
    if facts.points and spec.option("clip") == "threshold":
        reasons.append(
            "this model's samples are points, whose few numbers have no quantile to clip at: "
            "choose clip=clamp or none"
        )
    if spec.negative is not None and not facts.text:
        reasons.append("this model takes no prompt, and so no negative prompt")
    asked = "variance" in spec.declared() and spec.option("variance") == "learned"
    if asked and not facts.learned_variance:
        reasons.append("this model's network has learned no variance: choose small or large")
    return reasons


def _of_one_step(spec: RunSpec, facts: Facts) -> dict[str, str]:
    """A single step goes from x_T to x0_hat, with any sampler: no noise comes in and no past is.

    Churn does, which acts before the step; diffusers has noise after it and grids of its own. The
    shift moves where the step begins, but for pure noise, which stays where it is.
    """
    if spec.n_steps > 1 or spec.by_token or spec.option("compat") != "none":
        return {}
    names = ["eta", "variance", "solver", "order", "rho", "rederive_eps"]
    if _from_pure_noise(spec, facts):
        names.append("shift")
    if _churn_idle(spec):
        names.append("noise_path")
    return dict.fromkeys(names, "one step goes straight to x̂₀")


def _from_pure_noise(spec: RunSpec, facts: Facts) -> bool:
    try:
        return spec.levels(facts.schedule)[0].alpha == 0
    except InputError:  # such as other times than steps; refused with its own words
        return False


def _rederive_idle(spec: RunSpec) -> str:
    if spec.option("clip") == "none":
        return "nothing is clipped"
    apart = samplers.find(spec.sampler).uses_eps
    return "" if apart else "only DDIM takes ε apart from x̂₀"


def _offset_idle(spec: RunSpec, facts: Facts) -> str:
    if spec.spacing != "leading":
        return "only spacing 'leading' has an offset"
    discrete = spec.schedule(facts.schedule).discrete
    return "" if discrete else "this model's times are not counted"


def _shift_idle(spec: RunSpec, facts: Facts) -> str:
    if not isinstance(spec.schedule(facts.schedule), Flow):
        return "only the times of a flow are shifted"
    by_time = spec.spacing in spacings.BY_TIME
    return "" if by_time else f"spacing '{spec.spacing}' does not go by time"


def _churn_idle(spec: RunSpec) -> str:
    churns = "churn" in spec.declared() and spec.option("churn") != 0
    return "" if churns else "churn is 0"


def _of_churn(spec: RunSpec) -> list[str]:
    if _churn_idle(spec):
        return []
    low, high = float(spec.option("s_tmin")), float(spec.option("s_tmax"))
    if low <= high:
        return []
    return [
        f"s_tmin = {low:g} is above s_tmax = {high:g}, so churn would act nowhere: give the "
        "smaller one as s_tmin"
    ]


def _check_churn(spec: RunSpec) -> None:
    if spec.option("compat") == "none" or _churn_idle(spec):
        return
    raise InputError(
        "diffusers asks the network before churn has put its noise back, at a level that x_t is "
        "not at; that is not reproduced: churn=0, or compat=none"
    )


def _draws_noise(spec: RunSpec) -> bool:
    amounts = [spec.option(name) for name in ("eta", "churn") if name in spec.declared()]
    return samplers.find(spec.sampler).stochastic and all(amount != 0 for amount in amounts)


def _changed(spec: RunSpec, name: str) -> bool:
    value, default = spec.option(name), spec.declared()[name].default
    if isinstance(value, float) and isinstance(default, float):
        return not math.isclose(value, default)
    return value != default
