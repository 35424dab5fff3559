"""The U-Net: shapes, size, a start that predicts zero, and what its inputs change."""

import pytest
import torch

from diffview.models.unet import Attention, TimeEmbedding, UNet, UNetConfig
from diffview.training.recipes.fashion import CONFIG


def inputs(config, batch=2):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(batch, config.channels, config.size, config.size, generator=generator)
    return x, torch.arange(batch) * 300, torch.arange(batch) % max(1, config.classes)


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        UNetConfig(channels=3, size=32, base=16, multipliers=(1, 2, 2), attention=(4, 8)),
        UNetConfig(channels=1, size=8, base=8, multipliers=(1,), blocks=1, patch=1, attention=()),
        UNetConfig(channels=2, size=16, base=8, blocks=1, patch=4, classes=5, attention=(2,)),
    ],
    ids=["fashion", "three levels", "one level", "patches of four"],
)
def test_the_output_has_the_inputs_shape_and_is_zero_at_the_start(config):
    torch.manual_seed(0)
    network = UNet(config)
    x, t, label = inputs(config)
    out = network(x, t, label if config.classes else None)
    assert out.shape == x.shape
    assert torch.count_nonzero(out) == 0


def test_the_fashion_network_has_fewer_than_four_million_parameters():
    assert sum(p.numel() for p in UNet(CONFIG).parameters()) < 4_000_000


def trained(config):
    """A network whose zeroed layers are not zero any more."""
    torch.manual_seed(0)
    network = UNet(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network


SMALL = UNetConfig(channels=1, size=8, base=16, blocks=1, classes=3, attention=(4,))


@torch.no_grad()
def test_time_label_and_every_pixel_change_what_is_predicted():
    network = trained(SMALL)
    x, t, label = inputs(SMALL)
    out = network(x, t, label)
    assert (network(x, t + 50, label) - out).abs().amax(dim=(1, 2, 3)).min() > 1e-4
    assert (network(x, t, label + 1) - out).abs().amax(dim=(1, 2, 3)).min() > 1e-4
    moved = x.clone()
    moved[0, 0, 0, 0] += 1
    difference = (network(moved, t, label) - out).abs()
    assert difference[0, 0, -1, -1] > 0, "attention carries a corner to the opposite one"
    assert difference[1].max() < 1e-6, "samples of a batch never meet"


@torch.no_grad()
def test_the_label_after_the_last_class_is_one_of_its_own():
    network = trained(SMALL)
    x, t, _ = inputs(SMALL)
    outputs = [network(x, t, torch.full((2,), label)) for label in range(4)]
    for k, one in enumerate(outputs):
        assert all((one - other).abs().max() > 1e-4 for other in outputs[:k])


def test_every_parameter_gets_a_gradient():
    network = trained(SMALL)
    x, t, label = inputs(SMALL, batch=3)
    network(x, t, label).square().mean().backward()
    without = [name for name, p in network.named_parameters() if p.grad is None]
    assert without == []


def test_times_are_embedded_as_sines_and_cosines_from_one_down_to_a_ten_thousandth():
    embedding = TimeEmbedding(8, 4)
    # Vaswani et al. 2017, section 3.5: rates 10000^(-k/half).
    expected = torch.tensor([1.0, 0.1, 0.01, 0.001])
    torch.testing.assert_close(embedding.rates, expected)


@torch.no_grad()
def test_attention_over_equal_pixels_adds_the_same_to_each():
    torch.manual_seed(0)
    attention = Attention(32)
    torch.nn.init.normal_(attention.out.weight)
    h = torch.randn(1, 32, 1, 1).expand(1, 32, 3, 3).contiguous()
    out = attention(h)
    torch.testing.assert_close(out, out[:, :, :1, :1].expand_as(out))
    assert (out - h).abs().max() > 1e-3


@torch.no_grad()
def test_attention_is_softmax_of_scaled_products_by_the_textbook():
    torch.manual_seed(0)
    attention = Attention(64)
    torch.nn.init.normal_(attention.out.weight, std=0.1)
    h = torch.randn(1, 64, 2, 3)
    qkv = attention.qkv(attention.norm(h)).flatten(2)[0]
    q, k, v = qkv.split(64)
    heads = []
    for head in range(2):
        rows = slice(32 * head, 32 * head + 32)
        weights = torch.softmax(q[rows].T @ k[rows] / 32**0.5, dim=1)
        heads.append(v[rows] @ weights.T)
    mixed = torch.cat(heads).view(1, 64, 2, 3)
    torch.testing.assert_close(attention(h), h + attention.out(mixed), rtol=1e-4, atol=1e-5)


def test_a_configuration_survives_json():
    import json

    for config in (CONFIG, SMALL):
        assert UNetConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
