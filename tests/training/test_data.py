"""Reading Fashion-MNIST: what is in the files, and clear words for files that are not whole."""

import gzip
import shutil
import struct

import numpy as np
import pytest
import torch

from diffview.errors import InputError
from diffview.training.data import fashion_mnist, scaled

IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"


def idx(array, *, kind=8, zeros=0, sizes=None):
    sizes = array.shape if sizes is None else sizes
    return struct.pack(f">HBB{len(sizes)}I", zeros, kind, len(sizes), *sizes) + array.tobytes()


@pytest.fixture
def folder(tiny_fashion, tmp_path):
    """A copy of the tiny data set that a test may damage."""
    return shutil.copytree(tiny_fashion, tmp_path / "data")


@pytest.mark.parametrize(("split", "count"), [("train", 96), ("test", 64)])
def test_pictures_and_labels_are_read_as_they_were_written(tiny_fashion, split, count):
    data = fashion_mnist(split, tiny_fashion)
    assert len(data) == count
    assert data.pictures.shape == (count, 1, 28, 28)
    assert data.pictures.dtype == np.uint8
    assert data.labels.dtype == np.int64
    assert data.labels.tolist() == [k % 10 for k in range(count)]
    # Class k is a white bar in row 2 k + 4.
    for k in range(10):
        assert (data.pictures[k, 0, 2 * k + 4] == 255).all()


def test_bytes_become_numbers_from_minus_one_to_one():
    pictures = torch.tensor([0, 51, 255], dtype=torch.uint8)
    torch.testing.assert_close(scaled(pictures), torch.tensor([-1.0, -0.6, 1.0]))


@pytest.mark.parametrize("name", [IMAGES, LABELS])
def test_a_missing_file_is_refused_with_how_to_get_it(folder, name):
    (folder / name).unlink()
    with pytest.raises(InputError, match=rf"{name} is missing.*apt-get install dataset-fashion"):
        fashion_mnist("train", folder)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 3],
        lambda content: content[:-5],
        lambda content: content[:200] + b"\xff" * 50 + content[250:],
        lambda content: content[:-8] + bytes(8),
        lambda content: b"<html>not found</html>",
        lambda content: gzip.compress(b""),
        lambda content: gzip.compress(b"\0\0"),
        lambda content: gzip.compress(b"\0\0\x08\x03\0\0"),
    ],
    ids=[
        "empty",
        "cut early",
        "cut late",
        "broken inside",
        "wrong checksum",
        "a web page",
        "nothing inside",
        "half a magic number",
        "half a size",
    ],
)
@pytest.mark.parametrize("name", [IMAGES, LABELS])
def test_a_damaged_file_is_refused_by_name(folder, name, damage):
    path = folder / name
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=rf"{name} is not .*fetch it again"):
        fashion_mnist("train", folder)


PICTURES = np.zeros((96, 28, 28), np.uint8)


@pytest.mark.parametrize(
    "content",
    [
        idx(PICTURES, kind=13),
        idx(PICTURES, zeros=1),
        idx(PICTURES, sizes=(95, 28, 28)),
        idx(PICTURES, sizes=(97, 28, 28)),
        idx(PICTURES, sizes=(96, 28)),
        idx(PICTURES, sizes=(96 * 28 * 28,)),
        idx(PICTURES, sizes=()),
        idx(PICTURES[:0], sizes=(2**31, 2**31, 4)),
        idx(PICTURES[:, :27]),
        struct.pack(">HBB", 0, 8, 255),
    ],
    ids=[
        "floats",
        "no magic number",
        "junk at the end",
        "data missing",
        "two axes",
        "one axis",
        "no axes",
        "a size that overflows to zero",
        "pictures of another size",
        "255 axes",
    ],
)
def test_a_file_of_other_contents_is_refused_by_name(folder, content):
    (folder / IMAGES).write_bytes(gzip.compress(content))
    with pytest.raises(InputError, match=rf"{IMAGES} is not .*fetch it again"):
        fashion_mnist("train", folder)


def test_labels_and_pictures_of_different_number_are_refused_with_both(folder):
    (folder / LABELS).write_bytes(gzip.compress(idx(np.zeros(95, np.uint8))))
    with pytest.raises(InputError, match=r"has 96 pictures but .* 95 labels"):
        fashion_mnist("train", folder)


def test_a_label_that_is_no_class_is_refused(folder):
    labels = np.arange(96, dtype=np.uint8) % 11
    (folder / LABELS).write_bytes(gzip.compress(idx(labels)))
    with pytest.raises(InputError, match=rf"{LABELS} has a label 10, classes are 0 to 9"):
        fashion_mnist("train", folder)
