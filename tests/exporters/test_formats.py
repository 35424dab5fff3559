"""Every format, read back by another implementation (Pillow, PyAV, safetensors)."""

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffview.engine import session
from diffview.errors import DiffviewError, InputError
from diffview.exporters import Clip, every, find, formats

ANIMATIONS = ("apng", "gif", "webp")


def written(name, frames, target, recipe, fps=10.0, hold=0, **options):
    """Write with a format's writer; gives what it yielded."""
    info = find(name)
    clip = Clip(fps, hold, info.check(fps, options))
    return list(info.write_frames(frames, target, recipe, clip))


def frames_in(path):
    """All frames as (N, H, W, 3), and their durations in ms, as Pillow sees them."""
    pictures, durations = [], []
    with Image.open(path) as image:
        for k in range(getattr(image, "n_frames", 1)):
            image.seek(k)
            pictures.append(np.asarray(image.convert("RGB")))
            durations.append(image.info.get("duration"))
    return np.stack(pictures), durations


def video_in(path):
    """All frames of a video as (N, H, W, 3), and its frame rate."""
    import av

    with av.open(str(path)) as container:
        rate = float(container.streams.video[0].average_rate)
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return np.stack(pictures), rate


def psnr(a, b):
    """Peak signal-to-noise ratio in dB."""
    error = np.mean((a.astype(float) - b.astype(float)) ** 2)
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def test_every_file_of_formats_registers_exactly_one_format():
    files = {p.stem for p in Path(formats.__file__).parent.glob("*.py")} - {"__init__"}
    infos = every().values()
    writers = [(info.write_frames or info.write_trajectory).__module__ for info in infos]
    assert sorted(writers) == sorted(f"{formats.__name__}.{name}" for name in files)
    assert {info.name for info in infos} == {"png", "gif", "webp", "apng", "mp4", "safetensors"}


@pytest.mark.parametrize("info", every().values(), ids=lambda info: info.name)
def test_a_format_says_what_a_dialog_needs(info):
    assert (info.write_frames is None) != (info.write_trajectory is None)
    assert info.title and info.help.endswith(".")
    assert info.filename == "" or info.filename.endswith(info.suffix)


def test_unknown_formats_and_options_are_refused_with_the_known_ones():
    with pytest.raises(InputError, match=r"unknown format 'bmp'; known are apng, gif, mp4, png"):
        find("bmp")
    with pytest.raises(InputError, match="gif has no option 'quality'; it has none"):
        find("gif").check(10, {"quality": "exact"})
    with pytest.raises(InputError, match="quality = best is not one of plain, exact"):
        find("mp4").check(10, {"quality": "best"})


def test_mp4_without_pyav_names_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not find("mp4").available
    with pytest.raises(InputError, match=r'pip install "diffview\[video\]"'):
        find("mp4").check(10, {})


def test_png_keeps_every_pixel(colourful, recipe, tmp_path):
    assert written("png", colourful, tmp_path / "out", recipe) == [1, 2, 3, 4, 5]
    files = sorted((tmp_path / "out").iterdir())
    assert [file.name for file in files] == [f"frame_{k:04d}.png" for k in range(5)]
    for file, expected in zip(files, colourful.pictures, strict=True):
        assert np.array_equal(frames_in(file)[0][0], expected)


@pytest.mark.parametrize("level", [0, 1, 9])
def test_png_compression_changes_bytes_and_no_pixel(grey, recipe, tmp_path, level):
    written("png", grey, tmp_path, recipe, compression=level)
    assert np.array_equal(frames_in(tmp_path / "frame_0003.png")[0][0], grey.pictures[3])


@pytest.mark.parametrize("name", ["apng", "webp"])
def test_lossless_animations_keep_every_pixel_of_every_frame(colourful, recipe, tmp_path, name):
    written(name, colourful, tmp_path / "x", recipe)
    assert np.array_equal(frames_in(tmp_path / "x")[0], colourful.pictures)


def test_gif_keeps_all_256_greys(grey, recipe, tmp_path):
    yielded = written("gif", grey, tmp_path / "x.gif", recipe)
    assert yielded == [0] * 5 + [1, 2, 3, 4, 5]
    assert len(np.unique(grey.pictures)) == 256
    assert np.array_equal(frames_in(tmp_path / "x.gif")[0], grey.pictures)


def test_gif_keeps_up_to_256_colours_whatever_they_are(colourful, recipe, tmp_path):
    colourful.pictures &= 0b1100_0000  # 4 levels of red, green and blue
    written("gif", colourful, tmp_path / "x.gif", recipe)
    assert np.array_equal(frames_in(tmp_path / "x.gif")[0], colourful.pictures)


def test_gif_reduces_more_colours_no_worse_than_pillow_reduces_one_frame(
    colourful, recipe, tmp_path
):
    # Pillow's octree gives each frame its own 256 colours and is still no better than 1.5 dB up.
    written("gif", colourful, tmp_path / "x.gif", recipe)
    ours, _ = frames_in(tmp_path / "x.gif")
    octree = Image.Quantize.FASTOCTREE
    theirs = np.stack(
        [
            np.asarray(Image.fromarray(p).quantize(256, octree, dither=0).convert("RGB"))
            for p in colourful.pictures
        ]
    )
    assert psnr(ours, colourful.pictures) > psnr(theirs, colourful.pictures) - 1.5
    assert len(np.unique(ours.reshape(-1, 3), axis=0)) <= 256


def test_gif_gives_equal_colours_equal_pixels_so_nothing_is_dithered(recipe, tmp_path, colourful):
    flat = colourful.pictures
    flat[:, :8] = (200, 31, 77)
    written("gif", colourful, tmp_path / "x.gif", recipe)
    ours, _ = frames_in(tmp_path / "x.gif")
    assert len(np.unique(ours[:, :8].reshape(-1, 3), axis=0)) == 1


@pytest.mark.parametrize("name", ANIMATIONS)
def test_animations_have_as_many_frames_as_asked_for_even_if_all_are_equal(
    grey, recipe, tmp_path, name
):
    grey.pictures[:] = grey.pictures[0]
    written(name, grey, tmp_path / "x", recipe)
    assert len(frames_in(tmp_path / "x")[0]) == 5


@pytest.mark.parametrize("name", ANIMATIONS)
@pytest.mark.parametrize("fps", [1.0, 7.0, 12.0, 30.0, 50.0])
def test_durations_add_up_to_frames_over_fps(grey, recipe, tmp_path, name, fps):
    written(name, grey, tmp_path / "x", recipe, fps=fps, hold=3)
    pictures, durations = frames_in(tmp_path / "x")
    tick = 10 if name == "gif" else 1
    if name == "webp":  # of WebP, Pillow tells a frame's duration only once it is decoded
        durations = webp_durations(tmp_path / "x")
    assert len(pictures) == 5
    assert sum(durations) == pytest.approx(1000 * (5 + 3) / fps, abs=tick / 2 + 1e-6)
    assert max(durations[:-1]) - min(durations[:-1]) <= tick + 1e-6
    assert durations[-1] == pytest.approx(1000 * (1 + 3) / fps, abs=tick)


def webp_durations(path):
    with Image.open(path) as image:
        durations = []
        for k in range(image.n_frames):
            image.seek(k)
            image.load()
            durations.append(image.info["duration"])
    return durations


def test_gif_refuses_a_frame_rate_that_browsers_would_slow_down():
    with pytest.raises(InputError, match="gif plays at most 50 frames/s, not 60"):
        find("gif").check(60, {})


@pytest.mark.parametrize("name", ANIMATIONS)
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (64, 1)])
def test_one_frame_of_any_size_works(recipe, tmp_path, colourful, name, size):
    colourful.pictures = np.full((1, *size, 3), 99, np.uint8)
    written(name, colourful, tmp_path / "x", recipe)
    assert np.array_equal(frames_in(tmp_path / "x")[0], colourful.pictures)


def test_webp_refuses_more_pixels_than_it_can_hold(recipe, tmp_path, colourful):
    colourful.pictures = np.zeros((1, 1, 16_384, 3), np.uint8)
    with pytest.raises(InputError, match="at most 16383 pixels a side, not 16384 x 1"):
        written("webp", colourful, tmp_path / "x.webp", recipe)
    assert not list(tmp_path.iterdir())


def test_exact_mp4_keeps_every_pixel_of_an_odd_size(colourful, recipe, tmp_path):
    written("mp4", colourful, tmp_path / "x.mp4", recipe, fps=12, quality="exact")
    pictures, rate = video_in(tmp_path / "x.mp4")
    assert np.array_equal(pictures, colourful.pictures)
    assert rate == 12


def test_plain_mp4_pads_odd_sides_and_looks_the_same_when_magnified(grey, recipe, tmp_path):
    grey.pictures = grey.pictures.repeat(9, axis=1).repeat(9, axis=2)  # 153 x 207
    written("mp4", grey, tmp_path / "x.mp4", recipe, hold=4)
    pictures, _ = video_in(tmp_path / "x.mp4")
    assert pictures.shape == (5 + 4, 154, 208, 3)
    assert psnr(pictures[:5, :153, :207], grey.pictures) > 28
    assert psnr(pictures[-1, :153, :207], grey.pictures[-1]) > 28


def test_plain_mp4_is_of_the_kind_that_plays_everywhere(grey, recipe, tmp_path):
    import av

    written("mp4", grey, tmp_path / "x.mp4", recipe)
    with av.open(str(tmp_path / "x.mp4")) as container:
        codec = container.streams.video[0].codec_context
        assert (codec.name, codec.pix_fmt) == ("h264", "yuv420p")
    content = (tmp_path / "x.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # plays while it loads


@pytest.mark.parametrize("quality", ["plain", "exact"])
def test_mp4_of_a_single_pixel_works(recipe, tmp_path, colourful, quality):
    colourful.pictures = np.full((1, 1, 1, 3), 99, np.uint8)
    written("mp4", colourful, tmp_path / "x.mp4", recipe, quality=quality)
    pictures, _ = video_in(tmp_path / "x.mp4")
    assert np.abs(pictures.astype(int) - 99).max() <= 3


def test_safetensors_has_the_numbers_themselves(make_run, recipe, tmp_path):
    from safetensors.numpy import load_file

    run = make_run(guided=True)
    info = find("safetensors")
    assert list(info.write_trajectory(run, tmp_path / "t.safetensors", recipe, Clip())) == [1]
    arrays = load_file(tmp_path / "t.safetensors")
    assert np.array_equal(arrays["x_t"], np.stack([record.x_t for record in run]))
    assert np.array_equal(arrays["direction"], np.stack([record.direction for record in run]))
    assert arrays["sigma"].dtype == np.float64
    loaded, about = session.load(tmp_path / "t.safetensors")
    assert loaded.spec == run.spec and about == recipe.about


@pytest.mark.parametrize("name", ["apng", "gif", "mp4", "png", "webp"])
def test_a_writer_that_is_closed_or_fails_leaves_nothing(colourful, recipe, tmp_path, name):
    info = find(name)
    clip = Clip(10, 0, info.check(10, {}))
    target = tmp_path / "out" if name == "png" else tmp_path / "x"
    writing = info.write_frames(colourful, target, recipe, clip)
    while next(writing) < 2:
        pass
    writing.close()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]

    class Failing(type(colourful)):
        def __getitem__(self, index):
            if index == 4:
                raise DiffviewError("cannot be drawn")
            return self.pictures[index]

    with pytest.raises(DiffviewError, match="cannot be drawn"):
        list(info.write_frames(Failing(colourful.pictures), target, recipe, clip))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
