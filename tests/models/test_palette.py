"""The palette: each token alone as a small picture, laid out without the decoder."""

import numpy as np
import pytest
import torch

import diffview
from diffview.frames import lens
from diffview.models import palette


@pytest.fixture(scope="module")
def text(writers):
    return diffview.open(writers / "text.safetensors", device="cpu")


@pytest.fixture(scope="module")
def pixel(writers):
    return diffview.open(writers / "pixel.safetensors", device="cpu")


def test_where_a_token_is_a_pixel_the_palette_is_the_decoder(pixel, tmp_path):
    found = palette.of(pixel, tmp_path)
    tokens = torch.randint(-1, 8, (2, 1, 5, 5), generator=torch.Generator().manual_seed(0)).float()
    assert found.exact
    np.testing.assert_allclose(found(tokens.numpy()), pixel.decode(tokens), atol=1e-6)
    assert lens.by_palette(found, (1, 5, 5)).name == lens.DECODED
    assert list(tmp_path.iterdir()) == []  # nothing worth keeping


def test_a_token_looks_as_in_the_middle_of_a_field_of_its_own(text, tmp_path):
    found = palette.of(text, tmp_path)
    assert found.pictures.shape == (12, 3, 4, 4)
    assert not found.exact
    field = text.decode(torch.full((1, 1, 3, 3), 7.0))[0, :, 4:8, 4:8]
    np.testing.assert_allclose(found.pictures[7], field, atol=1e-5)


def test_tokens_are_laid_out_where_they_stand_and_nothing_where_none_is(text, tmp_path):
    found = palette.of(text, tmp_path)
    tokens = np.float32([[[[3, -1], [5, 0]]]])
    picture = found(tokens)
    assert picture.shape == (1, 3, 8, 8)
    np.testing.assert_array_equal(picture[0, :, :4, :4], found.pictures[3])
    np.testing.assert_array_equal(picture[0, :, 4:, :4], found.pictures[5])
    assert (picture[0, :, :4, 4:] == palette.BLANK).all()


def test_it_is_kept_and_made_anew_where_what_was_kept_is_broken(text, tmp_path):
    first = palette.of(text, tmp_path)
    (kept,) = tmp_path.iterdir()
    np.testing.assert_array_equal(palette.of(text, tmp_path).pictures, first.pictures)
    kept.write_bytes(b"broken")
    np.testing.assert_array_equal(palette.of(text, tmp_path).pictures, first.pictures)
