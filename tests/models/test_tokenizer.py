"""The tokenizer: shapes, nearest codes by brute force, and what no network can be built from."""

import numpy as np
import pytest
import torch

from diffview.models.tokenizer import Tokenizer, TokenizerConfig

TINY = TokenizerConfig(size=16, codes=12, depth=3, narrow=4, wide=8, blocks=1)


@pytest.fixture(scope="module")
def tokenizer():
    torch.manual_seed(0)
    network = Tokenizer(TINY)
    network.codebook.normal_()
    return network.eval().requires_grad_(False)


def test_a_token_stands_for_four_by_four_pixels(tokenizer):
    x = torch.rand(2, 3, 16, 16)
    z = tokenizer.encode(x)
    assert z.shape == (2, 3, 4, 4) == (2, *TINY.latent_shape)
    assert tokenizer.decode(z).shape == x.shape == tokenizer(x).shape


def test_the_nearest_code_is_the_nearest_by_brute_force_in_float64(tokenizer):
    z = torch.randn(2, 3, 5, 4)
    quantised = tokenizer.quantise(z)
    vectors = z.double().numpy().transpose(0, 2, 3, 1)[:, :, :, None, :]
    distances = np.sqrt(((vectors - tokenizer.codebook.double().numpy()) ** 2).sum(-1))
    assert np.array_equal(quantised.indices.numpy(), distances.argmin(-1))
    np.testing.assert_allclose(quantised.distance.numpy(), distances.min(-1), rtol=1e-5)
    for where in np.ndindex(2, 5, 4):
        code = tokenizer.codebook[quantised.indices[where]]
        b, row, column = where
        assert torch.equal(quantised.z_q[b, :, row, column], code)


def test_a_code_is_its_own_nearest_code(tokenizer):
    indices = torch.arange(12).view(1, 3, 4)
    quantised = tokenizer.quantise(tokenizer.codes_at(indices))
    assert torch.equal(quantised.indices, indices)
    assert torch.all(quantised.distance == 0)


@pytest.mark.parametrize(
    "wrong", [{"size": 18}, {"codes": 1}, {"depth": 0}, {"wide": 2.0}, {"blocks": 10**6}]
)
def test_a_configuration_of_no_network_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TokenizerConfig(**{**TINY.to_json(), **wrong})
