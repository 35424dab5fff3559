"""Variants of pictures, encoded once: as they are and mirrored, each through the tokenizer."""

import numpy as np
import pytest
import torch

from diffview.datasets.emoji import Emoji, EmojiPictures
from diffview.models.tokenizer import Tokenizer, TokenizerConfig
from diffview.training.data import scaled
from diffview.training.latents import channel_scale, variant_latents, variant_tokens


@pytest.fixture(scope="module")
def tokenizer():
    torch.manual_seed(0)
    network = Tokenizer(TokenizerConfig(codes=16, depth=2, narrow=4, wide=8, blocks=1))
    network.codebook.normal_()
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    emoji = Emoji("1", "apple", (), 1, True), Emoji("2", "hand pointing left", (), 1, True)
    pictures = rng.integers(0, 256, (2, 3, 64, 64), dtype=np.uint8)
    return EmojiPictures(pictures, emoji, np.zeros(2, dtype=np.int64))


def test_a_picture_and_its_mirror_image_are_encoded(tokenizer, data):
    latents = variant_latents(tokenizer, data, "cpu")
    assert latents.shape == (2, 2, 2, 16, 16)
    x = scaled(torch.from_numpy(data.pictures))
    mirror = x.clone()
    mirror[0] = x[0, :, :, torch.arange(63, -1, -1)]  # the other one tells left from right
    for k, expected in enumerate((x, mirror)):
        torch.testing.assert_close(latents[:, k], tokenizer.encode(expected), rtol=1e-4, atol=1e-5)


def test_tokens_are_those_of_the_latents(tokenizer, data):
    latents, tokens = (f(tokenizer, data, "cpu") for f in (variant_latents, variant_tokens))
    assert tokens.shape == (2, 2, 16, 16)
    assert torch.equal(tokens[:, 1], tokenizer.quantise(latents[:, 1]).indices)


def test_the_scale_is_each_channel_s_own():
    latents = torch.randn(50, 4, 3, 6, 6) * torch.tensor([1.0, 2, 3]).view(3, 1, 1) + 5
    mean, std = channel_scale(latents)
    values = latents.numpy().transpose(2, 0, 1, 3, 4).reshape(3, -1)
    np.testing.assert_allclose(mean, values.mean(axis=1), rtol=1e-4)
    np.testing.assert_allclose(std, values.std(axis=1), rtol=1e-3)
