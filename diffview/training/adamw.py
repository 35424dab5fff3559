"""AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101, algorithm 2), for networks of seconds.

The same steps as torch.optim.AdamW. That one imports torch's compiler when it is first made, which
takes longer than such a training: a person who presses Train would wait for nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor


class AdamW:
    """Moves parameters (of a network on one device) against their gradients."""

    def __init__(
        self,
        parameters: Iterable[Tensor],
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        self._betas, self._eps, self._weight_decay = betas, eps, weight_decay
        self._steps = 0
        self._all = [(p, torch.zeros_like(p), torch.zeros_like(p)) for p in parameters]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter, _, _ in self._all:
            parameter.grad = None

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """One step at this learning rate; parameters without a gradient stay."""
        self._steps += 1
        one, two = (1 - beta**self._steps for beta in self._betas)
        for parameter, mean, square in self._all:
            gradient = parameter.grad
            if gradient is None:
                continue
            parameter.mul_(1 - lr * self._weight_decay)
            mean.lerp_(gradient, 1 - self._betas[0])
            square.mul_(self._betas[1]).addcmul_(gradient, gradient, value=1 - self._betas[1])
            spread = square.sqrt().div_(math.sqrt(two)).add_(self._eps)
            parameter.addcdiv_(mean, spread, value=-lr / one)
