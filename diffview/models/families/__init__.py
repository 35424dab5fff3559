"""Families, one file each: from a file with a card to something that can be called.

A family registers its loader with `@family(name)`; the card's `family` chooses it.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from diffview import tensorfile
from diffview.errors import InputError
from diffview.models.catalog import Entry

if TYPE_CHECKING:
    import torch
    from torch import nn

Loader = Callable[..., Any]
"""(entry, device) -> model; that of CHOOSES_DTYPE takes a number type too."""

CHOOSES_DTYPE = "diffusers"

_REGISTRY: dict[str, Loader] = {}


def family(name: str) -> Callable[[Loader], Loader]:
    """Register the decorated loader for cards of family `name`."""

    def register(load: Loader) -> Loader:
        _REGISTRY[name] = load
        return load

    return register


def load(entry: Entry, device: str | torch.device = "cpu", dtype: str = "auto") -> Any:
    """The model of `entry`, on `device`; of large ones the number type can be chosen.

    Raises InputError when file and card do not agree.
    """
    import torch

    loaders = _loaders()
    if entry.card.family not in loaders:
        raise InputError(
            f"{entry.path}: family '{entry.card.family}' is not known here "
            f"(known: {', '.join(sorted(loaders))}); a newer diffview may open it"
        )
    if dtype != "auto" and entry.card.family != CHOOSES_DTYPE:
        raise InputError(f"model '{entry.card.id}' is float32: its number type cannot be chosen")
    chosen = () if dtype == "auto" else (dtype,)
    try:
        return loaders[entry.card.family](entry, torch.device(device), *chosen)
    except InputError as error:
        where = str(entry.path)
        raise InputError(str(error) if where in str(error) else f"{where}: {error}") from None


@cache
def _loaders() -> dict[str, Loader]:
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return _REGISTRY


def config(entry: Entry) -> dict[str, Any]:
    """The network's configuration from the file's header."""
    text = tensorfile.read_header(entry.path).metadata.get("diffview.config", "")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InputError(f"{entry.path}: the network's configuration is missing or damaged")
    return value


def check_fit(entry: Entry, data_shape: tuple[int, ...], classes: int) -> None:
    """Raise InputError when the card tells of other samples or classes than the network has."""
    card = entry.card
    if card.data_shape != data_shape:
        raise InputError(
            f"the model's card tells of samples {card.data_shape}, its network is for {data_shape}"
        )
    if len(card.classes) != classes:
        raise InputError(
            f"the model's card tells of {len(card.classes)} classes, its network has {classes}"
        )


def build(entry: Entry, make: Callable[[dict[str, Any]], nn.Module]) -> nn.Module:
    """The network that `make` builds from the configuration, filled with the file's weights.

    Built without memory first, so a configuration that lies about its size costs nothing.
    Raises InputError naming the tensor that is missing, too many, misshapen or not finite.
    """
    import torch
    from safetensors.torch import load as load_tensors

    try:
        with torch.device("meta"), without_values():
            expected = {k: v.shape for k, v in make(config(entry)).state_dict().items()}
    except (TypeError, ValueError, KeyError, OverflowError, RuntimeError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise InputError(
            f"{entry.path}: the network's configuration is damaged: {reason}"
        ) from None
    _check_names(entry, expected)
    stored = load_tensors(tensorfile.read_bytes(entry.path))
    tensors = {name: tensor.float() for name, tensor in stored.items()}
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise InputError(f"{entry.path}: tensor '{name}' holds NaN or infinite values")
    network = make(config(entry))
    network.load_state_dict(tensors)
    return network.eval().requires_grad_(False)


def without_values() -> Any:
    """A context in which new layers are not filled with random numbers.

    On "meta" there is nothing to fill, but trying to imports torch's compiler, which takes as long
    as importing torch.
    """
    from torch.overrides import TorchFunctionMode

    class WithoutValues(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            given = kwargs or {}
            if func.__name__ in ("normal_", "uniform_", "kaiming_uniform_"):
                return args[0] if args else given["tensor"]
            return func(*args, **given)

    return WithoutValues()


def _check_names(entry: Entry, expected: dict[str, torch.Size]) -> None:
    found = tensorfile.read_header(entry.path).tensors
    for name in expected.keys() - found.keys():
        raise InputError(f"{entry.path}: tensor '{name}' is missing")
    for name in found.keys() - expected.keys():
        raise InputError(f"{entry.path}: tensor '{name}' does not belong to this network")
    for name, shape in expected.items():
        if found[name].shape != tuple(shape):
            raise InputError(
                f"{entry.path}: tensor '{name}' has shape {found[name].shape}, "
                f"the configuration asks for {tuple(shape)}"
            )
