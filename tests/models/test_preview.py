"""The fitted preview: exact where the decoder is linear, kept by hash, refitted when damaged."""

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from diffview.errors import DiffviewError
from diffview.models import preview
from diffview.models.network import NetworkDenoiser

WEIGHTS = torch.tensor([[0.2, -0.1, 0.0, 0.4], [0.0, 0.3, 0.1, 0.0], [0.5, 0.0, -0.2, 0.1]])
BIAS = torch.tensor([0.1, -0.2, 0.05])


class Linear:
    """Decodes by a known linear map, eight times enlarged."""

    sha256 = "f" * 64

    def __init__(self):
        self.calls = 0

    def __call__(self, latents):
        self.calls += 1
        colours = torch.einsum("kc,bchw->bkhw", WEIGHTS, latents) + BIAS[:, None, None]
        return interpolate(colours, scale_factor=8)


@pytest.fixture
def model(make_card):
    card = make_card(classes=(), latent=True, data_shape=(4, 16, 24), picture_shape=(3, 128, 192))
    return NetworkDenoiser(card, lambda x, t: x, decoder=Linear())


def test_a_linear_decoder_is_found_exactly(model):
    found = preview.fit(model.decode, model.data_shape)
    np.testing.assert_allclose(found.weights, WEIGHTS, atol=1e-6)
    np.testing.assert_allclose(found.bias, BIAS, atol=1e-6)
    assert found.explained == pytest.approx(1.0, abs=1e-6)


def test_the_preview_of_a_linear_decoder_is_its_picture_at_the_latents_size(model):
    latents = torch.randn(2, 4, 16, 24)
    shown = preview.fit(model.decode, model.data_shape)(latents.numpy())
    assert shown.dtype == np.float32
    np.testing.assert_allclose(shown, model.decode(latents)[:, :, ::8, ::8].numpy(), atol=1e-5)


def test_least_squares_leaves_only_what_no_linear_map_could_explain():
    """y = x + x^2 of a standard normal x: the square is orthogonal to x, with variance 2 of 3."""
    found = preview.fit(lambda z: (z + z**2)[:, :1], (1, 16, 16))
    fields = preview._fields(1, 16).double().flatten().numpy()
    slope, offset = np.polyfit(fields, fields + fields**2, 1)
    assert found.weights[0][0] == pytest.approx(slope, rel=1e-5)
    assert found.bias[0] == pytest.approx(offset, rel=1e-5)
    left = np.var(fields + fields**2 - slope * fields - offset)
    assert found.explained == pytest.approx(1 - left / np.var(fields + fields**2), 1e-3)


def test_it_is_fitted_once_for_a_decoder_and_read_from_then_on(model, tmp_path):
    first = preview.of(model, tmp_path)
    calls = model._decoder.calls
    assert preview.of(model, tmp_path) == first
    assert model._decoder.calls == calls
    assert [file.name for file in tmp_path.iterdir()] == [f"{'f' * 64}.json"]


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", '{"weights": [[1]], "bias": [1], "explained": 1}']
)
def test_a_damaged_one_is_fitted_anew(model, tmp_path, text):
    (tmp_path / f"{'f' * 64}.json").write_text(text)
    np.testing.assert_allclose(preview.of(model, tmp_path).weights, WEIGHTS, atol=1e-6)


def test_a_folder_that_cannot_be_written_costs_only_the_keeping(model, tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("")
    preview.of(model, blocked)
    assert "could not be kept" in caplog.text


def test_a_decoder_that_yields_nan_is_told_of():
    with pytest.raises(DiffviewError, match="decoder yields NaN"):
        preview.fit(lambda z: z * float("nan"), (4, 8, 8))


def test_samples_are_decoded_one_by_one(model):
    model.decode(torch.zeros(3, 4, 16, 24))
    assert model._decoder.calls == 3


def test_a_model_without_a_decoder_says_so(make_card):
    model = NetworkDenoiser(make_card(classes=(), latent=True), lambda x, t: x)
    assert model.decoder_sha256 == ""
    with pytest.raises(DiffviewError, match="'tiny' has no decoder: its samples stay latents"):
        model.decode(torch.zeros(1, 1, 8, 8))
