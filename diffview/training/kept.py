"""The trainings of the lab on the disk: what was ordered, how far it came, where its files are.

A training is a folder with `order.json` (what was asked for, and the step of the checkpoint),
`checkpoint.ckpt` and `history.safetensors` (the curves and pictures so far).
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from diffview import places
from diffview.atomic import replacing
from diffview.errors import InputError

ORDER, CHECKPOINT, HISTORY = "order.json", "checkpoint.ckpt", "history.safetensors"


@dataclass(frozen=True, slots=True)
class Order:
    """What a person asks of the lab; None: as the recipe says.

    data: the folder of the data; begin: a model's file whose weights it begins with; samples: how
    many to show in all, each as often as it is shown.
    """

    recipe: str
    data: Path | None = None
    begin: Path | None = None
    samples: int | None = None
    learning_rate: float | None = None
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        """A JSON value `order_from_json` reads back."""
        value = asdict(self)
        for name in ("data", "begin"):
            value[name] = None if value[name] is None else str(value[name])
        return value


def order_from_json(value: dict[str, Any]) -> Order:
    """The order that `to_json` wrote. Raises TypeError or ValueError for anything else."""
    order = Order(**value)
    kinds = {"recipe": str, "samples": int | None, "learning_rate": float | None, "seed": int}
    for name, kind in kinds.items():
        if not isinstance(getattr(order, name), kind):
            raise TypeError(f"{name} is {getattr(order, name)!r}")
    return replace(order, data=_path(order.data), begin=_path(order.begin))


def _path(text: Path | str | None) -> Path | None:
    return None if text is None else Path(text)


@dataclass(frozen=True, slots=True)
class KeptTraining:
    """A training that can be resumed: its folder, its order, and where its checkpoint stands."""

    folder: Path
    order: Order
    step: int
    steps: int

    @property
    def checkpoint(self) -> Path:
        """The file of the checkpoint."""
        return self.folder / CHECKPOINT

    @property
    def history(self) -> Path:
        """The file of the curves and pictures."""
        return self.folder / HISTORY

    def write(self) -> None:
        """Write down order and step. Raises OSError when the disk refuses."""
        value = {"order": self.order.to_json(), "step": self.step, "steps": self.steps}
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(self.folder / ORDER) as partial:
            partial.write_text(json.dumps(value, indent=1), encoding="utf-8")

    def delete(self) -> None:
        """Remove its folder. Raises OSError when the disk refuses."""
        if self.folder.exists():
            shutil.rmtree(self.folder)


def trainings_folder() -> Path:
    """Where the trainings of this person are kept; without a home, among temporary files."""
    data = places.folder("data")
    return (data or Path(tempfile.gettempdir()) / "diffview") / "training"


def fresh_folder(recipe: str, among: Path | None = None) -> Path:
    """A folder for a new training of `recipe` that is not there yet; it is not made."""
    parent = among or trainings_folder()
    return next(one for k in range(1, 10**6) if not (one := parent / f"{recipe}-{k}").exists())


def kept_trainings(among: Path | None = None) -> tuple[KeptTraining, ...]:
    """Those with a checkpoint, the newest first; what cannot be read is left out."""
    found = []
    for path in sorted((among or trainings_folder()).glob(f"*/{ORDER}")):
        if (path.parent / CHECKPOINT).is_file():
            try:
                found.append((path.stat().st_mtime, read(path.parent)))
            except (OSError, InputError):
                continue
    return tuple(kept for _, kept in sorted(found, key=lambda pair: -pair[0]))


def read(folder: Path) -> KeptTraining:
    """The training in `folder`. Raises InputError when it is none."""
    path = folder / ORDER
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        order = order_from_json(value["order"])
        return KeptTraining(folder, order, int(value["step"]), int(value["steps"]))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path} is not the order of a training ({error}); delete its folder"
        ) from None
