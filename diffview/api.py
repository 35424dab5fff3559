"""diffview from Python: open or wrap a model, sample it, look at every step.

    model = diffview.wrap(my_unet, shape=(3, 32, 32), schedule="linear", prediction="eps")
    run = diffview.sample(model, sampler="ddim", steps=50, seeds=range(16))
    run.x_t, run.x0_hat        # (N + 1, B, *D)

The names live in the package itself (`diffview.open`, ...) and load on first use.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any, SupportsFloat

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from diffview import places
from diffview.engine import samplers, session
from diffview.engine.guidance import Classifier
from diffview.engine.options import INTERVAL, Value
from diffview.engine.spec import Curve, Guidance, declared_options
from diffview.errors import InputError
from diffview.models import catalog, guides, sampling
from diffview.models.sampling import Label, Model, Prompt
from diffview.models.wrapped import wrap
from diffview.stepping import Inversion, SamplingError, Stepping, fill, guide_of, seeds_of, whole
from diffview.stepping import invert as inverted

__all__ = [
    "Inversion",
    "Run",
    "SamplingError",
    "explore",
    "invert",
    "load",
    "open",
    "sample",
    "wrap",
]

Seeds = int | str | Sequence[int]


class Run(Stepping):
    """A run as tensors: K kept steps (N + 1 unless memory was short), B samples of shape D.

    Where a run branched off another and only one of them is guided, base and direction are NaN at
    the steps of the other.
    """

    def __repr__(self) -> str:
        spec, shape = self.spec, "x".join(map(str, self.trajectory.data_shape))
        return (
            f"<Run of '{spec.model_id}': {spec.sampler}, {len(self.trajectory)} steps kept of "
            f"{spec.n_steps + 1}, {spec.batch} samples of {shape}, NFE {self.nfe}>"
        )

    @property
    def nfe(self) -> int:
        """Network evaluations of one sample."""
        return self.trajectory.nfe

    @cached_property
    def x_t(self) -> Tensor:
        """What the sampler held before each step, and the picture at the end: (K, B, *D)."""
        return torch.from_numpy(self.trajectory.stack("x_t"))

    @cached_property
    def x0_hat(self) -> Tensor:
        """The one-step estimate of the picture at each step: (K, B, *D)."""
        return torch.from_numpy(self.trajectory.stack("x0_hat"))

    @cached_property
    def base(self) -> Tensor | None:
        """Unconditional x0_hat, (K, B, *D); None where no guidance ran.

        x0_hat at another guidance scale is base + scale * direction.
        """
        return self._guided("base")

    @cached_property
    def direction(self) -> Tensor | None:
        """Conditional minus unconditional x0_hat, (K, B, *D); None where no guidance ran."""
        return self._guided("direction")

    @property
    def t(self) -> Tensor:
        """The schedule's time of each step, (K,) float64; 0 at the clean end."""
        return self._levels("t")

    @property
    def alpha(self) -> Tensor:
        """alpha of x_t = alpha x_0 + sigma eps, (K,) float64."""
        return self._levels("alpha")

    @property
    def sigma(self) -> Tensor:
        """sigma of x_t = alpha x_0 + sigma eps, (K,) float64."""
        return self._levels("sigma")

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the run as a session, for `load`, the window and the command line.

        Raises InputError when the file is there already, unless `overwrite` is true, and where
        none can be made.
        """
        file = places.expanded(path)
        if file.exists() and not overwrite:
            raise InputError(
                f"{file} is there already: choose another name, or save it with overwrite=True"
            )
        try:
            session.save(self.trajectory, file, self.about)
        except OSError as error:
            why = error.strerror or error
            raise InputError(
                f"{file} cannot be written ({why}): choose a folder that is there and can be "
                "written to"
            ) from error

    def _guided(self, name: str) -> Tensor | None:
        return torch.from_numpy(self.trajectory.stack(name)) if self.trajectory.guided else None

    def _levels(self, name: str) -> Tensor:
        values = [getattr(record.level, name) for record in self.trajectory]
        return torch.tensor(values, dtype=torch.float64)


def open(model: str | Path, *, device: str = "auto", dtype: str = "auto") -> Model:
    """The model with this id ("fashion"), or in this file or folder, ready to be sampled.

    dtype, "float32", "bfloat16" or "float16", is for models of Hugging Face folders. Raises
    InputError when there is no such model or no such device.
    """
    entry = catalog.find(str(model))
    if not entry.card.samples:
        raise InputError(f"model '{entry.card.id}' judges pictures, it cannot be sampled")
    opened: Model = sampling.open_model(entry, device, dtype)
    return opened


def sample(
    model: Model | str | Path,
    *,
    sampler: str | None = None,
    steps: int | None = None,
    spacing: str | None = None,
    guidance: float | None = None,
    guidance_kind: str | None = None,
    guide: Model | Classifier | str | Path | None = None,
    interval: tuple[float, float] | None = None,
    curve: Iterable[tuple[float, float]] = (),
    label: Label = None,
    prompt: Prompt = None,
    negative_prompt: str | None = None,
    seeds: Seeds | None = None,
    init_noise: Tensor | ArrayLike | None = None,
    options: Mapping[str, Value] | None = None,
    device: str = "auto",
    budget: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    **unknown: object,
) -> Run:
    """Run a model (from `open` or `wrap`, an id, or a file) and keep every step.

    What is None comes from the model's card, else: "ddim", 50 steps, "trailing", guidance 3 if
    there is a label or a prompt. label: a number, a name, or one for each sample; prompt: a text,
    or one for each sample, for models that take texts, and negative_prompt what guidance steers
    away from. seeds: one sample for each,
    as numbers or as "0-15"; an int is the seed of one sample. init_noise (B, *D) replaces the
    start x_T, and makes seeds 0 to B-1 unless given. budget: bytes to keep, else 2 GiB; where
    that is short fewer steps are kept, with a warning. guidance_kind: "none", "cfg",
    "classifier" or "autoguidance"; guide: the second model of the last two, as an id, a file, an
    opened model or a classifier f(x_t, t) -> logits (f(x) is taken to know clean pictures only).
    interval: guidance acts only where sigma / alpha is above the first and not above the second;
    curve: how much of it acts, as points (log(alpha / sigma), factor). progress(done,
    steps) is called after each step. "auto" leaves an opened model on its device.

    Raises InputError for what cannot be run, SamplingError, whose .run holds the steps before,
    when the network fails or yields NaN.
    """
    for name in unknown:
        raise TypeError(_no_argument(name))
    ready = _opened(model, device)
    start = None if init_noise is None else _noise(init_noise)
    guide_card, opened_guide = guide_of(guide, ready)
    chosen = _number_or_more(guidance)
    if not isinstance(chosen, Guidance):
        points = _points(curve)
        chosen = guides.guidance(
            ready.card, kind=guidance_kind, scale=chosen, guide=guide_card, curve=points
        )
    spec = sampling.spec_for(
        ready.card,
        sampler=sampler,
        steps=None if steps is None else whole("steps", steps),
        spacing=spacing,
        guidance=chosen,
        label=_label(label),
        prompt=prompt,
        negative_prompt=negative_prompt,
        seeds=_seeds(seeds, start),
        options=_with_interval(_named(options), interval),
        judge=guide_card,
        guidable=ready.null_condition(1) is not None,
    )
    if spec.condition is None and ready.card.classes and ready.null_condition(1) is None:
        raise InputError(
            f"model '{ready.card.id}' cannot do without a label: choose one of "
            f"{', '.join(ready.card.classes[:20])}"
        )
    limit = None if budget is None else whole("budget", budget)
    trajectory = sampling.trajectory_for(ready.card, spec, limit)
    if trajectory.stride > 1:
        warnings.warn(
            f"to stay within the memory budget one step in {trajectory.stride} is kept; "
            "give a larger budget to keep all",
            stacklevel=2,
        )
    about = sampling.about(ready.card, device=str(ready.device), given_noise=start is not None)
    about |= guides.about(guide_card)
    run = Run(trajectory, about, ready)
    if opened_guide is not None:
        run.guides = {spec.guidance.guide: opened_guide}
    fill(run, sampling.sample_into(trajectory, ready, start, opened_guide), progress)
    return run


def invert(
    model: Model | str | Path,
    picture: str | Path | Tensor | ArrayLike,
    *,
    steps: int | None = None,
    spacing: str | None = None,
    guidance: float | Guidance | None = None,
    guide: Model | Classifier | str | Path | None = None,
    label: Label = None,
    prompt: Prompt = None,
    negative_prompt: str | None = None,
    options: Mapping[str, Value] | None = None,
    refine: int = 0,
    device: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> Inversion:
    """Follow a picture up to the x_T that DDIM without noise takes back to it, and go back.

    picture: a file that pillow reads, brought to the model's shape and range, or one or more
    samples as numbers, (*D) or (B, *D), in the model's own units. The settings are those of
    `sample` and hold both ways. refine: iterations at each step that make the way up the inverse
    of the way down, each as dear as a step. The result's x_T is an init_noise for another run.
    Raises InputError for what cannot be, SamplingError when the network fails on the way back.
    """
    ready = _opened(model, device)
    card, opened = guide_of(guide, ready)
    chosen = _number_or_more(guidance)
    if card is not None and not isinstance(chosen, Guidance):
        chosen = guides.guidance(ready.card, scale=chosen, guide=card)
    return inverted(
        Run,
        ready,
        picture,
        refine=whole("refine", refine),
        progress=progress,
        guide=(card, opened),
        steps=None if steps is None else whole("steps", steps),
        spacing=spacing,
        guidance=chosen,
        label=_label(label),
        prompt=prompt,
        negative_prompt=negative_prompt,
        options=_named(options),
        judge=card,
        guidable=ready.null_condition(1) is not None,
    )


def load(path: str | Path) -> Run:
    """The run saved in `path` (a .dvsession or a trajectory.safetensors).

    Raises InputError naming the file and what is wrong with it.
    """
    return Run(*session.load(places.expanded(path)))


def explore(model: Model | Run | str | Path) -> int:
    """Open the window on a model or a run of this process; returns when it is closed."""
    from diffview.ui.app import main as show

    code: int
    if isinstance(model, Run):
        code = show(model=model.model, run=model)
    else:
        code = show(model=_opened(model, "auto"))
    return code


def _opened(model: Model | str | Path, device: str) -> Model:
    if isinstance(model, str | Path):
        return open(model, device=device)
    if not hasattr(model, "card"):
        raise InputError(
            f"a {type(model).__name__} is not a model: give an id, a file, or "
            "diffview.wrap(network, shape=..., schedule=..., prediction=...)"
        )
    if not isinstance(device, str):
        raise InputError(f"device = {device!r} is not a name such as 'cpu' or 'cuda:0'")
    if device != "auto" and sampling.choose_device(device) != torch.device(model.device):
        raise InputError(
            f"the model lies on {model.device}, not on {device}: say where when it is opened or "
            "wrapped, and leave device out here"
        )
    return model


def _with_interval(
    options: Mapping[str, Value] | None, interval: tuple[float, float] | None
) -> Mapping[str, Value] | None:
    if interval is None:
        return options
    if "interval" in (options or {}):
        raise InputError("interval and options['interval'] say the same: give one of them")
    try:
        ends = tuple(interval)
    except TypeError:
        ends = ()
    if isinstance(interval, str) or len(ends) != 2:
        raise InputError(
            f"interval = {interval!r} is not two numbers: give the σ/α above which and up to "
            "which guidance acts, such as (0.19, 1.61)"
        )
    return {**(options or {}), "interval": INTERVAL.checked(ends)}


def _points(curve: Any) -> Curve:
    """The knots of a guidance curve by rising lambda."""
    try:
        return tuple(sorted((float(lam), float(factor)) for lam, factor in curve))
    except (TypeError, ValueError):
        raise InputError(
            f"curve = {curve!r} is no guidance curve: give points (log(alpha / sigma), factor), "
            "such as [(-4, 0), (0, 1), (3, 0.5)]"
        ) from None


def _noise(noise: Tensor | ArrayLike) -> Any:
    if isinstance(noise, Tensor):
        return noise.detach().to("cpu", torch.float32).numpy()
    try:
        return np.asarray(noise, np.float32)
    except (TypeError, ValueError):
        raise InputError("init_noise must be numbers (B, *D), one row for each sample") from None


def _seeds(seeds: Seeds | None, start: Any) -> tuple[int, ...]:
    if seeds is None:
        return tuple(range(len(start))) if start is not None and start.ndim else (0,)
    return seeds_of(seeds)


def _number_or_more(guidance: Any) -> Any:
    """A scale, or all of a Guidance."""
    if guidance is None or isinstance(guidance, Guidance):
        return guidance
    if isinstance(guidance, bool | str) or not isinstance(guidance, SupportsFloat):
        raise InputError(f"guidance = {guidance!r} is not a number such as 3.0")
    return float(guidance)


def _label(label: Any) -> Label:
    """A number or a name, or one for each sample."""
    if label is None or isinstance(label, str):
        return label
    if isinstance(label, Iterable) and not (isinstance(label, Tensor) and label.ndim == 0):
        return tuple(one if isinstance(one, str) else whole("label", one) for one in label)
    return whole("label", label)


def _named(options: Any) -> Mapping[str, Value] | None:
    if options is None or isinstance(options, Mapping):
        return options
    raise InputError(f'options = {options!r} must be values by name, such as {{"eta": 0.5}}')


def _no_argument(name: str) -> str:
    """What to write instead of an argument that `sample` does not have."""
    wrong = f"sample() has no argument '{name}'"
    known = [*inspect.signature(sample).parameters][:-1]
    if any(name in declared_options(one) for one in samplers.every()):
        return f"{wrong}: it is an option, give options={{'{name}': ...}}"
    close = get_close_matches(name.removeprefix("n_").removeprefix("num_"), known, n=1)
    if close:
        return f"{wrong}: did you mean '{close[0]}'?"
    return f"{wrong}; it has {', '.join(known)}"
