"""Folders of pictures: the stated rule, labels by sub-folders, and words for what is broken."""

import numpy as np
import pytest
from PIL import Image

from diffview.datasets import folder
from diffview.errors import InputError


def save(path, size=(20, 20), colour=128, mode="L", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path, **options)


def test_sub_folders_are_the_classes_and_loose_pictures_have_none(tmp_path):
    save(tmp_path / "dog" / "b.png")
    save(tmp_path / "cat" / "a.png")
    save(tmp_path / "loose.png")
    found = folder.look_into(tmp_path)
    assert found.classes == ("cat", "dog")
    read = folder.read(found)
    names = [file.name for file in found.files]
    assert dict(zip(names, read.labels.tolist(), strict=True)) == {
        "a.png": 0,
        "b.png": 1,
        "loose.png": -1,
    }


def test_what_is_no_picture_or_hidden_or_deeper_is_passed_over(tmp_path):
    save(tmp_path / "one.png")
    save(tmp_path / ".hidden.png")
    save(tmp_path / "a" / "b" / "deep.png")
    (tmp_path / "notes.txt").write_text("no picture")
    assert [file.name for file in folder.look_into(tmp_path).files] == ["one.png"]


def test_the_side_is_the_median_of_the_shorter_sides_and_at_most_64(tmp_path):
    for k, size in enumerate([(10, 90), (24, 30), (50, 48)]):
        save(tmp_path / f"{k}.png", size)
    assert folder.look_into(tmp_path).shape == (1, 24, 24)
    for k in range(3, 8):
        save(tmp_path / f"{k}.png", (300, 200))
    assert folder.look_into(tmp_path).shape == (1, 64, 64)


def test_one_colour_picture_makes_the_set_coloured(tmp_path):
    save(tmp_path / "grey.png")
    assert folder.look_into(tmp_path).shape[0] == 1
    save(tmp_path / "red.png", colour=(255, 0, 0), mode="RGB")
    found = folder.look_into(tmp_path)
    assert found.shape[0] == 3
    grey, red = folder.read(found).pictures
    assert (grey == 128).all()
    assert (red[0] == 255).all()
    assert (red[1:] == 0).all()


def test_the_middle_square_is_kept(tmp_path):
    stripes = np.zeros((10, 30), np.uint8)
    stripes[:, 10:20] = 200
    Image.fromarray(stripes).save(tmp_path / "wide.png")
    (picture,) = folder.read(folder.look_into(tmp_path)).pictures
    assert picture.shape == (1, 10, 10)
    assert (picture == 200).all()


def test_transparency_lies_on_white(tmp_path):
    save(tmp_path / "glass.png", colour=(0, 0, 0, 0), mode="RGBA")
    (picture,) = folder.read(folder.look_into(tmp_path)).pictures
    assert (picture == 255).all()


def test_sixteen_bits_keep_their_upper_half(tmp_path):
    Image.fromarray(np.full((8, 8), 0x80FF, np.uint16)).save(tmp_path / "deep.png")
    (picture,) = folder.read(folder.look_into(tmp_path)).pictures
    assert (picture == 0x80).all()


def test_pictures_stand_as_the_camera_held_them(tmp_path):
    turned = Image.new("L", (20, 20), 0)
    turned.paste(255, (0, 0, 20, 10))  # white above
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    turned.save(tmp_path / "turned.png", exif=exif)
    (picture,) = folder.read(folder.look_into(tmp_path)).pictures
    assert (picture[0, :9] == 0).all()
    assert (picture[0, 11:] == 255).all()


def test_the_digest_changes_with_a_pixel_and_with_a_name(tmp_path):
    save(tmp_path / "one.png")
    before = folder.look_into(tmp_path).sha256
    assert folder.look_into(tmp_path).sha256 == before
    save(tmp_path / "one.png", colour=129)
    after = folder.look_into(tmp_path).sha256
    (tmp_path / "one.png").rename(tmp_path / "two.png")
    assert len({before, after, folder.look_into(tmp_path).sha256}) == 3


def test_an_empty_folder_is_refused_with_what_to_give(tmp_path):
    with pytest.raises(InputError, match=r"holds no pictures: give a folder of \.png"):
        folder.look_into(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no picture at all"])
def test_a_broken_picture_is_named(tmp_path, content):
    save(tmp_path / "one.png")
    (tmp_path / "two.png").write_bytes(content)
    with pytest.raises(InputError, match=r"two\.png cannot be read as a picture"):
        folder.look_into(tmp_path)


def test_a_picture_that_breaks_off_is_named_when_it_is_read(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (40, 40), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "one.png")
    whole = (tmp_path / "one.png").read_bytes()
    (tmp_path / "one.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"one\.png cannot be read as a picture"):
        folder.read(folder.look_into(tmp_path))


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"nowhere cannot be read: No such file"):
        folder.look_into(tmp_path / "nowhere")
