"""A denoiser around a network f(x_t, t[, label]) of any prediction type."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import torch
from torch import Tensor, nn

from diffview.engine.conversions import TO_X0
from diffview.engine.levels import NoiseLevel
from diffview.engine.schedules import Schedule
from diffview.errors import DiffviewError, InputError
from diffview.models.card import ModelCard


class NetworkDenoiser:
    """x0_hat from a network; labels (B,) int64, `null` the label that means none."""

    def __init__(
        self,
        card: ModelCard,
        network: Callable[..., Tensor],
        device: torch.device | str = "cpu",
        null: int | None = None,
    ) -> None:
        if card.prediction not in TO_X0:
            raise InputError(
                f"unknown prediction type '{card.prediction}'; known are {', '.join(TO_X0)}"
            )
        self.card = card
        self.device = torch.device(device)
        self._network, self._null = network, null
        self._takes_label = bool(card.classes)

    @property
    def schedule(self) -> Schedule:
        """The schedule the network was trained on."""
        return self.card.schedule

    @property
    def data_shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return self.card.data_shape

    @property
    def network(self) -> Callable[..., Tensor]:
        """The bare network, which knows nothing of schedules and predictions."""
        return self._network

    def null_condition(self, batch: int) -> Tensor | None:
        """The null label, `batch` times."""
        if self._null is None:
            return None
        return torch.full((batch,), self._null, dtype=torch.int64, device=self.device)

    def __call__(self, x_t: Tensor, level: NoiseLevel, condition: Tensor | None) -> Tensor:
        """x0_hat (B, *D). Raises DiffviewError when the network's output has another shape."""
        # Whole times go as int64: many networks look something up at t.
        t = torch.full((len(x_t),), level.t, device=x_t.device)
        t = t.long() if level.t.is_integer() else t
        # A copy: many networks write into their input, which is kept as what the sampler held.
        out = self._call(x_t.clone(), t, condition)
        if not isinstance(out, Tensor):
            raise DiffviewError(
                f"the network returned a {type(out).__name__}; it must return one tensor of the "
                "shape of x_t (wrap a function that picks it out)"
            )
        if out.shape != x_t.shape:
            raise DiffviewError(
                f"the network returned shape {tuple(out.shape)} for x_t of {tuple(x_t.shape)}; "
                "both must be equal"
            )
        x0_hat: Tensor = TO_X0[self.card.prediction](x_t, out, level)
        # Another copy where nothing was computed: a network may use its output's memory again.
        return x0_hat.clone() if x0_hat is out else x0_hat

    def _call(self, x_t: Tensor, t: Tensor, condition: Tensor | None) -> Tensor:
        if not self._takes_label:
            return self._network(x_t, t)
        label = condition if condition is not None else self.null_condition(len(x_t))
        if label is None:
            raise InputError("this model needs a class: choose one of its labels")
        return self._network(x_t, t, label)


def channels_last(network: nn.Module) -> nn.Module:
    """The network with its weights in the memory order that convolutions run fastest in."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def takes_label(network: Callable[..., Tensor]) -> bool:
    """Whether a callable can be given a third argument, the label."""
    target = network.forward if isinstance(network, torch.nn.Module) else network
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        return True
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(positional) >= 3 or any(p.kind is p.VAR_POSITIONAL for p in parameters)
