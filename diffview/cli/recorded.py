"""What `verify` and `sample --from` share: reading a saved run, and the models that made it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffview.cli.report import Report
from diffview.engine import origin, session
from diffview.engine.spec import RunSpec
from diffview.engine.trajectory import Trajectory
from diffview.errors import InputError
from diffview.exporters import carriers, recipe
from diffview.models import catalog, guides, sampling
from diffview.models.catalog import Entry

TRAJECTORY = "trajectory.safetensors"


def load(path: Path) -> tuple[Trajectory, dict[str, Any]]:
    """The run in `path`. Raises InputError saying what to give instead, where there is none."""
    if path.is_dir():
        raise InputError(_folder(path))
    try:
        return session.load(path)
    except InputError:
        if _has_recipe(path):
            raise InputError(
                f"{path} says how a run was made, and holds none of its numbers: give a "
                f".dvsession, or the {TRAJECTORY} of an export with --format safetensors"
            ) from None
        raise


def _folder(path: Path) -> str:
    if (path / TRAJECTORY).is_file():
        return f"{path} is a folder: give the run in it, {path / TRAJECTORY}"
    if (path / recipe.FILENAME).is_file():
        return (
            f"{path} is a folder of exported pictures, which hold none of the run's numbers: give "
            f"a .dvsession, or export with --format safetensors and give its {TRAJECTORY}"
        )
    return f"{path} is a folder: give a .dvsession or a {TRAJECTORY}"


def _has_recipe(path: Path) -> bool:
    try:
        return not carriers.is_safetensors(path) and bool(recipe.read(path))
    except (InputError, OSError):
        return False


def model_of(given: str | None, spec: RunSpec) -> Entry:
    """The model asked for, else the bundled one that the run names.

    A run's file may come from anyone: no path in it is opened.
    """
    if given is not None:
        return catalog.find(given)
    name = spec.model_id
    for entry in catalog.bundled():
        if entry.card.id == name:
            return entry
    if name == sampling.WRAPPED:
        raise InputError(
            "this run was made with a network of a Python process (diffview.wrap), which is in no "
            "file: load the run there and give it the model, as in diffview.load(FILE)"
            ".verify(model)"
        )
    raise InputError(
        f"this run was made with model '{name}', which does not ship with diffview: "
        "give its file with --model FILE"
    )


def guides_of(given: str | None, spec: RunSpec) -> dict[str, Entry]:
    """The files of the second models that the parts of a run name, by id.

    `given` is the one of the run's own guidance. Raises InputError for one that is not here.
    """
    found: dict[str, Entry] = {}
    for part in origin.parts(spec):
        name = part.guidance.guide
        entry = guides.entry_for(given if name == spec.guidance.guide else None, name)
        if entry is not None and name:
            found[name] = entry
    return found


def guide_weights(about: Mapping[str, Any], name: str) -> str:
    """The hash of a guide's weights as the run says, "" where it does not."""
    several = about.get("guides")
    if isinstance(several, Mapping) and name in several:
        return str(several[name])
    return guides.weights_of(about)


def compare_weights(saved: str, entry: Entry, report: Report) -> None:
    """Tell whether these are the weights that made the run."""
    now = entry.card.weights_sha256
    if not saved:
        report.note(f"the run does not say which weights of '{entry.card.id}' it used")
    elif saved != now:
        report.note(
            f"the weights differ: the run used sha256 {saved[:12]}..., "
            f"{entry.path} has {now[:12]}..."
        )
    else:
        report.note(f"the weights are the same: sha256 {now[:12]}...")


def device_of(given: str | None, about: Mapping[str, Any], report: Report) -> str:
    """The device asked for, else the one the run was made on, if it is here."""
    if given is not None:
        return given
    saved = str(about.get("device") or "auto")
    try:
        sampling.choose_device(saved)
    except InputError:
        report.note(f"the run was made on '{saved}', which is not here: expect small differences")
        return "auto"
    return saved
