"""Transformer layers: against torch's own, and reading token by token equals reading at once."""

import torch
from torch import nn

from diffview.models.first_stage import FirstStage
from diffview.models.prompts import LENGTH
from diffview.models.token_transformer import TokenTransformer, TokenTransformerConfig
from diffview.models.transformer import Layer

STAGE = FirstStage(tuple(f"w{k}" for k in range(9)), "none", "")


def test_a_layer_equals_torch_s_own_with_the_same_weights():
    torch.manual_seed(0)
    own = Layer(64)
    other = nn.TransformerEncoderLayer(
        64, 2, 256, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    pairs = {
        other.self_attn.in_proj_weight: own.qkv.weight,
        other.self_attn.in_proj_bias: own.qkv.bias,
        other.self_attn.out_proj.weight: own.mixed.weight,
        other.self_attn.out_proj.bias: own.mixed.bias,
        other.linear1.weight: own.net[0].weight,
        other.linear1.bias: own.net[0].bias,
        other.linear2.weight: own.net[2].weight,
        other.linear2.bias: own.net[2].bias,
    }
    with torch.no_grad():
        for theirs, ours in pairs.items():
            theirs.copy_(ours)
    h, mask = torch.randn(2, 5, 64), torch.ones(2, 5, dtype=torch.bool)
    mask[1, 3:] = False
    expected = other(h, src_key_padding_mask=~mask)
    torch.testing.assert_close(own(h, mask[:, None, None]), expected, rtol=1e-5, atol=1e-5)


def transformer():
    torch.manual_seed(0)
    config = TokenTransformerConfig(STAGE, codes=11, grid=3, width=64, layers=2)
    return TokenTransformer(config).eval().requires_grad_(False)


def prompts():
    numbers = torch.randint(1, 10, (3, LENGTH), generator=torch.Generator().manual_seed(1))
    numbers[0, 2:] = 0
    numbers[1] = 0
    return numbers


def test_reading_token_by_token_equals_reading_at_once():
    network, numbers = transformer(), prompts()
    tokens = torch.randint(0, 11, (3, 8))
    reading, logits = network.begin(numbers)
    rows = [logits, *(network.follow(reading, tokens[:, k]) for k in range(8))]
    at_once = network(tokens, numbers)
    assert at_once.shape == (3, 9, 11)
    torch.testing.assert_close(torch.stack(rows, dim=1), at_once, rtol=1e-4, atol=1e-5)


def test_no_token_sees_itself_or_those_after_it():
    network, numbers = transformer(), prompts()
    tokens = torch.randint(0, 11, (3, 8))
    other = tokens.clone()
    other[:, 4:] = (other[:, 4:] + 1) % 11
    before, after = network(tokens, numbers), network(other, numbers)
    torch.testing.assert_close(before[:, :5], after[:, :5], rtol=1e-5, atol=1e-6)
    assert (before[:, 5] - after[:, 5]).abs().amax(dim=1).min() > 1e-3


def test_words_that_are_not_there_say_nothing_and_rows_do_not_meet():
    network, numbers = transformer(), prompts()
    tokens = torch.randint(0, 11, (3, 4))
    together = network(tokens, numbers)
    for row in range(3):
        alone = network(tokens[row : row + 1], numbers[row : row + 1])
        torch.testing.assert_close(together[row : row + 1], alone, rtol=1e-4, atol=1e-5)
    network.word_places[3] = torch.randn(64)  # the fourth word: only row 2 has one
    changed = (network(tokens, numbers) - together).abs().amax(dim=(1, 2))
    assert changed[:2].max() < 1e-5 < 1e-3 < changed[2]
