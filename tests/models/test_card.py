"""Model cards: through JSON and back, and what is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffview.engine import schedules
from diffview.errors import InputError
from diffview.models import card as cards


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"classes": ()},
        {"schedule": schedules.given(betas=[0.1, 0.2])},
        {"schedule": schedules.flow(3.0), "prediction": "flow"},
        {"learned_variance": True, "whole_times": True, "latent": True},
        {"value_range": (0.0, 1.0), "parameters": 5, "defaults": {"steps": 50}},
        {"title": "Größe γ"},
    ],
    ids=str,
)
def test_a_card_survives_json(make_card, changes):
    card = make_card(**changes)
    assert cards.from_json(json.loads(json.dumps(card.to_json()))) == card


def test_only_what_predicts_something_of_the_noise_can_be_sampled(make_card):
    assert make_card().samples
    assert not make_card(prediction="class").samples


def test_a_card_from_a_newer_version_is_refused_with_both_versions(make_card):
    document = make_card().to_json() | {"version": 99}
    with pytest.raises(InputError, match="version 99, this diffview reads up to 1: update"):
        cards.from_json(document)


@pytest.mark.parametrize("version", [None, "1", 0, True])
def test_a_card_without_a_version_is_not_ours(make_card, version):
    with pytest.raises(InputError, match="has no version"):
        cards.from_json(make_card().to_json() | {"version": version})


@pytest.mark.parametrize(
    "change",
    [
        {"data_shape": []},
        {"data_shape": [1, "8", 8]},
        {"data_shape": [1, 0, 8]},
        {"data_shape": [1, 8.5, 8]},
        {"data_shape": "188"},
        {"data_shape": None},
        {"classes": "abc"},
        {"classes": [1, 2]},
        {"classes": None},
        {"value_range": [-1]},
        {"value_range": [1, -1]},
        {"value_range": ["a", "b"]},
        {"value_range": [0, float("inf")]},
        {"schedule": {}},
        {"schedule": None},
        {"schedule": {"name": "cosine", "T": 10**15}},
        {"schedule": {"name": "cosine", "T": float("inf")}},
        {"schedule": {"name": "spiral", "T": 10}},
        {"schedule": {"alphas_cumprod": [0.1, 0.2]}},
        {"schedule": ["alphas_cumprod"]},
        {"id": 5},
        {"title": None},
        {"family": ["pixel_unet"]},
        {"prediction": {}},
        {"parameters": "many"},
        {"defaults": []},
        {"defaults": {"steps": "x"}},
        {"defaults": {"steps": True}},
        {"defaults": {"guidance": "high"}},
        {"defaults": {"options": [1]}},
        {"defaults": {"options": {"eta": [0.5]}}},
        {"defaults": {"sampler": 7}},
        {"defaults": {"label": "Sneaker"}},
        {"surprise": 1},
    ],
    ids=str,
)
def test_a_card_with_a_nonsensical_part_is_refused(make_card, change):
    with pytest.raises(InputError, match=r"card is damaged|schedule|alphas_cumprod"):
        cards.from_json(make_card().to_json() | change)


@pytest.mark.parametrize("key", ["id", "title", "family", "data_shape", "prediction", "schedule"])
def test_a_card_with_a_part_missing_is_refused_and_names_it(make_card, key):
    document = make_card().to_json()
    del document[key]
    with pytest.raises(InputError, match=f"card is damaged.*{key}"):
        cards.from_json(document)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(data=st.data(), value=json_values)
def test_any_value_anywhere_gives_a_card_or_an_input_error(make_card, data, value):
    document = make_card().to_json()
    document[data.draw(st.sampled_from(sorted(document)))] = value
    try:
        assert isinstance(cards.from_json(document), cards.ModelCard)
    except InputError as error:
        assert str(error)


def test_a_file_without_a_card_says_how_to_open_it_all_the_same():
    with pytest.raises(InputError, match=r"m\.safetensors carries no diffview model card.*wrap"):
        cards.from_metadata({"format": "pt"}, "m.safetensors")


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "null", "[" * 100_000, "{}"])
def test_a_broken_card_is_refused_and_names_the_file(text):
    with pytest.raises(InputError, match=r"m\.safetensors"):
        cards.from_metadata({"diffview.card": text}, "m.safetensors")


def test_a_newer_card_in_a_file_names_the_file(make_card):
    text = json.dumps(make_card().to_json() | {"version": 2})
    with pytest.raises(InputError, match=r"m\.safetensors: the model's card has version 2"):
        cards.from_metadata({"diffview.card": text}, "m.safetensors")


def test_a_card_tells_only_those_facts_that_are_so(make_card):
    assert not {"learned_variance", "whole_times", "latent"} & set(make_card().to_json())
    assert make_card(latent=True).to_json()["latent"] is True


@pytest.mark.parametrize("name", ["learned_variance", "whole_times", "latent"])
def test_a_fact_that_is_neither_true_nor_false_is_refused(make_card, name):
    with pytest.raises(InputError, match=f"{name} is neither true nor false"):
        cards.from_json(make_card().to_json() | {name: "yes"})
