"""Recipes register themselves, and each one's task does what its file says."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from diffview.errors import InputError
from diffview.models.classifier import Classifier, ClassifierConfig
from diffview.training import recipes
from diffview.training.augment import shifted
from diffview.training.recipes.emoji_ar import EmojiAr
from diffview.training.recipes.emoji_text import EmojiText
from diffview.training.recipes.fashion import SCHEDULE, Fashion, stratified_times
from diffview.training.recipes.fashion_classifier_clean import FashionClassifierClean
from diffview.training.recipes.fashion_classifier_noisy import FashionClassifierNoisy
from diffview.training.recipes.fashion_pixel_ar import FashionPixelAr, levelled

FOLDER = Path(recipes.__file__).parent


def test_every_file_registers_exactly_one_recipe_of_its_own_name():
    files = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
    assert {name.replace("-", "_") for name in recipes.every()} == files


@pytest.mark.parametrize("name", recipes.every())
def test_a_recipe_makes_the_model_it_is_called_after(name, emoji_folder):
    info = recipes.find(name)
    card = info.make(folder=emoji_folder).card()
    assert card.id == name
    assert card.licence and card.data_licence and card.description and card.limits
    assert info.needs and info.takes


def test_an_unknown_recipe_is_refused_with_the_nearest_and_all_names():
    with pytest.raises(InputError, match=r"did you mean 'fashion'.*fashion-classifier-clean"):
        recipes.find("fashon")


def test_the_registry_itself_and_the_command_s_arguments_cost_no_torch():
    code = (
        "import argparse, sys, diffview.cli.train as c, diffview.training.recipes;"
        "c.add_arguments(argparse.ArgumentParser());"
        "assert not {'torch', 'numpy', 'PIL'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_times_are_one_in_each_stratum():
    t = stratified_times(50, 1000, torch.Generator().manual_seed(0))
    assert (t // 20).tolist() == list(range(50))


def test_dropping_every_label_trains_the_branch_without_a_class(tiny_fashion):
    task = Fashion(folder=tiny_fashion).task("cpu")
    seen = []

    def network(x_t, t, label):
        seen.append(label)
        return torch.zeros_like(x_t)

    indices, generator = torch.arange(96), torch.Generator().manual_seed(0)
    task.loss(network, indices, generator)
    dropped = seen[0] == 10
    assert 0.05 < dropped.float().mean() < 0.3
    assert torch.equal(seen[0][~dropped], task.labels[indices][~dropped])


def test_shifts_move_a_picture_by_whole_pixels_and_let_black_in():
    x = torch.rand(40, 1, 6, 7, generator=torch.Generator().manual_seed(1))
    out = shifted(x, 2, torch.Generator().manual_seed(0))
    found = set()
    for before, after in zip(x[:, 0].numpy(), out[:, 0].numpy(), strict=True):
        moves = [m for m in all_moves(2) if np.array_equal(moved(before, *m), after)]
        assert len(moves) == 1
        found.add(moves[0])
    assert len(found) > 12


def all_moves(most):
    return [(dy, dx) for dy in range(-most, most + 1) for dx in range(-most, most + 1)]


def moved(picture, dy, dx):
    """The picture moved up by dy and left by dx, pixel by pixel."""
    height, width = picture.shape
    out = np.full_like(picture, -1)
    for row in range(height):
        for column in range(width):
            if 0 <= row + dy < height and 0 <= column + dx < width:
                out[row, column] = picture[row + dy, column + dx]
    return out


def test_a_classifier_that_knows_nothing_loses_log_of_the_number_of_classes(tiny_fashion):
    task = FashionClassifierClean(folder=tiny_fashion).task("cpu")
    network = Classifier(ClassifierConfig(channels=1, classes=10))
    torch.nn.init.zeros_(network.head.weight)
    torch.nn.init.zeros_(network.head.bias)
    loss = task.loss(network, torch.arange(32), torch.Generator().manual_seed(0))
    assert loss.item() == pytest.approx(np.log(10), rel=1e-5)


def test_a_noisy_classifier_is_told_the_time_and_shown_x_t(tiny_fashion):
    task = FashionClassifierNoisy(folder=tiny_fashion).task("cpu")
    seen = []

    def network(x_t, t):
        seen.append((x_t, t))
        return torch.zeros(len(x_t), 10)

    loss = task.loss(network, torch.arange(64), torch.Generator().manual_seed(0))
    assert loss.item() == pytest.approx(np.log(10), rel=1e-5)
    (x_t, t), acp = seen[0], torch.tensor(SCHEDULE.alphas_cumprod)
    assert (t // (1000 / 64)).long().tolist() == list(range(64))
    # at the noisy end the picture has mean 0 and deviation 1, at the clean one its own
    assert x_t[-1].std().item() == pytest.approx(1, abs=0.15)
    assert x_t[0].min() >= -1.5 and acp[t[0]] > 0.99


def test_grey_levels_stand_for_equally_many_bytes():
    found = levelled(torch.arange(256, dtype=torch.uint8), 32)
    assert torch.bincount(found).tolist() == [8] * 32
    assert torch.all(found.diff() >= 0)


def test_a_pixel_network_that_knows_nothing_needs_five_bits_a_pixel(tiny_fashion):
    task = FashionPixelAr(folder=tiny_fashion).task("cpu")

    def network(pixels, label):
        return torch.zeros(len(pixels), 32, 28, 28)

    loss = task.loss(network, torch.arange(8), torch.Generator().manual_seed(0))
    assert loss.item() / np.log(2) == pytest.approx(5)


def test_emoji_captions_and_latents_belong_to_the_same_picture(emoji_folder):
    recipe = EmojiText(folder=emoji_folder)
    task, test = recipe.task("cpu"), recipe.task("cpu", "test")
    assert len(task) == len(task.order) and set(task.order.tolist()) == set(range(4))
    assert len(task.latents) == len(task.captions.names) == 4
    assert len(test.latents) == len(test.captions.names) == 1
    assert recipe.card().vocabulary == recipe.stage.words
    loss = task.loss(task.network(), torch.tensor([0, 1, 2, 3]), torch.Generator().manual_seed(0))
    # a fresh U-Net says 0: what is left is v itself, alpha eps - sigma x_0, both of deviation 1
    assert 0.3 < loss.item() < 3


def test_a_fresh_token_network_needs_log_of_the_number_of_codes(emoji_folder):
    recipe = EmojiAr(folder=emoji_folder)
    task = recipe.task("cpu")
    network = task.network()
    torch.nn.init.zeros_(network.head.weight)
    torch.nn.init.zeros_(network.head.bias)
    loss = task.loss(network, torch.tensor([0, 1]), torch.Generator().manual_seed(0))
    assert loss.item() == pytest.approx(np.log(recipe.network.codes), rel=1e-5)


@pytest.mark.parametrize("recipe", [EmojiText, EmojiAr])
def test_the_order_of_a_round_lies_where_the_pictures_do_and_is_not_copied_batch_by_batch(
    emoji_folder, recipe
):
    task = recipe(folder=emoji_folder).task("cpu")
    order = Mock(wraps=task.order)
    order.__getitem__ = lambda self, at: task.order[at]
    indices, generator = torch.tensor([0, 1]), torch.Generator().manual_seed(0)
    replace(task, order=order).loss(task.network(), indices, generator)
    order.to.assert_not_called()
    assert task.order.device == (task.latents if recipe is EmojiText else task.tokens).device
