"""For tests in several folders: tiny emoji packages, and tiny models that write token by token."""

import io
import json
import os
import tarfile
from pathlib import Path

import pytest
from PIL import Image


def pytest_configure(config):
    """Each of several processes that run tests side by side has its own screen, and one core."""
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        number = int(worker["workerid"].removeprefix("gw"))
        displays = os.environ.get("DIFFVIEW_TEST_DISPLAYS", "").split(",")
        if number < len(displays) and displays[number]:
            os.environ["DISPLAY"] = displays[number]
        os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(scope="session", autouse=True)
def folders_of_their_own(tmp_path_factory):
    """What a test opens or fits is never noted among a person's own things."""
    top = tmp_path_factory.mktemp("home")
    names = ("XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME")
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.setenv(name, str(top / name))
        yield


ENTRIES = [
    {"hexcode": "1F34E", "label": "red apple", "tags": ["fruit"], "group": 4, "subgroup": 42},
    {"hexcode": "2764-FE0F", "label": "red heart", "tags": ["love"], "group": 0, "subgroup": 14},
    {"hexcode": "1F9D1", "label": "person", "group": 1, "subgroup": 23},
    {"hexcode": "1F468-200D-2695-FE0F", "label": "man doctor", "group": 1, "subgroup": 25},
    {"hexcode": "1F7E5", "label": "red square", "group": 8, "subgroup": 96},
    {"hexcode": "0023", "label": "hash", "group": 8, "subgroup": 94},
    {"hexcode": "1F550", "label": "two-thirty", "group": 5, "subgroup": 58},
    {"hexcode": "1F1E6", "label": "regional indicator A"},
    {"hexcode": "1F3FB", "label": "light skin tone", "group": 2, "subgroup": 32},
    {"hexcode": "1F3C1", "label": "chequered flag", "group": 9, "subgroup": 97},
]


def package(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def picture(colour, size, kind):
    file = io.BytesIO()
    Image.new("RGBA", (size, size), colour).save(file, format=kind, lossless=True)
    return file.getvalue()


@pytest.fixture
def emoji_package():
    """emoji_package(path, {name: bytes}) writes a package as npm packs it."""
    return package


@pytest.fixture
def emoji_entries():
    """What the packages of `emoji_folder` tell of: all that is kept, and some that is not."""
    return ENTRIES


@pytest.fixture
def emoji_folder(tmp_path_factory):
    """A folder with the three packages: one-coloured pictures of ENTRIES in both styles."""
    folder = tmp_path_factory.mktemp("emoji")
    entries = [{**entry, "order": k} for k, entry in enumerate(ENTRIES)]
    data = json.dumps(list(reversed(entries))).encode()
    package(folder / "emojibase-data-17.0.0.tgz", {"package/en/data.json": data})
    codes = [entry["hexcode"].lower() for entry in ENTRIES]
    red, clear = picture((255, 0, 0, 255), 256, "webp"), picture((0, 0, 255, 128), 64, "png")
    fluent = {f"package/assets/{c.replace('-fe0f', '')}.webp": red for c in codes if c != "0023"}
    package(folder / "lobehub-fluent-emoji-3d-1.1.0.tgz", fluent)
    noto = {f"package/img/google/64/{code}.png": clear for code in codes}
    package(folder / "emoji-datasource-google-16.0.0.tgz", noto)
    return folder


WORDS = ("red", "green", "apple", "cat")


@pytest.fixture(scope="session")
def writers(tmp_path_factory) -> Path:
    """A folder with text.safetensors (16 tokens of 12 codes), its tokenizer, pixel.safetensors."""
    import torch

    folder = tmp_path_factory.mktemp("writers")
    torch.manual_seed(0)
    _write_text(folder, _write_tokenizer(folder))
    _write_pixel(folder)
    return folder


def _write_tokenizer(folder):
    from diffview.models.tokenizer import Tokenizer, TokenizerConfig

    shape = TokenizerConfig(size=16, codes=12, depth=2, narrow=4, wide=8, blocks=1)
    tokenizer = Tokenizer(shape)
    tokenizer.codebook.normal_()
    card = _card("tokens", "tokenizer", (3, 16, 16), "tokens")
    _write(folder / "tokens.safetensors", tokenizer, shape.to_json(), card)
    return tokenizer


def _write_text(folder, tokenizer):
    from diffview.models.first_stage import FirstStage
    from diffview.models.token_transformer import TokenTransformer, TokenTransformerConfig

    stage = FirstStage(WORDS, str(folder / "tokens.safetensors"), tokenizer.codebook_sha256)
    shape = TokenTransformerConfig(stage, codes=12, grid=4, width=32, layers=2)
    network = TokenTransformer(shape)
    network.head.weight.data.mul_(5)  # else all tokens are about as likely
    card = _card(
        "tiny-ar", "token_text", (1, 4, 4), "next",
        value_range=(0.0, 11.0), latent=True, text_tokens=8, vocabulary=WORDS,
        picture_shape=(3, 16, 16), defaults={"guidance": 3.0, "prompt": "red apple"},
    )  # fmt: skip
    _write(folder / "text.safetensors", network, shape.to_json(), card)


def _write_pixel(folder):
    from diffview.models.pixel_cnn import PixelCnn, PixelCnnConfig

    shape = PixelCnnConfig(size=5, classes=3, levels=8, width=8, blocks=2)
    card = _card(
        "tiny-pixel", "pixel_cnn", (1, 5, 5), "next", classes=("Shirt", "Sneaker", "Bag"),
        value_range=(0.0, 7.0), defaults={"guidance": 1.0, "label": 1},
    )  # fmt: skip
    _write(folder / "pixel.safetensors", PixelCnn(shape), shape.to_json(), card)


def _card(model_id, family, shape, prediction, **facts):
    from diffview.engine import schedules
    from diffview.models.card import ModelCard

    cosine = schedules.named("cosine")
    return ModelCard(model_id, model_id, family, shape, prediction, cosine, **facts)


def _write(path, network, config, card):
    from diffview import tensorfile

    told = {"diffview.card": json.dumps(card.to_json()), "diffview.config": json.dumps(config)}
    weights = {name: tensor.detach().numpy() for name, tensor in network.state_dict().items()}
    tensorfile.write_numpy(path, weights, told)


@pytest.fixture(autouse=True)
def own_data_folder(tmp_path_factory, monkeypatch):
    """Models opened by one test are not among those opened last in the next."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
