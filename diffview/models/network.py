"""A denoiser around a network f(x_t, t[, label]) of any prediction type."""

from __future__ import annotations

import copy
import inspect
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from diffview.engine import shortage
from diffview.engine.conversions import SIGMA_DATA, TO_X0, preconditioning, x0_from_edm
from diffview.engine.levels import NoiseLevel
from diffview.engine.schedules import Edm, Schedule
from diffview.errors import DiffviewError, InputError, NonFiniteError
from diffview.models.card import ModelCard
from diffview.models.memory import Room, check_decode

log = logging.getLogger(__name__)


class TextEncoder(Protocol):
    """From words to the one tensor that a network takes as its condition."""

    def __call__(self, prompts: Sequence[str]) -> Tensor:
        """(B, ...) of B prompts, each row independent of the others."""

    def null(self, batch: int) -> Tensor | None:
        """The condition of no prompt at all, `batch` times; None if the model has none."""


class Decoder(Protocol):
    """From latents as the sampler holds them to pictures."""

    @property
    def sha256(self) -> str:
        """A hash of its weights."""

    def __call__(self, latents: Tensor) -> Tensor:
        """Pictures (B, *P), mostly within -1 .. 1, of latents (B, *D)."""


class Encodes(Protocol):
    """A decoder that knows the way there too."""

    def encode(self, pictures: Tensor) -> Tensor:
        """Latents (B, *D) as the sampler holds them, of pictures (B, *P) within -1 .. 1."""


class NetworkDenoiser:
    """x0_hat from a network; labels (B,) int64, `null` the label that means none.

    A network that takes prompts is given what `text` makes of them in place of labels. The second
    argument of a network is always t, the third the condition if it has one. `decoder` is there
    where the samples are latents that can be shown as pictures.
    """

    def __init__(
        self,
        card: ModelCard,
        network: Callable[..., Tensor],
        device: torch.device | str = "cpu",
        null: int | None = None,
        *,
        text: TextEncoder | None = None,
        decoder: Decoder | None = None,
    ) -> None:
        if card.prediction not in TO_X0:
            raise InputError(
                f"unknown prediction type '{card.prediction}'; known are {', '.join(TO_X0)}"
            )
        self.card = card
        self.device = torch.device(device)
        self._network, self._null = network, null
        if card.takes_text != (text is not None):
            raise InputError(
                "a model whose card tells of prompts needs a text encoder, and no other"
            )
        self._text, self._decoder = text, decoder
        self._conditional = bool(card.classes) or card.takes_text

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
        """The null label, or the encoding of no prompt, `batch` times."""
        if self._text is not None:
            return self._text.null(batch)
        if self._null is None:
            return None
        return torch.full((batch,), self._null, dtype=torch.int64, device=self.device)

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> Tensor:
        """See `engine.denoiser.TakesText`. Raises InputError where no prompts are taken."""
        if self._text is None:
            raise InputError(f"model '{self.card.id}' takes no prompt")
        with shortage.explained("encoding the prompt"):
            return self._text(prompts)

    @property
    def decoder_sha256(self) -> str:
        """See `engine.denoiser.Decodes`; "" where nothing decodes."""
        return self._decoder.sha256 if self._decoder is not None else ""

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """See `engine.denoiser.Decodes`. One by one: a picture does not depend on its batch.

        Raises DiffviewError where nothing decodes, or one picture does not fit into memory, and
        NonFiniteError where a picture is none: NaN would be drawn as black.
        """
        if self._decoder is None:
            raise DiffviewError(f"model '{self.card.id}' has no decoder: its samples stay latents")
        if self.room is not None:
            check_decode(self.room, self.card.id, self.device)
        with shortage.explained(
            f"decoding a picture of {'x'.join(map(str, self.card.picture_shape))}"
        ):
            pictures = torch.cat([self._decoder(latent[None]) for latent in latents])
        if not bool(pictures.isfinite().all()):
            raise NonFiniteError(self._no_picture(latents, pictures))
        return pictures

    def _no_picture(self, latents: Tensor, pictures: Tensor) -> str:
        broken = ~pictures.flatten(1).isfinite().all(dim=1)
        name = self.card.decoder.partition(" ")[0] or type(self._decoder).__name__
        told = (
            f"the decoder ({name}) of model '{self.card.id}' gave NaN or infinity for sample "
            f"{', '.join(map(str, broken.nonzero().flatten().tolist()[:8]))}"
        )
        if not bool(latents.isfinite().all()):
            return f"{told}, whose latents are not finite"
        return (
            f"{told}, though its latents are finite (within ±{float(latents.abs().max()):.3g}): "
            "its weights may be damaged, so fetch them again"
        )

    @property
    def decoder(self) -> Decoder | None:
        """What makes pictures of its samples, if they are latents."""
        return self._decoder

    @torch.no_grad()
    def latents(self, pictures: Tensor) -> Tensor:
        """Latents (B, *D) of pictures (B, *P) within -1 .. 1, by the decoder's own encoder.

        Raises DiffviewError where nothing encodes, one picture does not fit into memory, or the
        encoder gives what is no number.
        """
        if not hasattr(self._decoder, "encode"):
            raise DiffviewError(
                f"model '{self.card.id}' has no encoder, so no picture can be brought into its "
                "latents: choose a sample of its run"
            )
        stage = cast(Encodes, self._decoder)
        size = "x".join(map(str, self.card.picture_shape))
        with shortage.explained(f"encoding a picture of {size}"):
            latents = torch.cat([stage.encode(picture[None]) for picture in pictures])
        if not bool(latents.isfinite().all()):
            raise DiffviewError(
                f"the encoder of model '{self.card.id}' gave latents that are NaN or infinite: "
                "choose another picture, or number type float32"
            )
        return latents

    @property
    def learned_variance(self) -> bool:
        """Whether the network has a second half of channels, for the variance of a step."""
        return self.card.learned_variance

    def network_time(self, level: NoiseLevel) -> float:
        """The time that the network is given at `level`.

        EDM's c_noise with its preconditioning; else level.t, rounded where the card says that the
        network takes whole times only, so up to half a time beside the level's own.
        """
        if self.card.prediction == "edm":
            return preconditioning(level, self._sigma_data).noise
        return float(round(level.t)) if self.card.whole_times else level.t

    def at_scale(self, scale: float) -> NetworkDenoiser:
        """The same model whose network is told `scale`; see `conditions.TakesScale`."""
        other = copy.copy(self)
        other._network = partial(self._network, guidance_scale=scale)
        return other

    rows_at_once: int | None = None
    """How many rows the network is given at once; None: all. Fewer where memory was short."""
    room: Room | None = None
    """What memory one sample takes, where it was measured."""

    def __call__(self, x_t: Tensor, level: NoiseLevel, condition: Tensor | None) -> Tensor:
        """x0_hat (B, *D). Raises DiffviewError when the network's output has another shape."""
        return self._x0(x_t, self._output(x_t, level, condition)[0], level)

    def with_variance(
        self, x_t: Tensor, level: NoiseLevel, condition: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """x0_hat and f (B, *D), see `engine.denoiser.LearnsVariance`."""
        out, v = self._output(x_t, level, condition)
        if v is None:
            raise DiffviewError("this network has learned no variance; its card says so")
        return self._x0(x_t, out, level), (v + 1) / 2

    def _x0(self, x_t: Tensor, out: Tensor, level: NoiseLevel) -> Tensor:
        if self.card.prediction == "edm":
            x0_hat: Tensor = x0_from_edm(x_t, out, level, self._sigma_data)
        else:
            x0_hat = TO_X0[self.card.prediction](x_t, out, level)
        # Another copy where nothing was computed: a network may use its output's memory again.
        return x0_hat.clone() if x0_hat is out else x0_hat

    @property
    def _sigma_data(self) -> float:
        schedule = self.card.schedule
        return schedule.sigma_data if isinstance(schedule, Edm) else SIGMA_DATA

    def _output(
        self, x_t: Tensor, level: NoiseLevel, condition: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """What the network predicts, and its second half where it learned a variance."""
        # Whole times go as int64: many networks look something up at t.
        time = self.network_time(level)
        t = torch.full((len(x_t),), time, device=x_t.device)
        t = t.long() if time.is_integer() and self.card.prediction != "edm" else t
        # A copy: many networks write into their input, which is kept as what the sampler held.
        given = x_t.clone()
        if self.card.prediction == "edm":
            given = preconditioning(level, self._sigma_data).into / level.alpha * x_t
        out = self._call(given, t, condition)
        if not isinstance(out, Tensor):
            raise DiffviewError(
                f"the network returned a {type(out).__name__}; it must return one tensor of the "
                "shape of x_t (wrap a function that picks it out)"
            )
        if self.learned_variance:
            return self._halves(x_t, out)
        if out.shape != x_t.shape:
            twice = out.shape == (len(x_t), 2 * x_t.shape[1], *x_t.shape[2:])
            raise DiffviewError(
                f"the network returned shape {tuple(out.shape)} for x_t of {tuple(x_t.shape)}; "
                "both must be equal" + (" unless it learned a variance" if twice else "")
            )
        return out, None

    def _halves(self, x_t: Tensor, out: Tensor) -> tuple[Tensor, Tensor]:
        expected = (len(x_t), 2 * x_t.shape[1], *x_t.shape[2:])
        if tuple(out.shape) != expected:
            raise DiffviewError(
                f"the network returned shape {tuple(out.shape)}; with a learned variance it must "
                f"be {expected}, the prediction's channels and then the variance's"
            )
        prediction, v = out.chunk(2, dim=1)
        return prediction, v

    def _call(self, x_t: Tensor, t: Tensor, condition: Tensor | None) -> Tensor:
        if not self._conditional:
            return self._in_parts(x_t, t)
        label = condition if condition is not None else self.null_condition(len(x_t))
        if label is None:
            needs = "a prompt" if self._text else "a class: choose one of its labels"
            raise InputError(f"this model needs {needs}")
        return self._in_parts(x_t, t, label)

    def _in_parts(self, *inputs: Tensor) -> Tensor:
        """The network's output, asked for `rows_at_once` after the other where that is fewer.

        What does not fit into memory is tried again by halves, and from then on by as many.
        """
        first = rows = min(self.rows_at_once or len(inputs[0]), len(inputs[0]))
        while True:
            try:
                out = self._by(rows, inputs)
                break
            except Exception as error:
                if rows <= 1 or not shortage.is_shortage(error):
                    raise
                shortage.let_go(error)
            rows = (rows + 1) // 2
        if rows < first:
            self.rows_at_once = rows
            log.warning(
                "%d evaluations at once do not fit into memory: it goes on with %d at a time, "
                "which gives the same samples and takes longer", first, rows,
            )  # fmt: skip
        return out

    def _by(self, rows: int, inputs: tuple[Tensor, ...]) -> Tensor:
        if rows >= len(inputs[0]):
            return self._network(*inputs)
        parts = zip(*(torch.split(tensor, rows) for tensor in inputs), strict=True)
        return torch.cat([self._network(*part) for part in parts])


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
