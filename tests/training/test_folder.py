"""The recipe `folder`: a person's own pictures, with sub-folders as classes or without."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from diffview.errors import InputError
from diffview.models import catalog, families
from diffview.training import recipes
from diffview.training.job import Job, Plan
from diffview.training.loop import TrainSettings
from diffview.training.recipes.folder import Folder


def paint(folder, count, *, size=(40, 36), mode="RGB", first=0):
    """Pictures of one colour each, called 000.png and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(first, first + count):
        shade = (5 * k) % 256
        colour = shade if mode == "L" else (shade, 255 - shade, 40)
        Image.new(mode, size, colour).save(folder / f"{k:03d}.png")
    return folder


@pytest.fixture
def plain(tmp_path):
    return paint(tmp_path / "things", 40)


@pytest.fixture
def classed(tmp_path):
    paint(tmp_path / "pets" / "cats", 20, mode="L", size=(70, 90))
    paint(tmp_path / "pets" / "dogs", 30, mode="L", size=(70, 90))
    return tmp_path / "pets"


def small(folder):
    """A tiny network for a few steps."""
    settings = TrainSettings(samples=64, batch=8, warmup_steps=2)
    return Folder(folder, own_settings=settings, base=16)


def test_pictures_are_brought_to_the_largest_side_the_network_can_take(plain, classed):
    assert Folder(plain).network.size == 32 and Folder(plain).network.channels == 3
    network = Folder(classed).network
    assert (network.size, network.channels, network.patch) == (64, 1, 4)
    tiny = paint(plain.parent / "tiny", 20, size=(9, 9))
    assert Folder(tiny).network.size == 16


def test_every_tenth_picture_of_each_class_is_kept_from_training(classed):
    train, test = Folder(classed).task("cpu"), Folder(classed).task("cpu", "test")
    assert torch.bincount(train.labels).tolist() == [18, 27]
    assert torch.bincount(test.labels).tolist() == [2, 3]
    # Of one colour each: the tenth and the twentieth cat are of 5 * 9 and 5 * 19.
    assert test.pictures[:2, 0, 0, 0].tolist() == [45, 95]


def test_pictures_beside_the_sub_folders_belong_to_no_class(classed):
    paint(classed, 10, mode="L", size=(70, 90))
    recipe = Folder(classed)
    assert recipe.card().classes == ("cats", "dogs")
    assert torch.bincount(recipe.task("cpu").labels).tolist() == [18, 27, 9]


def test_without_sub_folders_there_are_no_classes(plain):
    recipe = Folder(plain)
    assert recipe.card().classes == () and recipe.network.classes == 0
    x_0, condition = recipe.clean(3, "cpu")
    assert x_0.shape == (3, 3, 32, 32) and condition is None
    expected = torch.tensor([45.0, 210.0, 40.0]) / 127.5 - 1
    torch.testing.assert_close(x_0[0, :, 0, 0], expected)


def test_batches_are_smaller_where_there_are_few_pictures(plain, tmp_path):
    assert Folder(plain).settings.batch == 36
    assert Folder(paint(tmp_path / "many", 120, size=(16, 16))).settings.batch == 64


@pytest.mark.parametrize("which", ["plain", "classed"])
def test_it_trains_is_published_opened_and_judged(which, request, tmp_path):
    recipe = small(request.getfixturevalue(which))
    plan = Plan(out=tmp_path / "m.safetensors", checkpoint=tmp_path / "m.ckpt", device="cpu")
    job = Job(recipe, plan)
    for _ in job.run():
        pass
    job.publish()
    model = families.load(catalog.entry(plan.out))
    assert model.card.data_shape == (recipe.network.channels,) + (recipe.network.size,) * 2
    judging = job.evaluate(4)
    with pytest.raises(StopIteration) as end:
        while True:
            next(judging)
    assert end.value.value["samples_to_nearest"] > 0
    assert len(list(plan.sheets.glob("*.png"))) == 1


def test_a_held_out_picture_that_is_also_trained_on_is_at_distance_zero(tmp_path):
    folder = tmp_path / "same"
    folder.mkdir()
    for k in range(20):
        Image.new("L", (16, 16), 100).save(folder / f"{k}.png")
    recipe = small(folder)
    plan = Plan(out=tmp_path / "m.safetensors", checkpoint=tmp_path / "m.ckpt", device="cpu")
    job = Job(replace(recipe, own_settings=TrainSettings(samples=8, batch=8)), plan)
    list(job.run())
    job.publish()
    judging = job.evaluate(2)
    with pytest.raises(StopIteration) as end:
        while True:
            next(judging)
    assert end.value.value["held_out_to_nearest"] == 0


# -- bad input --------------------------------------------------------------------------------


def test_too_few_pictures_are_refused_with_what_to_do_instead(tmp_path):
    few = paint(tmp_path / "few", 5)
    with pytest.raises(InputError, match=r"few holds 5 pictures, at least 16"):
        Folder(few).task("cpu")


def test_no_folder_and_an_empty_one_are_refused(tmp_path):
    with pytest.raises(InputError, match="--data FOLDER"):
        Folder().task("cpu")
    with pytest.raises(InputError, match="holds no pictures"):
        Folder(tmp_path).task("cpu")


def test_a_broken_picture_is_named(plain):
    (plain / "zz.png").write_bytes(b"\x89PNG but no more")
    with pytest.raises(InputError, match=r"zz\.png"):
        Folder(plain).task("cpu")


def test_it_is_listed_and_says_what_it_needs():
    info = recipes.find("folder")
    assert "sub-folders" in info.needs
    np.testing.assert_equal(info.make(folder=None).settings.batch, 64)
