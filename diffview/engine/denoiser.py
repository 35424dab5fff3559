"""What the engine asks of a model: the schedule it was trained on, and x0_hat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from diffview.engine.levels import NoiseLevel
from diffview.engine.schedules import Schedule

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Denoiser(Protocol):
    """A model as the engine sees it; B samples of shape D."""

    @property
    def schedule(self) -> Schedule:
        """The noise schedule the network was trained on."""

    @property
    def data_shape(self) -> tuple[int, ...]:
        """D, the shape of one sample."""

    @property
    def device(self) -> torch.device:
        """Where the network and its inputs lie."""

    def __call__(self, x_t: Tensor, level: NoiseLevel, condition: Tensor | None) -> Tensor:
        """x0_hat (B, *D) of x_t (B, *D) under condition (B, ...)."""

    def null_condition(self, batch: int) -> Tensor | None:
        """The condition that means "none" for `batch` samples; None where there are none."""


class TakesText(Denoiser, Protocol):
    """A model whose condition is a text: the engine only ever sees it encoded."""

    def encode(self, prompts: Sequence[str]) -> Tensor:
        """The condition (B, ...) of B prompts on the model's device, as a call takes it.

        One tensor: a model with several (states, their pool, a mask) lays them side by side in
        one row each. A prompt's row does not depend on the prompts beside it.
        """


class Decodes(Denoiser, Protocol):
    """A model whose samples are latents, and what turns them into pictures.

    Its card says `latent`, and in `picture_shape` what P is.
    """

    @property
    def decoder_sha256(self) -> str:
        """A hash of the decoder's weights: what is fitted to a decoder is kept under it."""

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures (B, *P), mostly within -1 .. 1, of latents (B, *D) as the sampler holds them.

        Latents of other heights and widths than D's do too, where the decoder is convolutional.
        """


class LearnsVariance(Denoiser, Protocol):
    """A model whose network also learned the variance of a step (`learned_variance` is true)."""

    def with_variance(
        self, x_t: Tensor, level: NoiseLevel, condition: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """x0_hat (B, *D), and f (B, *D): log variance = f log(large) + (1 - f) log(small).

        f = (v + 1) / 2 of the network's second half v, mostly within 0 .. 1 (Nichol & Dhariwal
        2021, arXiv 2102.09672, eq. 15).
        """
