"""Token by token: each one drawn from what the model predicts after those before it.

    token_i ~ softmax(logits_i / temperature) of the top_k most likely, i in reading order

The chain rule of probability, so with temperature 1 and all tokens the draw is exact: van den
Oord, Kalchbrenner, Kavukcuoglu (2016), arXiv 1601.06759, eq. 1. Nothing is ever taken back.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

from diffview.engine.next_token import Choice, Float32, Float64, Int64, choose
from diffview.engine.options import Option
from diffview.engine.samplers import sampler

TEMPERATURE = Option(
    name="temperature",
    title="Temperature",
    default=1.0,
    low=0.0,
    high=10.0,
    help="Divides the logits: below 1 the likely tokens become likelier, at 0 the likeliest is "
    "always taken, above 1 chance has more say.",
    source="Ackley, Hinton, Sejnowski 1985 (Boltzmann machines)",
)
TOP_K = Option(
    name="top_k",
    title="Top k",
    default=0,
    low=0,
    high=1_000_000,
    help="Only the k most likely tokens can be drawn; 0: all of them.",
    source="Fan et al. 2018, arXiv 1805.04833, section 5.4",
)


@dataclass(frozen=True, slots=True)
class Logits:
    """Of the next token, (B, K): the value to draw from and, where guided, what it is made of."""

    value: Float32
    base: Float32 | None = None
    direction: Float32 | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """A step: the tokens (B, N) before it, NOT_YET from place i on, and what it chooses there.

    At the end, i = N, there is nothing more to choose.
    """

    i: int
    tokens: Int64
    logits: Logits | None = None
    choice: Choice | None = None
    uniform: Float64 | None = None


@sampler(
    name="autoregressive",
    title="By token",
    order=0,
    stochastic=True,
    options=(TEMPERATURE, TOP_K),
    source="van den Oord, Kalchbrenner, Kavukcuoglu 2016, arXiv 1601.06759, eq. 1",
    by_token=True,
    no_sum="A picture written token by token is not moved: each step draws one token more.",
)
def autoregressive(
    read: Callable[[Int64, int], Logits],
    tokens: Int64,
    first: int,
    uniform: Callable[[int], Float64],
    *,
    temperature: float = 1.0,
    top_k: int = 0,
) -> Generator[Token, None, None]:
    """Write places first .. N - 1 of tokens (B, N); read(tokens, i): logits of token i."""
    for i in range(first, tokens.shape[1]):
        logits, u = read(tokens, i), uniform(i)
        choice = choose(logits.value, u, temperature, top_k)
        yield Token(i, tokens, logits, choice, u)
        tokens = tokens.copy()
        tokens[:, i] = choice.token
    yield Token(tokens.shape[1], tokens)
