"""Pixel by pixel: nothing after a pixel, nor the pixel itself, may be seen."""

import pytest
import torch

from diffview.models.pixel_cnn import PixelCnn, PixelCnnConfig

TINY = PixelCnnConfig(size=9, classes=3, levels=8, width=16, blocks=3)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return PixelCnn(TINY).eval().double().requires_grad_(False)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (3, 4), (8, 8), (5, 0)])
def test_a_pixel_is_seen_by_later_ones_only(network, row, column):
    pixels = torch.randint(0, 8, (1, 9, 9), generator=torch.Generator().manual_seed(0))
    other = pixels.clone()
    other[0, row, column] = (other[0, row, column] + 3) % 8
    label = torch.zeros(1, dtype=torch.int64)
    change = (network_of(network, pixels, label) - network_of(network, other, label)).abs()
    changed = change.amax(dim=(0, 1)).flatten() > 0
    place = row * 9 + column
    assert not changed[: place + 1].any()
    # the receptive field of 7 x 7 and three times 5 x 5 reaches its right neighbour
    if column < 8:
        assert changed[place + 1]


def network_of(network, pixels, label):
    # float() in the network is for speed; in double the test needs no tolerance
    x = pixels.double() / 7 * 2 - 1
    h = network.enter(torch.stack([x, torch.ones_like(x)], dim=1))
    said = network.embed_class(label)[:, :, None, None]
    for block in network.blocks:
        h = block(h, said)
    return network.leave(h)


def test_the_class_is_heard_and_the_shape_is_a_row_of_logits_for_each_pixel():
    torch.manual_seed(0)
    network = PixelCnn(TINY).eval()
    pixels = torch.zeros(2, 9, 9, dtype=torch.int64)
    logits = network(pixels, torch.tensor([0, 3]))
    assert logits.shape == (2, 8, 9, 9)
    assert not torch.allclose(logits[0], logits[1])


@pytest.mark.parametrize("wrong", [{"kernel": 4}, {"levels": 1}, {"blocks": 0}, {"size": 0}])
def test_a_configuration_of_no_network_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PixelCnnConfig(**{**TINY.to_json(), **wrong})


def test_painted_pixel_by_pixel_the_logits_are_those_of_the_whole_picture():
    torch.manual_seed(1)
    network = PixelCnn(TINY).eval()
    pixels = torch.randint(0, 8, (2, 9, 9), generator=torch.Generator().manual_seed(2))
    label = torch.tensor([1, 3])
    with torch.no_grad():
        whole = network(pixels, label).flatten(2)
        painting, logits = network.begin(label)
        found = [logits]
        for place in range(80):
            found.append(network.follow(painting, pixels.flatten(1)[:, place]))
    torch.testing.assert_close(torch.stack(found, dim=2), whole, rtol=1e-4, atol=1e-5)
