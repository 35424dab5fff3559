"""wrap(): a researcher's own callable as a model, without a file."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from diffview.engine import schedules
from diffview.engine.conversions import TO_X0
from diffview.engine.schedules import Schedule
from diffview.errors import InputError
from diffview.models.card import ModelCard
from diffview.models.network import NetworkDenoiser, takes_label
from diffview.models.sampling import WRAPPED


def wrap(
    network: Callable[..., Tensor],
    *,
    shape: Sequence[int],
    schedule: str | Schedule | ArrayLike = "linear",
    prediction: str = "eps",
    classes: int | Sequence[str] = 0,
    null: int | None = None,
    learned_variance: bool = False,
    whole_times: bool = False,
    title: str = "Your network",
    device: str | torch.device | None = None,
) -> NetworkDenoiser:
    """A model around f(x_t, t) or f(x_t, t, label): x_t (B, *shape) float32, t (B,) the
    schedule's own time, label (B,) int64.

    schedule: a name, a Schedule, or alphas_cumprod or betas as numbers (falling numbers are
    alphas_cumprod, others betas). prediction: eps, x0, v, flow (eps - x_0) or edm (F of c_in y and
    c_noise). learned_variance: the network returns twice the channels, the second half for DDPM's
    variance; whole_times: it is asked at the nearest whole time. classes: how many, or their
    names; `null` is the label that means none and makes guidance possible. The device is the
    network's own unless given.
    Raises InputError for anything it cannot use.
    """
    if not callable(network):
        raise InputError(f"wrap needs a callable f(x_t, t), not a {type(network).__name__}")
    if prediction not in TO_X0:
        raise InputError(f"unknown prediction '{prediction}'; known are {', '.join(TO_X0)}")
    data_shape = _data_shape(shape)
    names = _class_names(classes)
    if names and not takes_label(network):
        raise InputError("classes were given, but the network takes no label: f(x_t, t, label)")
    card = ModelCard(
        id=WRAPPED,
        title=title,
        family=WRAPPED,
        data_shape=data_shape,
        prediction=prediction,
        schedule=_as_schedule(schedule),
        classes=names,
        learned_variance=learned_variance,
        whole_times=whole_times,
        parameters=_parameters(network),
        source="a network of this Python process",
    )
    return NetworkDenoiser(card, _evaluating(network), device or _device_of(network), null)


def _data_shape(shape: Sequence[int]) -> tuple[int, ...]:
    try:
        sizes = tuple(operator.index(size) for size in shape)
    except TypeError:
        sizes = ()
    if not sizes or min(sizes) < 1:
        raise InputError(f"shape = {shape} must be one sample's, such as (3, 32, 32)")
    return sizes


def _class_names(classes: int | Sequence[str]) -> tuple[str, ...]:
    if isinstance(classes, int) and classes >= 0:
        return tuple(str(k) for k in range(classes))
    if isinstance(classes, str) or not isinstance(classes, Sequence):
        raise InputError(f"classes = {classes} must be how many there are, or a list of names")
    return tuple(str(name) for name in classes)


def _as_schedule(schedule: str | Schedule | ArrayLike) -> Schedule:
    if isinstance(schedule, Schedule):
        return schedule
    if isinstance(schedule, str):
        return schedules.named(schedule)
    try:
        values = torch.as_tensor(schedule, dtype=torch.float64).numpy(force=True)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"the schedule must be a name, a Schedule or one row of numbers: {error}"
        ) from None
    falling = values.ndim == 1 and len(values) > 1 and values[-1] < values[0]
    if falling:
        return schedules.given(alphas_cumprod=values)
    return schedules.given(betas=values)


def _evaluating(network: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return network.eval() if isinstance(network, torch.nn.Module) else network


def _device_of(network: Callable[..., Tensor]) -> torch.device:
    if isinstance(network, torch.nn.Module):
        for parameter in network.parameters():
            return parameter.device
    return torch.device("cpu")


def _parameters(network: Callable[..., Tensor]) -> int:
    if isinstance(network, torch.nn.Module):
        return sum(parameter.numel() for parameter in network.parameters())
    return 0
