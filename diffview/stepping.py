"""Stepping back into a run from Python, and inverting a picture: what `diffview.Run` can do.

again = run.branch(20, guidance=5.0)        # from step 20 on, the steps before shared
many = run.complete(30, 16)                 # 16 ends of one x_t
found = diffview.invert(model, "shoe.png", label="Sneaker")
found.x_T, found.errors[-1].psnr
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from diffview.engine import origin
from diffview.engine.guidance import Classifier
from diffview.engine.options import Value
from diffview.engine.run import Guide
from diffview.engine.spec import Guidance, RunSpec, parse_seeds
from diffview.engine.trajectory import Trajectory
from diffview.errors import DiffviewError, InputError
from diffview.models import branching, catalog, guides, inverting, replaying, sampling
from diffview.models.branching import UNCHANGED, Branch, Unchanged
from diffview.models.card import ModelCard
from diffview.models.inverting import State, StepError
from diffview.models.replaying import Verdict
from diffview.models.sampling import Label, Model, Prompt

if TYPE_CHECKING:
    from diffview.engine.trajectory import StepRecord

Progress = Callable[[int, int], None]


class SamplingError(DiffviewError):
    """A run broke off; `run` holds the steps before it."""

    def __init__(self, message: str, run: Any) -> None:
        super().__init__(message)
        self.run = run


class Stepping:
    """A recorded run that can be gone back into.

    Steps are counted as in `trajectory[k].i`: 0 is x_T, N - 1 the last step, N the picture. model
    is the one that made the run where the run does not know it: after `load`, of a wrapped
    network or a model's file. progress(done, steps) is called after each step.
    """

    trajectory: Trajectory
    about: dict[str, Any]
    model: Model | None
    guides: dict[str, Guide]

    def __init__(
        self, trajectory: Trajectory, about: Mapping[str, Any], model: Model | None = None
    ) -> None:
        self.trajectory, self.about, self.model = trajectory, dict(about), model
        self.guides = {}

    def resume(
        self, k: int | None = None, *, model: Model | None = None, progress: Progress | None = None
    ) -> Self:
        """The same run from step `k` on made again, or from its last step on if it broke off.

        It is equal to the last bit. Raises InputError for a step that was not recorded.
        """
        ready = self._model(model)
        step = None if k is None else whole("k", k)
        return self._made(branching.resume(self.trajectory, ready.card, step), ready, progress)

    def branch(
        self,
        k: int,
        *,
        guidance: float | Guidance | None = None,
        guide: Model | Classifier | str | Path | None = None,
        label: Label | Unchanged = UNCHANGED,
        prompt: Prompt | Unchanged = UNCHANGED,
        negative_prompt: str | Unchanged | None = UNCHANGED,
        sampler: str | None = None,
        seeds: int | Sequence[int] | str | None = None,
        options: Mapping[str, Value] | None = None,
        x_t: Tensor | ArrayLike | None = None,
        rows: Sequence[int] = (),
        model: Model | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """A new run that shares this one's steps before `k`, with other settings from there on.

        What is not given stays as it is; label=None takes the condition away. guide is the second
        model of classifier guidance or autoguidance. seeds: one for each sample, for the noise
        from step k on. x_t (B, *D) replaces the state at step k. rows: which samples to go on
        with, each as often as it is named. Another sampler begins anew.
        Raises InputError for what cannot be, SamplingError as `sample` does.
        """
        ready = self._model(model)
        card, opened = guide_of(guide, ready)
        chosen = guidance
        if card is not None and not isinstance(guidance, Guidance):
            chosen = guides.guidance(ready.card, scale=guidance, guide=card)
        made = branching.branch(
            self.trajectory,
            ready.card,
            whole("k", k),
            guidance=chosen,
            label=label,
            prompt=prompt,
            negative_prompt=negative_prompt,
            sampler=sampler,
            seeds=None if seeds is None else seeds_of(seeds),
            options=options,
            x_t=None if x_t is None else as_array(x_t),
            rows=tuple(whole("rows", row) for row in rows),
            judge=card,
            guidable=ready.null_condition(1) is not None,
        )
        named = made.trajectory.spec.guidance.guide
        own = {} if opened is None else {named: opened}
        return self._made(made, ready, progress, card, own)

    def complete(
        self,
        k: int,
        n: int,
        *,
        sample: int = 0,
        seeds: int | Sequence[int] | str | None = None,
        sampler: str | None = None,
        options: Mapping[str, Value] | None = None,
        model: Model | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """One sample's x_t at step `k` completed `n` times, each with other noise.

        The first has the sample's own seed and ends as it did, the others the seeds after it, or
        all have `seeds`. Raises InputError where no noise comes in after k: DDIM, Heun and the
        like have one end only; choose sampler="ddpm", or options={"eta": 1.0}.
        """
        ready = self._model(model)
        made = branching.complete(
            self.trajectory,
            ready.card,
            whole("k", k),
            whole("n", n),
            sample=whole("sample", sample),
            seeds=None if seeds is None else seeds_of(seeds),
            sampler=sampler,
            options=options,
            guidable=ready.null_condition(1) is not None,
        )
        return self._made(made, ready, progress)

    def verify(self, model: Model | None = None, *, tolerance: float = 0.0) -> Verdict:
        """The run made again from its recipe and compared with what was recorded, step by step.

        .equal says whether nothing differs by more than `tolerance`, .first is what does.
        """
        ready = self._model(model)
        compared = replaying.compared(
            self.trajectory, self.about, ready, self._guides(self.spec, ready)
        )
        found = [one for _, differences in compared for one in differences]
        since = replaying.replayed_from(self.trajectory, self.about)
        return replaying.verdict(found, tolerance, since)

    @property
    def spec(self) -> RunSpec:
        """All that reproduces the run; in .origin the run it left, where it did."""
        return self.trajectory.spec

    def _made(
        self,
        branch: Branch,
        model: Model,
        progress: Progress | None,
        guide: ModelCard | None = None,
        own: Mapping[str, Guide] | None = None,
    ) -> Self:
        device = str(model.device)
        about = branching.about(self.about, model.card, guide, device=device)
        run = type(self)(branch.trajectory, about, model)
        run.guides = {**self.guides, **(own or {})}
        by = run._guides(run.spec, model)
        fill(run, branching.continue_into(branch, model, by), progress)
        return run

    def _model(self, given: Model | None) -> Model:
        if given is not None:
            if not hasattr(given, "card"):
                raise InputError(f"a {type(given).__name__} is not a model: see diffview.wrap")
            return given
        if self.model is not None:
            return self.model
        name = self.spec.model_id
        for entry in catalog.bundled():
            if entry.card.id == name:
                opened: Model = sampling.open_model(entry, "auto")
                return opened
        raise InputError(
            f"this run was made with model '{name}', which does not ship with diffview: give it "
            "with model=, from diffview.open(FILE) or diffview.wrap(network, ...)"
        )

    def _guides(self, spec: RunSpec, model: Model) -> dict[str, Guide]:
        """The second models that the parts of the run name; bundled ones are opened."""
        names = {part.guidance.guide for part in origin.parts(spec)} - {""}
        found = {name: self.guides[name] for name in names & self.guides.keys()}
        for name in names - found.keys():
            entry = guides.entry_for(None, name)
            if entry is not None:
                found[name] = guides.open_guide(entry, model.card, model.device)
        return found


class Inversion:
    """A picture's way up to x_T and back, by DDIM without noise.

    picture (B, *D) is what was inverted; x_t (N + 1, B, *D) the way up, in the order of a run:
    x_t[0] is x_T. run is the way back, a run like any other; errors tell at each of its steps how
    far it is from the way up, the last how far from the picture.
    """

    def __init__(
        self, picture: np.ndarray[Any, Any], states: Sequence[State], run: Any, model: Model
    ) -> None:
        self._states, self.run = tuple(reversed(states)), run
        self.picture = torch.from_numpy(picture)
        self.errors: tuple[StepError, ...] = inverting.errors(
            states, run.trajectory, model.card.value_range
        )

    def __repr__(self) -> str:
        count, last = len(self.picture), self.errors[-1]
        pictures = "1 picture" if count == 1 else f"{count} pictures"
        return (
            f"<Inversion of {pictures} by '{self.run.spec.model_id}' in {self.run.spec.n_steps} "
            f"steps, back within {last.max_abs:.3g} at most>"
        )

    @cached_property
    def x_t(self) -> Tensor:
        """The states of the way up, (N + 1, B, *D)."""
        return torch.from_numpy(np.stack([state.x_t for state in self._states]))

    @property
    def x_T(self) -> Tensor:
        """The noise that was found, (B, *D): init_noise for another run."""
        return self.x_t[0]


def guide_of(given: Any, model: Model) -> tuple[ModelCard | None, Guide | None]:
    """The guide's card, and the guide on the model's device."""
    if given is None:
        return None, None
    if isinstance(given, str | Path):
        entry = catalog.find(str(given))
        return entry.card, guides.open_guide(entry, model.card, model.device)
    if hasattr(given, "card"):
        return given.card, given
    return guides.card_of(given, model.card), guides.as_classifier(given)


def fill(run: Any, records: Any, progress: Progress | None) -> None:
    """Take all records; what breaks a run off becomes a SamplingError that holds it."""
    with closing(records):
        try:
            for record in records:
                _tell(record, run.spec.n_steps, progress)
        except InputError:
            raise
        except DiffviewError as error:
            kept = len(run.trajectory)
            raise SamplingError(
                f"{error} ({kept} steps are in .run of this error)", run
            ) from error


def _tell(record: StepRecord, n_steps: int, progress: Progress | None) -> None:
    if progress is not None and record.i < n_steps:
        progress(record.i + 1, n_steps)


def invert(
    make: Callable[..., Any],
    model: Model,
    picture: str | Path | Tensor | ArrayLike,
    *,
    refine: int = 0,
    progress: Progress | None = None,
    guide: tuple[ModelCard | None, Guide | None] = (None, None),
    **choices: Any,
) -> Inversion:
    """`diffview.invert` on an opened model; make(trajectory, about, model) is the run's class."""
    pictures = _pictures(picture, model.card)
    spec = inverting.spec_for(model.card, seeds=range(len(pictures)), **choices)
    back = sampling.trajectory_for(model.card, spec)
    if back.stride > 1:
        warnings.warn(
            f"to stay within the memory budget one step in {back.stride} of the way back is kept",
            stacklevel=3,
        )
    card, opened = guide
    states = []
    for state in inverting.climb(model, spec, pictures, refine=refine, guide=opened):
        states.append(state)
        if progress is not None and state.i < spec.n_steps:
            progress(spec.n_steps - state.i, 2 * spec.n_steps)
    device = str(model.device)
    about = inverting.about(model.card, pictures, refine, device=device) | guides.about(card)
    run = make(back, about, model)
    records = sampling.sample_into(back, model, states[-1].x_t, opened)
    fill(run, records, progress and _second_half(progress))
    return Inversion(pictures, states, run, model)


def _second_half(progress: Progress) -> Progress:
    return lambda done, steps: progress(steps + done, 2 * steps)


def _pictures(picture: Any, card: ModelCard) -> np.ndarray[Any, Any]:
    if isinstance(picture, str | Path):
        from diffview.frames import picture_file

        if card.latent:
            raise InputError(
                f"model '{card.id}' samples latents: give them as numbers (B, *D), not a picture"
            )
        path = Path(picture).expanduser()
        picture = picture_file.read(path, card.data_shape, *card.value_range).values
    return inverting.checked_pictures(as_array(picture), card.data_shape)


def as_array(values: Any) -> np.ndarray[Any, Any]:
    """A tensor or an array, or what can become one, as float32 on the host."""
    if isinstance(values, Tensor):
        array: np.ndarray[Any, Any] = values.detach().to("cpu", torch.float32).numpy()
        return array
    try:
        return np.asarray(values, np.float32)
    except (TypeError, ValueError):
        raise InputError("numbers (B, *D) are needed, one row for each sample") from None


def seeds_of(seeds: int | Sequence[int] | str) -> tuple[int, ...]:
    """One seed, some, or words such as "0-3, 8". Raises InputError for what is none."""
    if isinstance(seeds, str):
        return parse_seeds(seeds)
    rows = seeds if isinstance(seeds, Iterable) else [seeds]
    return tuple(whole("seeds", seed) for seed in rows)


def whole(name: str, value: Any) -> int:
    """A whole number of any kind, a tensor's and an array's too; 2.0 is none, nor is True."""
    try:
        if not isinstance(value, bool):
            return operator.index(value)
    except (TypeError, ValueError):
        pass
    raise InputError(f"{name} = {value!r} is not a whole number")
