"""Picture files: any picture becomes a sample by the stated rule, anything else is refused."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from diffview.errors import InputError
from diffview.frames import picture_file

SQUARE = (1, 4, 4)


def saved(folder, picture, name="picture.png", **options):
    path = folder / name
    picture.save(path, **options)
    return path


def colours(values):
    """(H, W, 3) bytes as a picture."""
    return Image.fromarray(np.asarray(values, np.uint8), "RGB")


def test_bytes_become_the_model_s_range(tmp_path):
    grey = Image.fromarray(np.array([[0, 255], [51, 204]], np.uint8), "L")
    read = picture_file.read(saved(tmp_path, grey), (1, 2, 2))
    np.testing.assert_allclose(read.values[0], [[-1, 1], [-0.6, 0.6]], atol=1e-6)
    assert read.values.dtype == np.float32 and read.done == ()
    other = picture_file.read(saved(tmp_path, grey), (1, 2, 2), 0.0, 1.0)
    np.testing.assert_allclose(other.values[0], [[0, 1], [0.2, 0.8]], atol=1e-6)


def test_colour_becomes_grey_by_the_weights_of_itu_r_601(tmp_path):
    for rgb in ((255, 0, 0), (0, 255, 0), (0, 0, 255), (10, 200, 90)):
        picture = colours(np.full((4, 4, 3), rgb))
        read = picture_file.read(saved(tmp_path, picture), SQUARE, 0.0, 255.0)
        assert abs(read.values.mean() - np.dot((0.299, 0.587, 0.114), rgb)) < 1
        assert "to grey" in read.done


def test_grey_becomes_colour_with_the_same_value_in_every_channel(tmp_path):
    grey = Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4), "L")
    read = picture_file.read(saved(tmp_path, grey), (3, 4, 4), 0.0, 255.0)
    for channel in read.values:
        np.testing.assert_array_equal(channel, np.arange(16).reshape(4, 4))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_goes_over_white(tmp_path, mode):
    picture = Image.new("RGBA", (4, 4), (200, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (0, 0, 2, 4))
    if mode == "P":
        picture = Image.new("P", (4, 4), 1)
        picture.putpalette([0, 0, 0, 200, 0, 0] + [0] * 762)
        picture.paste(0, (0, 0, 2, 4))
        path = saved(tmp_path, picture, transparency=1)
    else:
        path = saved(tmp_path, picture.convert(mode))
    read = picture_file.read(path, SQUARE)
    np.testing.assert_allclose(read.values[0], [[-1, -1, 1, 1]] * 4, atol=1e-6)
    assert "transparency over white" in read.done


def test_half_transparent_is_half_way_to_white(tmp_path):
    picture = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    read = picture_file.read(saved(tmp_path, picture), SQUARE, 0.0, 255.0)
    assert abs(read.values.mean() - 127) <= 1


def test_the_middle_is_cut_out_and_scaled(tmp_path):
    wide = Image.new("L", (40, 20), 255)
    wide.paste(0, (10, 0, 30, 20))
    read = picture_file.read(saved(tmp_path, wide), SQUARE)
    assert read.values.max() == -1, "the white sides are cut away"
    assert read.done == ("40 × 20 → 4 × 4", "the middle cut out")


def test_a_shape_that_is_not_square_is_filled(tmp_path):
    read = picture_file.read(saved(tmp_path, Image.new("L", (70, 50), 255)), (1, 5, 7))
    assert read.values.shape == (1, 5, 7) and (read.values == 1).all()
    assert read.done == ("70 × 50 → 7 × 5",)


def test_a_picture_is_turned_as_the_camera_noted(tmp_path):
    picture = Image.fromarray(np.array([[0, 0, 255, 255]] * 2, np.uint8), "L")
    exif = Image.Exif()
    exif[0x0112] = 6  # the top is on the right: turn by 90 degrees clockwise
    read = picture_file.read(saved(tmp_path, picture, exif=exif), (1, 4, 2))
    np.testing.assert_allclose(read.values[0], [[-1, -1], [-1, -1], [1, 1], [1, 1]])
    assert "turned" in read.done
    exif[0x0112] = 3  # upside down: the shape stays
    read = picture_file.read(saved(tmp_path, picture, "b.png", exif=exif), SQUARE)
    assert "turned" in read.done


def test_what_was_lost_of_the_colours_is_told(tmp_path):
    sixteen = Image.fromarray(np.full((4, 4), 0xFFFF, np.uint16))
    assert picture_file.read(saved(tmp_path, sixteen), SQUARE).done == ("to 8 bits",)
    printed = saved(tmp_path, Image.new("CMYK", (4, 4)), "a.jpg")
    assert picture_file.read(printed, (3, 4, 4)).done == ("CMYK to RGB",)


def test_sixteen_bits_are_cut_to_eight(tmp_path):
    deep = Image.fromarray(np.array([[0, 0xFFFF], [0x80FF, 0x7F00]], np.uint16))
    read = picture_file.read(saved(tmp_path, deep), (1, 2, 2), 0.0, 255.0)
    np.testing.assert_array_equal(read.values[0], [[0, 255], [0x80, 0x7F]])


@pytest.mark.parametrize(
    ("name", "mode"),
    [("a.jpg", "CMYK"), ("a.jpg", "RGB"), ("a.gif", "P"), ("a.bmp", "1"), ("a.webp", "RGBA"),
     ("a.tif", "F"), ("a.tif", "I;16"), ("a.tif", "I"), ("a.ppm", "RGB")],
)  # fmt: skip
def test_every_format_and_mode_is_converted(tmp_path, name, mode):
    read = picture_file.read(saved(tmp_path, Image.new(mode, (9, 9)), name), (3, 4, 4))
    assert read.values.shape == (3, 4, 4) and np.isfinite(read.values).all()


def test_of_an_animation_the_first_frame_is_taken(tmp_path):
    frames = [Image.new("L", (4, 4), level) for level in (0, 255)]
    path = tmp_path / "a.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    read = picture_file.read(path, SQUARE)
    assert read.values.max() == -1 and "frame 1 of 2" in read.done


def bomb(path, side):
    """A PNG that says it is side x side pixels and holds none."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")):
            checked = kind + body
            file.write(struct.pack(">I", len(body)) + checked)
            file.write(struct.pack(">I", zlib.crc32(checked)))
    return path


@pytest.mark.parametrize("side", [8001, 14_000, 30_000])
def test_pictures_beyond_64_million_pixels_are_refused_undecoded(tmp_path, side):
    with pytest.raises(InputError, match=r"big\.png.*too large.*64 million"):
        picture_file.read(bomb(tmp_path / "big.png", side), SQUARE)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"\x89PNG\r\n\x1a\n",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"GIF89a",
        b"RIFF\0\0\0\0WEBP",
    ],
    ids=["empty", "text", "cut PNG", "EPS", "cut GIF", "cut WebP"],
)
def test_what_is_no_picture_is_refused_by_name(tmp_path, content):
    path = tmp_path / "no.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"no\.png"):
        picture_file.read(path, SQUARE)
    assert not picture_file.is_picture(path)


def test_a_truncated_picture_is_refused_by_name(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    path = saved(tmp_path, colours(noise))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match=r"picture\.png cannot be read as a picture"):
        picture_file.read(path, SQUARE)


def test_a_file_that_is_gone_or_a_folder_is_refused_by_name(tmp_path):
    for path in (tmp_path / "gone.png", tmp_path):
        with pytest.raises(InputError, match=str(path)):
            picture_file.read(path, SQUARE)


@pytest.mark.parametrize("shape", [(2,), (4, 8, 8), (8, 8)])
def test_a_model_without_pictures_takes_none(tmp_path, shape):
    path = saved(tmp_path, Image.new("L", (4, 4)))
    with pytest.raises(InputError, match="are no pictures"):
        picture_file.read(path, shape)
