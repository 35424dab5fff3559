"""Labels by number and by name, and the tensor that a network gets."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffview.errors import InputError
from diffview.models.conditions import checked_label, condition_tensor, label_number

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("label", "number"),
    [("Sneaker", 2), ("sneaker", 2), (" SANDAL ", 1), ("tro", 0), ("sn", 2), (1, 1), ("2", 2)],
)
def test_a_label_is_found_by_name_by_its_start_and_by_number(make_card, label, number):
    assert label_number(make_card(), label) == number


def test_a_whole_name_wins_over_a_longer_one_that_starts_alike(make_card):
    card = make_card(classes=("Bagpipe", "Bag", "Shirt"))
    assert label_number(card, "bag") == 1


@pytest.mark.parametrize(
    "label", ["s", "", "  ", "Boot", "Sneakers", "--5", "+-3", "²", "1.0", "9" * 5000]
)
def test_an_unknown_or_ambiguous_name_is_refused_with_the_list(make_card, label):
    with pytest.raises(InputError, match=r"no class .*it has 0 Trouser, 1 Sandal, 2 Sneaker"):
        label_number(make_card(), label)


@pytest.mark.parametrize("label", [3, -1, "99", "-1", 10**17])
def test_a_number_out_of_range_is_refused_with_the_range(make_card, label):
    with pytest.raises(
        InputError, match="out of range: model 'tiny' has labels 0 to 2, 0 Trouser"
    ):
        label_number(make_card(), label)


def test_a_model_without_classes_takes_no_label(make_card):
    for check in (label_number, checked_label):
        with pytest.raises(InputError, match="model 'tiny' has no classes"):
            check(make_card(classes=()), 0)


@given(st.text(max_size=20) | st.integers())
def test_any_label_gives_a_class_or_an_input_error(make_card, label):
    try:
        assert label_number(make_card(), label) in (0, 1, 2)
    except InputError as error:
        assert str(error)


def test_one_label_is_given_to_every_sample(make_card):
    labels = condition_tensor(make_card(), 2, 3, CPU)
    assert labels.dtype == torch.int64
    assert labels.tolist() == [2, 2, 2]


def test_several_labels_go_to_a_sample_each(make_card):
    assert condition_tensor(make_card(), (2, 0, 1), 3, CPU).tolist() == [2, 0, 1]


def test_no_condition_is_no_tensor(make_card):
    assert condition_tensor(make_card(), None, 3, CPU) is None


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ((0, 1), "2 labels were given for 3 samples; give one for each"),
        ((0, 1, 3), "label 3 is out of range"),
        (7, "label 7 is out of range"),
        ("a red shoe", "takes no prompt"),
    ],
)
def test_a_condition_the_model_has_not_is_refused(make_card, condition, message):
    with pytest.raises(InputError, match=message):
        condition_tensor(make_card(), condition, 3, CPU)
