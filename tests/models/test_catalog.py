"""The catalogue: what can be opened by id or by file, and the words when it cannot."""

import re

import pytest

from diffview import resources, tensorfile
from diffview.errors import InputError
from diffview.models import catalog


@pytest.fixture
def one_bundled_model(model_file, monkeypatch):
    """A catalogue with the tiny model in it, wherever the real ones are."""
    path = model_file()
    folder = path.parent
    monkeypatch.setattr(resources, "path", lambda *parts: folder)
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
    with pytest.raises(InputError, match=re.escape(f"{tmp_path} is a folder: give a .safetensor")):
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
    catalog.bundled.cache_clear()
    try:
        assert [entry.card.title for entry in catalog.bundled()] == ["Z sampler", "A judge"]
    finally:
        catalog.bundled.cache_clear()
