"""A set-up: what a lesson arranges in the window, and the run that it asks for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diffview.engine import samplers
from diffview.engine.options import RUN_OPTIONS, Value
from diffview.engine.spec import Guidance, RunSpec, declared_options, parse_seeds
from diffview.errors import InputError
from diffview.frames import quantities
from diffview.models import sampling
from diffview.models.card import ModelCard

RUN = (
    "model", "sampler", "steps", "spacing", "guidance", "kind", "guide", "label", "prompt",
    "negative", "seeds",
)  # fmt: skip
"""What makes a run anew."""
LOOK = ("workspace", "page", "step", "t", "left", "right", "strip", "sample", "alone")
"""What only looks at it."""
OWN: Mapping[str, tuple[str, ...]] = {
    "race": ("pair", "prompt", "label"),
    "guidance_bench": ("weight", "label"),
    "training": ("recipe",),
    "codebook": ("emoji", "picture"),
    "plane": ("layers", "ground"),
}
"""What is chosen in a workspace itself, by its name. Beside a `model` what is of a run, as the
prompt and the label, is of that run."""
WHOLE = ("steps", "step", "sample")
NUMBERS = ("guidance", "t", "weight")
SHOWN = ("left", "right", "strip")


@dataclass(frozen=True, slots=True)
class Setup:
    """What is to be run and looked at, as the lesson says it; what it leaves out is the default.

    A set-up without a model looks at the run that is there.
    """

    label: str
    line: int
    settings: Mapping[str, str] = field(default_factory=dict)
    path: Path = Path()

    @property
    def place(self) -> str:
        """Where it stands: the lesson's file and the line."""
        return f"{self.path}:{self.line}"

    @property
    def own(self) -> Mapping[str, str]:
        """What is to be chosen in the workspace itself."""
        return _own(self.settings)

    @property
    def model(self) -> str:
        """The id of the model to run, "" where none is to run."""
        return self.settings.get("model", "")

    @property
    def models(self) -> tuple[str, ...]:
        """The ids of all models that are wanted: the one that runs, those of a race."""
        names = (self.model, *self.settings.get("pair", "").split(","))
        return tuple(name.strip() for name in names if name.strip())

    @property
    def guide(self) -> str:
        """The id of the classifier or the weaker model that guides, "" for none."""
        return self.settings.get("guide", "")

    @property
    def workspace(self) -> str:
        """The workspace to go to; a run is looked at in "denoising" where nothing is said."""
        return self.settings.get("workspace", "denoising" if self.model else "")

    @property
    def page(self) -> str:
        """The workspace's page to turn to, "" for the one in front."""
        return self.settings.get("page", "")

    @property
    def panes(self) -> tuple[str | None, str | None]:
        """What the panes are to show; None leaves one as it is."""
        return self.settings.get("left"), self.settings.get("right")

    @property
    def alone(self) -> bool:
        """Whether the selected sample is shown alone."""
        return self.settings.get("alone", "no") == "yes"

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the run's samples."""
        return parse_seeds(self.settings.get("seeds", "0-15"))

    @property
    def sample(self) -> int | None:
        """The sample to select."""
        return None if "sample" not in self.settings else int(self.settings["sample"])

    def spec(self, card: ModelCard, judge: ModelCard | None = None) -> RunSpec:
        """The run to make with this model; judge is the classifier that guides, if one does.

        Raises InputError for what the model cannot do.
        """
        get = self.settings.get
        return sampling.spec_for(
            card,
            sampler=get("sampler"),
            steps=int(self.settings["steps"]) if "steps" in self.settings else None,
            spacing=get("spacing"),
            guidance=self._guidance(),
            label=self._label(judge or card),
            prompt=get("prompt"),
            negative_prompt=get("negative"),
            seeds=self.seeds,
            options=self._options(),
            judge=judge,
        )

    def _guidance(self) -> float | Guidance | None:
        scale = self.settings.get("guidance")
        if "kind" not in self.settings:
            return None if scale is None else float(scale)
        return Guidance(self.settings["kind"], float(scale or 1.0), self.guide)

    def _label(self, card: ModelCard) -> sampling.Label:
        """The label; several, with commas, are dealt out to the samples in turn."""
        text = self.settings.get("label")
        names = [] if text is None else [name.strip() for name in text.split(",")]
        if len(names) < 2:
            return text
        return [names[k % len(names)] for k in range(len(self.seeds))]

    def _options(self) -> dict[str, Value]:
        known = _options()
        return {
            name: known[name].checked(text)
            for name, text in self.settings.items()
            if name in known
        }

    def step(self, spec: RunSpec, card: ModelCard) -> int | None:
        """The step to look at; None where the end is meant."""
        if "step" in self.settings:
            return min(int(self.settings["step"]), spec.n_steps)
        if "t" not in self.settings:
            return None
        levels, t = spec.levels(card.schedule), float(self.settings["t"])
        return min(range(len(levels)), key=lambda k: abs(levels[k].t - t))


def parse(label: str, lines: Sequence[str], path: Path, line: int) -> Setup:
    """The set-up in these lines. Raises InputError naming file, line and what to do."""
    if not label:
        raise InputError(f"{path}:{line}: say what the button says: ```setup WORDS")
    own = dict.fromkeys(name for names in OWN.values() for name in names)
    known = dict.fromkeys((*RUN, *LOOK, *own, *_options()))
    settings = entries(lines, known, path, first=line + 1)
    if "picture" in settings:
        settings["picture"] = str(path.parent / settings["picture"])
    try:
        _check(settings)
    except InputError as error:
        raise InputError(f"{path}:{line}: {error}") from error
    return Setup(label, line, settings, path)


def entries(
    lines: Sequence[str], known: Collection[str], path: Path, first: int
) -> dict[str, str]:
    """`key: value` lines as a mapping. Raises InputError for another line or an unknown key."""
    read: dict[str, str] = {}
    for number, line in enumerate(lines, first):
        if not line.strip():
            continue
        key, colon, value = (part.strip() for part in line.partition(":"))
        if not colon or not value:
            raise InputError(f"{path}:{number}: '{line.strip()}' is no 'key: value'")
        if key not in known:
            raise InputError(f"{path}:{number}: no '{key}' here; known are {', '.join(known)}")
        if key in read:
            raise InputError(f"{path}:{number}: '{key}' is there twice")
        read[key] = value
    return read


def _check(settings: Mapping[str, str]) -> None:
    """Raise InputError for what no model can do."""
    for name in (*WHOLE, *NUMBERS):
        if name in settings:
            _check_number(name, settings[name], whole=name in WHOLE)
    for name in SHOWN:
        if name in settings:
            quantities.find(settings[name])
    if settings.get("alone", "no") not in ("yes", "no"):
        raise InputError(f"'alone' is yes or no, not '{settings['alone']}'")
    if "sampler" in settings:
        samplers.find(settings["sampler"])
    if "seeds" in settings:
        parse_seeds(settings["seeds"])
    known = _options()
    for name, text in settings.items():
        if name in known:
            known[name].checked(text)
    _check_own(settings)
    runs = [name for name in settings if name in RUN or name in known]
    runs = [name for name in runs if name not in _own(settings)]
    if runs and "model" not in settings:
        raise InputError(f"'{runs[0]}' is of a run: say which 'model' is to run")


def _own(settings: Mapping[str, str]) -> Mapping[str, str]:
    of_run = RUN if "model" in settings else ()
    names = OWN.get(settings.get("workspace", ""), ())
    return {k: v for k, v in settings.items() if k in names and k not in of_run}


def _check_own(settings: Mapping[str, str]) -> None:
    """Raise InputError for a choice of another workspace, or one that cannot be made."""
    for name in settings:
        takers = [place for place, names in OWN.items() if name in names and name not in RUN]
        if takers and settings.get("workspace") not in takers:
            raise InputError(f"'{name}' is chosen in a workspace: write 'workspace: {takers[0]}'")
    if "pair" in settings and len(settings["pair"].split(",")) != 2:
        raise InputError(f"'pair' is two models with a comma, not '{settings['pair']}'")
    if {"emoji", "picture"} <= settings.keys():
        raise InputError("'emoji' and 'picture' are two pictures: one is coded, choose it")
    if "picture" in settings and not Path(settings["picture"]).is_file():
        raise InputError(f"there is no picture {settings['picture']}: put it beside the lesson")


def _check_number(name: str, text: str, *, whole: bool) -> None:
    try:
        number = int(text) if whole else float(text)
    except ValueError:
        kind = "a whole number" if whole else "a number"
        raise InputError(f"'{name}' is {kind}, not '{text}'") from None
    if not 0 <= number <= 1e9 and name != "guidance":
        raise InputError(f"'{name}' cannot be {text}")


def _options() -> dict[str, Any]:
    """All options that any sampler has, by name."""
    known: dict[str, Any] = {option.name: option for option in RUN_OPTIONS}
    for name in samplers.every():
        known |= declared_options(name)
    return known
