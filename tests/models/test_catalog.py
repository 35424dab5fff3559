"""The catalogue: what can be opened by id or by file, and the words when it cannot."""

import re

import pytest
from PIL import Image

from diffview import resources, tensorfile
from diffview.errors import InputError
from diffview.models import catalog, families


@pytest.fixture
def one_bundled_model(model_file, monkeypatch):
    """A catalogue with the tiny model in it, wherever the real ones are."""
    path = model_file()
    folder = path.parent
    monkeypatch.setattr(resources, "path", lambda *parts: folder)
    monkeypatch.setattr(catalog, "exact", lambda: ())
    catalog.bundled.cache_clear()
    yield path
    catalog.bundled.cache_clear()


def test_a_bundled_model_is_found_by_its_id(one_bundled_model):
    found = catalog.find("tiny")
    assert (found.path, found.bundled) == (one_bundled_model, True)


def test_a_damaged_bundled_model_is_left_out_and_does_not_hide_the_others(
    one_bundled_model, caplog
):
    whole = one_bundled_model.read_bytes()
    one_bundled_model.with_name("broken.safetensors").write_bytes(whole[:-7])
    assert [entry.card.id for entry in catalog.bundled()] == ["tiny"]
    assert "broken.safetensors is incomplete" in caplog.text


def test_a_model_is_found_by_its_file(model_file):
    path = model_file()
    found = catalog.find(str(path))
    assert (found.card.id, found.path, found.bundled) == ("tiny", path, False)


def test_an_entry_knows_the_files_own_size_and_digest(model_file):
    path = model_file()
    card = catalog.entry(path).card
    assert card.parameters == tensorfile.read_header(path).parameters > 0
    assert card.weights_sha256 == tensorfile.sha256(path)


def test_an_unknown_name_gets_the_known_ones_and_a_guess(one_bundled_model):
    with pytest.raises(
        InputError, match=r"unknown model 'tinny'.*did you mean 'tiny'.*give one of"
    ):
        catalog.find("tinny")


def test_an_unknown_name_far_from_all_gets_no_guess(one_bundled_model):
    with pytest.raises(InputError, match="unknown model 'imagenet': give one of tiny, or a model"):
        catalog.find("imagenet")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a" * 5000, "unknown model"),
        ("a\0b", "unknown model"),
        ("~nobody-of-this-name/model", "does not exist"),
        ("no/such/file", "does not exist"),
        ("gone.safetensors", "does not exist"),
    ],
)
def test_a_name_that_cannot_be_a_path_is_an_unknown_model_too(one_bundled_model, name, message):
    with pytest.raises(InputError, match=message):
        catalog.find(name)


def test_a_folder_is_refused_and_says_what_to_give(one_bundled_model, tmp_path):
    with pytest.raises(InputError, match=re.escape(f"{tmp_path} is a folder without model_index")):
        catalog.find(str(tmp_path))


def test_a_file_of_another_kind_is_refused_with_its_name(one_bundled_model, tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(60))
    with pytest.raises(InputError, match=r"picture\.png is not a safetensors file but a PNG"):
        catalog.find(str(path))


def test_those_that_can_be_sampled_come_first(model_file, make_card, monkeypatch, tmp_path):
    for number, (name, prediction) in enumerate([("A judge", "class"), ("Z sampler", "v")]):
        card = make_card(id=name[0], title=name, prediction=prediction)
        model_file(card=card).rename(tmp_path / f"{number}.safetensors")
    monkeypatch.setattr(resources, "path", lambda *parts: tmp_path)
    monkeypatch.setattr(catalog, "exact", lambda: ())
    catalog.bundled.cache_clear()
    try:
        assert [entry.card.title for entry in catalog.bundled()] == ["Z sampler", "A judge"]
    finally:
        catalog.bundled.cache_clear()


def test_exact_models_ship_too_after_the_trained_ones_and_before_those_that_judge():
    ids = [entry.card.id for entry in catalog.bundled()]
    exact = ["checkerboard", "mixture", "moons", "rings", "spiral", "exact:fashion"]
    assert [name for name in ids if name in exact] == exact
    assert ids.index("fashion") < ids.index("checkerboard")
    assert ids.index("exact:fashion") < ids.index("fashion-classifier-clean")


def test_a_folder_of_pictures_is_a_model_of_them(tmp_path):
    for kind in ("cat", "dog"):
        (tmp_path / kind).mkdir()
        Image.new("L", (30, 20), 90).save(tmp_path / kind / "one.png")
    found = catalog.find(str(tmp_path))
    assert found.card.id == f"exact:{tmp_path.name}/"
    assert catalog.find(f"exact:{tmp_path}") == found
    assert (found.card.data_shape, found.card.classes) == ((1, 20, 20), ("cat", "dog"))
    assert "2 pictures of 1x20x20" in found.card.description
    assert "MB of memory" in found.card.description


def test_an_unknown_set_of_pictures_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match=r"unknown picture set 'exact:birds'.*exact:fashion"):
        catalog.find("exact:birds")


def test_a_folder_that_is_called_as_a_known_set_does_not_stand_for_it(tmp_path, monkeypatch):
    (tmp_path / "fashion").mkdir()
    Image.new("L", (30, 20), 90).save(tmp_path / "fashion" / "one.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(catalog, "bundled", lambda: ())
    assert catalog.find("exact:fashion").card.data_shape == (1, 28, 28)


def test_a_set_whose_files_lie_in_no_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"nowhere is no folder, so the pictures of fashion"):
        catalog.find(f"exact:fashion:{tmp_path}/nowhere")


def test_a_missing_data_set_is_known_but_says_how_to_get_it_when_opened(tmp_path):
    found = catalog.find(f"exact:fashion:{tmp_path}")
    assert found.card.data_shape == (1, 28, 28)
    with pytest.raises(InputError, match=r"apt-get install.*--model exact:fashion:FOLDER"):
        families.load(found)


def test_the_window_opens_with_clothes_whatever_else_ships():
    ids = [entry.card.id for entry in catalog.bundled()]
    assert ids[0] == "fashion" and "emoji-text" in ids
