"""A published file is a model that opens, and says what it is and where it comes from."""

import json

import pytest
import torch

from diffview import tensorfile
from diffview.errors import DiffviewError
from diffview.models import catalog, families
from diffview.models.unet import UNet
from diffview.training.publish import Trained, add_figures, held_out_loss, publish


def trained(recipe, samples):
    return Trained("fashion", recipe.settings, samples, 0.25)


@pytest.fixture
def network(tiny_recipe):
    torch.manual_seed(0)
    network = UNet(tiny_recipe.network)
    torch.nn.init.normal_(network.leave[2].weight, std=0.1)
    return network


@pytest.fixture
def path(tiny_recipe, network, tmp_path):
    path = tmp_path / "model.safetensors"
    publish(tiny_recipe, network, trained(tiny_recipe, 480), path)
    return path


def test_a_published_file_opens_and_says_what_the_network_says(path, network):
    model = families.load(catalog.entry(path))
    x_t = torch.randn(4, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    level = model.schedule.level(500)
    label = torch.tensor([0, 3, 9, 10])
    v = network(x_t, torch.full((4,), 500), label)
    expected = level.alpha * x_t - level.sigma * v
    assert torch.allclose(model(x_t, level, label), expected, atol=5e-3)


def test_a_published_file_is_half_precision_with_card_config_recipe_and_licence(path):
    header = tensorfile.read_header(path)
    assert {info.dtype for info in header.tensors.values()} == {"F16"}
    recipe = json.loads(header.metadata["diffview.recipe"])
    assert recipe["recipe"] == "fashion"
    assert recipe["samples_seen"] == 480
    assert recipe["held_out_loss"] == 0.25
    assert recipe["settings"]["batch"] == 16
    assert recipe["versions"]["torch"]
    assert "MIT" in header.metadata["diffview.licence"]
    assert "Zalando" in header.metadata["diffview.licence"]
    assert catalog.entry(path).card.description.endswith("It saw 480 samples.")


def test_a_training_that_was_cut_short_says_so_in_its_card(tiny_recipe, network, tmp_path):
    path = tmp_path / "short.safetensors"
    publish(tiny_recipe, network, trained(tiny_recipe, 48), path)
    assert "10% of the 480" in catalog.entry(path).card.description


def test_weights_beyond_half_precision_are_refused_and_nothing_is_written(
    tiny_recipe, network, tmp_path
):
    with torch.no_grad():
        network.enter.weight[0, 0, 0, 0] = 1e6
    with pytest.raises(DiffviewError, match=r"enter\.weight"):
        publish(tiny_recipe, network, trained(tiny_recipe, 480), tmp_path / "m.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_figures_enter_the_card_and_leave_the_weights_alone(path):
    before, data = tensorfile.read_header(path), tensorfile.read_numpy(path)
    add_figures(path, {"accuracy": {"1": 0.9}})
    add_figures(path, {"frechet": {"1": 0.5}})
    after = tensorfile.read_header(path)
    assert catalog.entry(path).card.figures == {"accuracy": {"1": 0.9}, "frechet": {"1": 0.5}}
    assert after.metadata["diffview.recipe"] == before.metadata["diffview.recipe"]
    again = tensorfile.read_numpy(path)
    assert all(data[name].tobytes() == again[name].tobytes() for name in data)


def test_the_held_out_loss_is_the_same_each_time(tiny_recipe, network, tiny_fashion):
    task = tiny_recipe.task("cpu", "test")
    assert held_out_loss(task, network) == held_out_loss(task, network)
