"""A sample sheet shows every class, from the same noise at every scale, and disturbs nothing."""

import numpy as np
import torch
from PIL import Image

from diffview.models.network import NetworkDenoiser
from diffview.models.unet import UNet
from diffview.training import sheet

TILE = 2 * 28
STEP = TILE + 2


def model(recipe, network):
    return NetworkDenoiser(recipe.card(), network, null=10)


def test_a_sheet_has_a_column_for_each_class_and_rows_for_each_scale(tiny_recipe):
    network = UNet(tiny_recipe.network)
    picture = sheet.class_sheet(model(tiny_recipe, network), scales=(1, 3), rows=2, n_steps=3)
    assert picture.shape == (2 * (2 * STEP - 2 + 12), 10 * STEP - 2 + 12, 3)
    assert picture.dtype == np.uint8


def test_scales_start_from_the_same_noise(tiny_recipe):
    # A fresh network predicts v = 0 whatever the class, so guidance changes nothing.
    network = UNet(tiny_recipe.network)
    picture = sheet.class_sheet(model(tiny_recipe, network), scales=(1, 3), rows=1, n_steps=3)
    upper, lower = np.split(picture, 2)
    assert np.array_equal(upper, lower)
    assert len({tile.tobytes() for tile in tiles(upper)}) == 10


def tiles(row):
    return [row[6 : 6 + TILE, 6 + k * STEP : 6 + k * STEP + TILE] for k in range(10)]


def test_a_sheet_leaves_the_network_and_torch_s_random_numbers_alone(tiny_recipe):
    network = UNet(tiny_recipe.network)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    tiny_recipe.sheet(network, "cpu")
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_a_sheet_is_written_as_a_whole_png(tmp_path):
    picture = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
    sheet.write(tmp_path / "new" / "step_000600.png", picture)
    with Image.open(tmp_path / "new" / "step_000600.png") as image:
        assert np.array_equal(np.asarray(image), picture)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["step_000600.png"]
