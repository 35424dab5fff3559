"""The recipe goes into every file and comes back; what is not a recipe is refused, not trusted."""

import json
import struct
import subprocess
import sys
import zlib
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from diffview.engine import schedules, session
from diffview.engine.spec import RunSpec
from diffview.errors import InputError
from diffview.exporters import carriers, recipe
from diffview.models import sampling
from diffview.models.card import ModelCard

FILES = (
    "frame_0003.png", "run.apng", "run.gif", "run.webp", "run.mp4", "trajectory.safetensors",
    "recipe.json",
)  # fmt: skip
SIGNATURE = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("name", FILES)
def test_every_file_carries_what_reproduces_the_run(exported, make_run, about, name):
    found = recipe.read(exported / name)
    assert found.spec == make_run(shape=(3, 7, 5), guided=True).spec
    assert found.about == about
    assert found.weights_sha256 == "ab" * 32
    assert found.step == (3 if name == "frame_0003.png" else None)


def test_an_exported_folder_is_read_by_its_recipe_json(exported):
    assert recipe.read(exported) == recipe.read(exported / "recipe.json")


def test_the_content_decides_and_not_the_suffix(exported, tmp_path):
    (tmp_path / "picture").write_bytes((exported / "run.gif").read_bytes())
    assert recipe.read(tmp_path / "picture") == recipe.read(exported / "run.gif")


def test_other_programs_find_the_recipe_where_files_of_each_kind_keep_such_text(exported):
    import av

    text = json.loads((exported / "recipe.json").read_text("ascii"))
    with Image.open(exported / "run.apng") as image:
        assert json.loads(image.text["diffview"]) == text
    with Image.open(exported / "run.gif") as image:
        assert json.loads(image.info["comment"]) == text
    with Image.open(exported / "run.webp") as image:
        assert json.loads(image.getexif()[0x010E]) == text
    with av.open(str(exported / "run.mp4")) as container:
        assert json.loads(container.metadata["diffview"]) == text
    assert text["model"]["id"] == "toy" and text["shown"]["quantities"] == ["xt", "x0hat"]


def test_a_recipe_outlives_a_picture_being_saved_again_by_pillow(exported, tmp_path):
    with Image.open(exported / "frame_0002.png") as image:
        info = PngInfo()
        info.add_text("diffview", image.text["diffview"], zip=True)
        image.save(tmp_path / "again.png", pnginfo=info)
    with Image.open(exported / "run.webp") as image:
        image.save(tmp_path / "again.webp", exif=image.info["exif"])
    assert recipe.read(tmp_path / "again.png").step == 2
    assert recipe.read(tmp_path / "again.webp") == recipe.read(exported / "run.webp")


def test_a_recipe_of_4096_samples_fits(make_run, about, tmp_path):
    seeds = tuple(range(2**62, 2**62 + 4096))
    long = recipe.Recipe(replace(make_run(1).spec, seeds=seeds), about)
    (tmp_path / "recipe.json").write_text(long.to_text())
    assert recipe.read(tmp_path / "recipe.json") == long


def test_the_text_is_the_same_under_a_locale_with_decimal_commas(recipe_text):
    code = (
        "import locale, sys\n"
        "for name in ('de_DE.UTF-8', 'de_DE', 'C'):\n"
        "    try: locale.setlocale(locale.LC_ALL, name); break\n"
        "    except locale.Error: pass\n"
        "from diffview.exporters.recipe import parse\n"
        "print(parse(sys.argv[1]).to_text())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, recipe_text], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == recipe_text and recipe_text.isascii()


@pytest.fixture
def recipe_text(make_run, about):
    return recipe.Recipe(make_run(guided=True).spec, about, step=2).to_text()


def refusal(path, content):
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        recipe.read(path)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    return message


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, *chunks):
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return SIGNATURE + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IDAT", b"")


@pytest.mark.parametrize("kind", ["png", "gif", "webp"])
def test_pictures_of_others_have_no_recipe(tmp_path, kind):
    path = tmp_path / f"cat.{kind}"
    Image.new("RGB", (4, 4)).save(path)
    assert "carries no diffview recipe" in refusal(path, path.read_bytes())


def test_a_video_of_others_has_no_recipe(tmp_path):
    import av

    with av.open(str(tmp_path / "cat.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=5)
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), "rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert "carries no diffview recipe" in refusal(
        tmp_path / "cat.mp4", (tmp_path / "cat.mp4").read_bytes()
    )


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xd8\xff\xe0 a jpeg", b"MZ\x90", b"hello", b"RIFF....WAVE"]
)
def test_other_files_are_refused_with_the_kinds_that_carry_one(tmp_path, content):
    assert "PNG, APNG, GIF, WebP, MP4" in refusal(tmp_path / "file", content)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"nothing here.*No such file"):
        recipe.read(tmp_path / "nothing here")
    with pytest.raises(InputError, match="cannot be read"):
        recipe.read(tmp_path / "nul\0l")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recipe": 2}, "has version 2, this diffview reads up to 1: update diffview"),
        ({"recipe": True}, "is not a recipe that diffview wrote"),
        ({"recipe": None}, "is not a recipe that diffview wrote"),
        ({"spec": {"version": 99}}, "has version 99"),
        ({"spec": None}, "the recipe is not a JSON object"),
        ({"spec": {"version": 1}}, "the recipe is damaged"),
        ({"step": -1}, "'step' is not a step's number"),
        ({"step": "3"}, "'step' is not a step's number"),
        ({"about": []}, "'about' is not a JSON object"),
        ({"model": "toy"}, "'model' is not a JSON object"),
        ({"shown": None}, "'shown' is not a JSON object"),
    ],
)
def test_a_changed_recipe_is_refused_with_what_is_wrong(tmp_path, recipe_text, change, message):
    document = json.loads(recipe_text) | change
    assert message in refusal(tmp_path / "recipe.json", json.dumps(document).encode())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": [-1]}, "seed -1"),
        ({"seeds": ["0"]}, "not of the right type"),
        ({"n_steps": 0}, "0 steps"),
        ({"sampler": "os.system"}, "unknown sampler"),
        ({"options": {"path": "/etc/passwd"}}, "has no option 'path'"),
        (
            {"guidance": {"kind": "cfg", "scale": 1e9, "guide": "", "curve": []}},
            "γ = 1000000000.0 cannot be used",
        ),
    ],
)
def test_the_spec_inside_passes_the_strict_validator(tmp_path, recipe_text, change, message):
    document = json.loads(recipe_text)
    document["spec"] |= change
    assert message in refusal(tmp_path / "recipe.json", json.dumps(document).encode())


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b'{"recipe": NaN}',
        b'{"a":' + b"[" * 200_000,
        b'{"recipe": 1' + b"0" * 5000 + b"}",
        b'{"\xff": 1}',
        b'{"a": "' + b"x" * 2_000_000 + b'"}',
    ],
)
def test_json_that_is_broken_deep_long_or_foreign_is_refused(tmp_path, content):
    refusal(tmp_path / "recipe.json", content)


def test_pictures_of_more_than_64_million_pixels_are_refused_before_they_are_decoded(tmp_path):
    too_large = "is too large (at most 64 million)"
    assert too_large in refusal(tmp_path / "a.png", png(14_000, 14_000))
    gif = b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b";"
    assert too_large in refusal(tmp_path / "a.gif", gif)
    side = (16_383).to_bytes(3, "little")
    webp = b"RIFF\x16\0\0\0WEBPVP8X" + struct.pack("<II", 10, 2) + side + side
    assert too_large in refusal(tmp_path / "a.webp", webp)


def test_compressed_text_that_unpacks_to_100_mb_is_refused(tmp_path):
    bomb = zlib.compress(b"0" * 100_000_000)
    for kind, head in ((b"zTXt", b"diffview\0\0"), (b"iTXt", b"diffview\0\1\0\0\0")):
        assert "too large" in refusal(tmp_path / "a.png", png(4, 4, chunk(kind, head + bomb)))


def test_text_of_more_than_a_megabyte_is_refused_in_every_carrier(tmp_path, exported):
    long = "x" * (carriers.MAX_TEXT + 1)
    head = b"diffview\0\0\0\0\0"
    assert "too long for a recipe" in refusal(
        tmp_path / "a.png", png(4, 4, chunk(b"iTXt", head + long.encode()))
    )
    Image.new("L", (4, 4)).save(tmp_path / "a.gif", comment=long)
    assert "too long" in refusal(tmp_path / "a.gif", (tmp_path / "a.gif").read_bytes())
    webp = (exported / "run.webp").read_bytes()
    start = webp.index(b"EXIF")
    assert "too long" in refusal(
        tmp_path / "a.webp", webp[: start + 4] + struct.pack("<I", 2**31) + webp[start + 8 :]
    )


@pytest.mark.parametrize("name", FILES)
def test_damaged_files_are_read_or_refused_and_nothing_else(exported, tmp_path, name):
    """Cut, overwritten and zeroed anywhere, most of all in the first and last kilobyte."""
    content = (exported / name).read_bytes()
    path = tmp_path / name
    rng = np.random.default_rng(0)
    for attempt in range(150):
        damaged = bytearray(content)
        for _ in range(1 + attempt % 5):
            place = int(rng.integers(min(len(content), 1000)))
            place = len(content) - 1 - place if attempt % 3 == 0 else place
            damaged[place] = int(rng.integers(256))
        if attempt % 4 == 0:
            del damaged[int(rng.integers(len(damaged))) :]
        path.write_bytes(damaged)
        try:
            recipe.read(path)
        except InputError as error:
            assert str(path) in str(error)


def test_mp4_boxes_that_lie_about_their_length_are_refused(exported, tmp_path):
    content = (exported / "run.mp4").read_bytes()
    start = content.index(b"moov") - 4
    for length in (2, 7, 2**31, 2**32 - 1):
        lying = content[:start] + struct.pack(">I", length) + content[start + 4 :]
        assert "MP4 box does not fit" in refusal(tmp_path / "a.mp4", lying)


def test_a_saved_run_from_a_newer_version_is_refused(make_run, about, tmp_path, monkeypatch):
    monkeypatch.setattr(session, "SESSION_VERSION", 2)
    session.save(make_run(), tmp_path / "a.dvsession", about)
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"a\.dvsession: it has version 2, .* up to 1: update"):
        recipe.read(tmp_path / "a.dvsession")


def test_tensors_that_are_no_run_have_no_recipe(tmp_path):
    from safetensors.numpy import save

    content = save({"weight": np.zeros(3, np.float32)})
    assert "holds no saved run" in refusal(tmp_path / "unet.safetensors", content)


def test_the_recipe_of_a_run_names_the_weights_that_made_it():
    """What the window, the command line and Python say about a run is what a recipe reads."""
    card = ModelCard(
        "toy",
        "Toy",
        "wrapped",
        (1, 2, 2),
        "x0",
        schedules.named("linear"),
        weights_sha256="cd" * 32,
    )
    made = recipe.Recipe(RunSpec("toy"), sampling.about(card))
    assert recipe.parse(made.to_text()).weights_sha256 == "cd" * 32
