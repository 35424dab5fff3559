"""The one road from what a person chose to the records of a run: command line, API and window.

    spec_for(card, choices...) -> trajectory_for(card, spec) -> sample_into(trajectory, model)

Everything that can be refused is refused in the first two, before weights are read. Importing this
file costs no torch: a window can check choices and estimate memory before torch is there.
"""

from __future__ import annotations

import platform
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import diffview
from diffview import tensorfile
from diffview.engine import samplers, shortage
from diffview.engine import spec as specs
from diffview.engine.conflicts import NO_START
from diffview.engine.levels import NoiseLevel
from diffview.engine.options import CLIP_RANGE, COMPAT, TIMES, Value, numbers
from diffview.engine.spacings import LIST
from diffview.engine.spec import Condition, Facts, Guidance, RunSpec
from diffview.engine.trajectory import (
    DEFAULT_BUDGET,
    Float32,
    StepRecord,
    Trajectory,
    stride_within,
)
from diffview.errors import InputError
from diffview.models import catalog, conditions, recent
from diffview.models.card import ModelCard
from diffview.models.conditions import Model as Model

if TYPE_CHECKING:
    import torch

    from diffview.engine.resuming import Start
    from diffview.engine.run import Guide

DEFAULTS: Mapping[str, Any] = {
    "sampler": "ddim",
    "steps": 50,
    "spacing": "trailing",
    "guidance": 3.0,
    "guidance_kind": "cfg",
    "options": {},
}
"""What holds where neither the person nor the model's card says anything."""

DEVICES = ("auto", "cpu", "cuda", "mps")

WRAPPED = "wrapped"
"""The family, and where it has no other the id, of a network of this Python process: never
clipped unless asked."""

EXACT = ("mixture", "pictures")
"""The families that are computed from their data."""

Label = str | int | Sequence[str | int] | None
Prompt = str | Sequence[str] | None


def default(card: ModelCard, name: str) -> Any:
    """The card's own default for `name` (a key of DEFAULTS), else the general one."""
    if card.by_token and name in ("sampler", "steps"):
        own = {"sampler": next(iter(samplers.by_token())), "steps": card.tokens}
        return card.defaults.get(name, own[name])
    value = card.defaults.get(name, DEFAULTS[name])
    if name == "options":
        return {**range_of(card), **value}
    return min(value, card.schedule.T) if name == "steps" else value


def spec_for(
    card: ModelCard,
    *,
    sampler: str | None = None,
    steps: int | None = None,
    spacing: str | None = None,
    guidance: float | Guidance | None = None,
    label: Label = None,
    prompt: Prompt = None,
    negative_prompt: str | None = None,
    seeds: Sequence[int] = (0,),
    options: Mapping[str, Value] | None = None,
    guidable: bool = True,
    judge: ModelCard | None = None,
) -> RunSpec:
    """The checked recipe of a run; what is None comes from the card, else from DEFAULTS.

    With a label or a prompt the run is guided (at gamma 1 too, so that a slider has both terms),
    without one it is unconditional. guidance is gamma, or all of it: a Guidance of any kind, with
    its guide and curve. A negative prompt is what guidance steers away from. `guidable` is False
    for a model that has no label that means none. judge is the classifier of the guidance: its
    classes are the labels of a model that has none of its own.
    Raises InputError for the first choice that this model cannot do.
    """
    if not card.samples:
        raise InputError(f"model '{card.id}' is a {card.family}: it judges, it cannot be sampled")
    labelled = card if judge is None or card.classes or card.takes_text else judge
    condition = condition_for(labelled, label, prompt, len(seeds))
    if condition is None and card.needs_condition:
        needs = "a prompt" if card.takes_text else f"a label: {_classes(card)}"
        raise InputError(f"model '{card.id}' cannot do without a condition: give {needs}")
    name = default(card, "sampler") if sampler is None else sampler
    if card.by_token and spacing is not None:
        raise InputError(
            f"model '{card.id}' writes every token once, in reading order: there is no spacing to "
            "choose, leave it out"
        )
    if steps is None and spacing == LIST:
        steps = _listed(card, name, options or {})
    guided = guidance_for(card, guidance, condition, guidable=guidable)
    own = {**clip_for(card, guided), **card_options(card, name, spacing)}
    spec = specs.checked(
        RunSpec(
            model_id=card.id,
            sampler=name,
            n_steps=default(card, "steps") if steps is None else steps,
            spacing=default(card, "spacing") if spacing is None else spacing,
            guidance=guided,
            condition=condition,
            negative=negative_prompt,
            seeds=tuple(seeds),
            options=tuple({**own, **(options or {})}.items()),
        )
    )
    return settled(spec, card, options or {}, guidable=guidable)


def settled(
    spec: RunSpec, card: ModelCard, asked: Collection[str], *, guidable: bool = True
) -> RunSpec:
    """A checked spec without the options that do nothing in it; those `asked` for are refused.

    Raises InputError for the first thing that this model cannot do.
    """
    facts = facts_of(card, guidable=guidable)
    unused = specs.idle(spec, facts).keys() - set(asked)
    spec = replace(spec, options=tuple(pair for pair in spec.options if pair[0] not in unused))
    for reason in specs.conflicts(spec, facts):
        raise InputError(reason)
    return spec


def facts_of(card: ModelCard, *, guidable: bool = True) -> Facts:
    """What `spec.conflicts` must know of a model; `guidable` if it has a label that means none."""
    return Facts(
        schedule=card.schedule,
        prediction=card.prediction,
        conditional=bool(card.classes) or card.takes_text,
        null=card.guidable and guidable,
        learned_variance=card.learned_variance,
        latent=card.latent,
        text=card.takes_text,
        tokens=card.tokens,
        points=len(card.data_shape) == 1 and not (card.latent or card.by_token),
        distilled=card.distilled,
        exact=card.family in EXACT,
    )


def _listed(card: ModelCard, sampler: str, options: Mapping[str, Value]) -> int:
    """How many times were typed: as many are the steps."""
    times = {**card_options(card, sampler), **options}.get("times", "")
    return len(numbers(TIMES.checked(times))) or 1


def guidance_for(
    card: ModelCard, scale: float | Guidance | None, condition: Condition, *, guidable: bool
) -> Guidance:
    """The guidance of a run under `condition`, as `spec_for` says. Raises InputError."""
    if isinstance(scale, Guidance):
        return scale
    guidable = guidable and card.guidable
    if scale is None and default(card, "guidance_kind") == "none":
        return Guidance()  # as it was made: the condition alone, at half the work
    if condition is not None and guidable:
        return Guidance("cfg", float(default(card, "guidance") if scale is None else scale))
    if scale is None:
        return Guidance()
    if not card.classes and not card.takes_text:
        raise InputError(
            f"model '{card.id}' has no classes, so guidance does nothing: leave it out"
        )
    if not guidable:
        raise InputError(
            f"model '{card.id}' has no label that means none, so it cannot be guided: leave "
            "guidance out, or name that label with wrap(..., null=...)"
        )
    needs = "a prompt to steer to" if card.takes_text else f"a label to steer to: {_classes(card)}"
    raise InputError(f"guidance {scale:g} needs {needs}")


def _classes(card: ModelCard) -> str:
    names = ", ".join(card.classes[:20]) + (", ..." if len(card.classes) > 20 else "")
    return f"choose one of {names}"


def condition_for(card: ModelCard, label: Label, prompt: Prompt, batch: int) -> Condition:
    """What a label or a prompt is in a recipe of `batch` samples. Raises InputError."""
    if label is not None and prompt is not None:
        raise InputError("a label and a prompt were given: a model takes one or the other")
    if prompt is not None:
        asked = prompt if isinstance(prompt, str) else tuple(prompt)
        checked = tuple(conditions.checked_prompt(card, p) for p in conditions.each(asked, batch))
        return asked if isinstance(asked, str) else checked
    if label is None:
        return None
    if isinstance(label, str | int):
        return conditions.label_number(card, label)
    if len(label) != batch:
        raise InputError(f"{len(label)} labels were given for {batch} samples; give one for each")
    return tuple(conditions.label_number(card, one) for one in label)


def card_options(card: ModelCard, sampler: str, spacing: str | None = None) -> dict[str, Value]:
    """The card's options that this sampler has: eta is DDIM's and nobody else's.

    compat says what diffusers does by the card's own sampler and spacing, and is theirs alone.
    """
    known = set(specs.declared_options(samplers.find(sampler).name))
    if sampler != default(card, "sampler") or spacing not in (None, default(card, "spacing")):
        known.discard(COMPAT.name)
    return {name: value for name, value in default(card, "options").items() if name in known}


def range_of(card: ModelCard) -> dict[str, Value]:
    """clip_range where the range of the data is not -1 to 1; a run keeps it if it clips."""
    if card.by_token or card.value_range == (-1.0, 1.0):
        return {}
    return {CLIP_RANGE.name: CLIP_RANGE.checked(card.value_range)}


def clip_for(card: ModelCard, guidance: Guidance) -> dict[str, Value]:
    """clip=clamp under a classifier where the range of the data is known; else nothing.

    What a classifier adds grows as sigma^2 / alpha: 20,000 on the first step of cosine, where
    its gradient is not yet small. Guided-diffusion, where it comes from, clips in every run.
    """
    pictures = len(card.data_shape) == 3 and not (card.latent or card.by_token)
    known = pictures and card.family != WRAPPED
    return {"clip": "clamp"} if guidance.kind == "classifier" and known else {}


def trajectory_for(card: ModelCard, spec: RunSpec, budget: int | None = None) -> Trajectory:
    """An empty trajectory for `spec` that will stay within `budget` bytes (DEFAULT_BUDGET).

    It keeps fewer steps where it must. Raises InputError when not even two steps fit.
    """
    limit = DEFAULT_BUDGET if budget is None else budget
    stride = stride_within(spec, card.data_shape, limit, card.codes)
    levels = spec.levels(card.schedule)
    return Trajectory(spec, card.data_shape, stride, planned(levels, stride))


def planned(levels: Sequence[NoiseLevel], stride: int) -> list[NoiseLevel]:
    """The levels of the records that a run with this stride keeps."""
    return [*levels[:-1:stride], levels[-1]]


def sample_into(
    trajectory: Trajectory,
    model: Model,
    init_noise: Float32 | None = None,
    guide: Guide | None = None,
) -> Generator[StepRecord, None, None]:
    """Run the trajectory's spec on `model`; each record is yielded after it was offered to it.

    All N + 1 records come, also those that a stride does not keep. What was recorded before an
    error or a close() stays. init_noise (B, *D) replaces the seeded x_T; guide is the classifier
    or the weaker model that the spec's guidance names.
    """
    with closing(records(model, trajectory.spec, init_noise, guide)) as made:
        for record in made:
            trajectory.append(record)
            yield record


def records(
    model: Model,
    spec: RunSpec,
    init_noise: Float32 | None = None,
    guide: Guide | None = None,
    start: Start | None = None,
) -> Generator[StepRecord, None, None]:
    """The records of a run of `spec` on `model`, from x_T or from `start` on.

    The condition is brought into the form that the model takes; else as `engine.run.run`.
    """
    import torch

    from diffview.engine.run import run

    model = conditions.at_distilled_scale(model, spec)
    with torch.no_grad():
        condition = conditions.condition_of(model, spec)
        negative = conditions.negative_of(model, spec)
    x_T = None if init_noise is None else torch.tensor(init_noise)
    with closing(run(model, spec, condition, x_T, guide, negative, start)) as made:
        yield from made


def open_model(
    entry: catalog.Entry, device: str | torch.device = "auto", dtype: str = "auto"
) -> Any:
    """The denoiser of `entry`, weights loaded, on `device` (a name of DEVICES or torch's own).

    dtype, one of models.hf.DTYPES, is for models of Hugging Face folders.
    """
    from diffview.models import families

    place = choose_device(device) if isinstance(device, str) else device
    with shortage.explained(f"loading model '{entry.card.id}' on {place}"):
        model = families.load(entry, place, dtype)
    if not entry.bundled and entry.path.exists():
        recent.remember(entry.path)
    return model


def choose_device(name: str) -> torch.device:
    """The device called auto, cpu, cuda, cuda:N or mps; auto takes the fastest there is.

    Raises InputError when this machine or this torch has no such device.
    """
    import torch

    kind, _, number = name.partition(":")
    if kind not in DEVICES or (number and not number.isdecimal()):
        raise InputError(f"unknown device '{name}'; known are {', '.join(DEVICES)}")
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if kind == "auto":
        return torch.device("cuda" if cuda else "mps" if mps else "cpu")
    if kind == "cuda" and (not cuda or int(number or 0) >= torch.cuda.device_count()):
        raise InputError(
            f"device '{name}' is not here: {_cuda_lack()}; use --device auto or --device cpu"
        )
    if kind == "mps" and not mps:
        raise InputError("device 'mps' is not here: it needs a Mac; use --device auto or cpu")
    return torch.device(name)


def _cuda_lack() -> str:
    import torch

    if torch.version.cuda is None:
        return f"this torch ({torch.__version__}) was built without CUDA"
    return f"torch finds {torch.cuda.device_count()} NVIDIA GPUs"


def read_init_noise(path: Path, spec: RunSpec, card: ModelCard) -> Float32:
    """Tensor `x` (B, *D) of a safetensors file, as float32.

    Raises InputError when it is missing, not finite, or of another shape than the run needs.
    """
    if card.by_token:
        raise InputError(NO_START)
    header = tensorfile.read_header(path)
    if "x" not in header.tensors:
        held = ", ".join(list(header.tensors)[:8]) or "none"
        raise InputError(f"{path} has no tensor 'x' to start from; it holds {held}")
    expected, found = (spec.batch, *card.data_shape), header.tensors["x"].shape
    if found != expected:
        raise InputError(
            f"{path}: tensor 'x' has shape {_shape(found)}, this run needs {_shape(expected)} "
            "(one row for each seed, then the model's own shape)"
        )
    noise = np.asarray(tensorfile.read_numpy(path)["x"], np.float32)
    if not np.isfinite(noise).all():
        raise InputError(f"{path}: tensor 'x' holds NaN or infinite values")
    return noise


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def about(card: ModelCard, *, device: str = "", given_noise: bool = False) -> dict[str, Any]:
    """What a session and a recipe keep beside the spec: which model, which versions, where.

    `given_noise` says that x_T was not drawn from the seeds.
    """
    return {
        "model": {
            "id": card.id,
            "title": card.title,
            "family": card.family,
            "sha256": card.weights_sha256,
            "classes": list(card.classes),
        },
        "versions": versions(),
        "device": device,
        "init_noise": "given" if given_noise else "seeds",
    }


def weights_of(about: Mapping[str, Any]) -> str:
    """The hash of the weights that made a run, from what is known about it; "" if unknown."""
    model = about.get("model")
    return str(model.get("sha256") or "") if isinstance(model, Mapping) else ""


def versions() -> dict[str, str]:
    """Versions of what decides the numbers; read from metadata, so nothing is imported."""
    return {
        "diffview": diffview.__version__,
        "python": platform.python_version(),
        **{name: installed(name) for name in ("torch", "numpy")},
    }


def installed(distribution: str) -> str:
    """The version of an installed package, "" where it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
