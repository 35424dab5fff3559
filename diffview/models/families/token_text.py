"""Family `token_text`: a transformer that writes a tokenizer's codes after the words of a prompt.

The network is `models/token_transformer.py`; the file names the tokenizer that shows its tokens.
"""

from __future__ import annotations

import torch

from diffview.errors import InputError
from diffview.models.catalog import Entry
from diffview.models.families import build, check_fit, config, family
from diffview.models.prompts import Vocabulary
from diffview.models.token_transformer import TokenTransformer, TokenTransformerConfig
from diffview.models.tokenizer import TokenizerConfig
from diffview.models.writer import ByTokenizer, TokenWriter


@family("token_text")
def load(entry: Entry, device: torch.device) -> TokenWriter:
    """The writer. Raises InputError when its tokenizer is not there, or not the right one."""
    network = build(entry, lambda value: TokenTransformer(TokenTransformerConfig.from_json(value)))
    assert isinstance(network, TokenTransformer)
    shape = TokenTransformerConfig.from_json(config(entry))
    check_fit(entry, (1, shape.grid, shape.grid), 0)
    tokenizer = shape.stage.open(device)
    _check(entry, shape, tokenizer.config)
    words = Vocabulary(shape.stage.words, device)
    show = ByTokenizer(tokenizer, shape.stage.entry().card.weights_sha256)
    return TokenWriter(entry.card, network.to(device), device, show, words.null, words)


def _check(entry: Entry, shape: TokenTransformerConfig, tokenizer: TokenizerConfig) -> None:
    """Raise InputError when card, network and tokenizer do not tell of the same tokens."""
    card = entry.card
    told = (card.codes, card.vocabulary, card.shown_shape)
    picture = (tokenizer.channels, tokenizer.size, tokenizer.size)
    if told != (shape.codes, shape.stage.words, picture) or not card.takes_text:
        raise InputError(
            f"the model's card tells of {card.codes} codes, {len(card.vocabulary)} words and "
            f"pictures {card.shown_shape}, its network and tokenizer are for {shape.codes}, "
            f"{len(shape.stage.words)} and {picture}"
        )
    if (tokenizer.codes, tokenizer.grid) != (shape.codes, shape.grid):
        raise InputError(
            f"its tokenizer '{shape.stage.tokenizer}' has {tokenizer.codes} codes on a grid of "
            f"{tokenizer.grid}, the network writes {shape.codes} on {shape.grid}"
        )
