"""Choosing the next token of an autoregressive model: temperature, top-k, entropy, the draw.

One function per formula, all on logits or probabilities (B, K) of one token.
"""

from __future__ import annotations

import torch
from torch import Tensor


def guided(base: Tensor, conditional: Tensor, guidance_scale: float) -> Tensor:
    """Classifier-free guidance of logits: base + gamma (conditional - base).

    0 unconditional, 1 conditional, above 1 guided, as for x0_hat; the densities' form of Ho &
    Salimans (2022), arXiv 2207.12598, used on tokens by Gafni et al. (2022), arXiv 2203.13131.
    """
    return base + guidance_scale * (conditional - base)


def probabilities(logits: Tensor, temperature: float = 1.0, top_k: int = 0) -> Tensor:
    """softmax(logits / temperature) of the top_k most likely tokens, the others 0.

    temperature 0 is the limit: all on the most likely token, the first of equals. top_k 0: all.
    Fan et al. (2018), arXiv 1805.04833, section 5.4 (top-k).
    """
    if temperature == 0:
        best = logits.argmax(dim=-1, keepdim=True)
        return torch.zeros_like(logits).scatter_(-1, best, 1.0)
    scaled = logits / temperature
    if 0 < top_k < logits.shape[-1]:
        kept = scaled.topk(top_k, dim=-1).indices
        scaled = torch.full_like(scaled, -torch.inf).scatter_(-1, kept, scaled.gather(-1, kept))
    return scaled.softmax(dim=-1)


def entropy(p: Tensor) -> Tensor:
    """-sum p log p in nats, (B, K) -> (B,): how open it is what comes next."""
    h: Tensor = torch.special.entr(p).sum(dim=-1)
    return h


def drawn(p: Tensor, u: Tensor) -> Tensor:
    """The tokens (B,) at u (B,) in [0, 1) of the cumulated p (B, K): inversion of the CDF.

    One uniform number a token, so that a sample does not depend on the batch it is in.
    """
    cumulated = p.double().cumsum(dim=-1)
    # Scaled by the sum as rounded: u below 1 must never fall behind the last token.
    place = (u.double() * cumulated[..., -1]).unsqueeze(-1)
    found = torch.searchsorted(cumulated, place, right=True)
    return found.squeeze(-1).clamp(max=p.shape[-1] - 1)
