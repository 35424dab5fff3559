"""Prompts as numbers, and an encoder in which empty places say nothing."""

import torch

from diffview.models.prompts import LENGTH, PromptEncoder, Vocabulary, words


def test_words_are_lower_case_letters_and_digits():
    assert words("Jack-O-Lantern 2: Été!") == ("jack", "o", "lantern", "2", "t")


def test_known_words_have_numbers_from_one_and_unknown_ones_are_left_out():
    vocabulary = Vocabulary(["red", "apple"])
    assert vocabulary.numbers("A red, RED apple!") == [1, 1, 2]
    assert len(vocabulary) == 2
    rows = vocabulary(["apple", "nothing known"])
    assert rows.tolist() == [[2] + [0] * (LENGTH - 1), [0] * LENGTH]
    assert torch.equal(vocabulary.null(2), torch.zeros(2, LENGTH, dtype=torch.int64))


def test_a_prompt_of_ten_thousand_letters_is_cut_to_its_first_words():
    vocabulary = Vocabulary(["a", "b"])
    assert vocabulary.numbers("b " + "a " * 5000) == [2] + [1] * (LENGTH - 1)


def test_control_characters_and_right_to_left_text_are_no_words():
    apple = "\u062a\u0641\u0627\u062d\u0629"
    assert Vocabulary(["red"]).numbers(f"\x00\x1b[31m\u202e{apple} red\u200f") == [1]


def test_an_encoding_does_not_depend_on_empty_places_or_other_rows():
    torch.manual_seed(0)
    encoder = PromptEncoder(vocabulary=20, width=64).eval().requires_grad_(False)
    numbers = torch.tensor([[3, 5, 0, 0, 0, 0, 0, 0], [7, 1, 2, 9, 4, 4, 4, 4]])
    together = encoder(numbers)
    alone = encoder(numbers[:1])
    torch.testing.assert_close(together.vectors[:1, :3], alone.vectors[:, :3])
    assert together.mask[0].tolist() == [True, True, True] + [False] * (LENGTH - 2)
    torch.testing.assert_close(together.pooled, together.vectors[:, 0])
    encoder.place[4:] += 1  # places of words that are not there
    torch.testing.assert_close(encoder(numbers[:1]).pooled, alone.pooled)


def test_the_order_of_words_matters():
    torch.manual_seed(0)
    encoder = PromptEncoder(vocabulary=20, width=64).eval()
    one = encoder(torch.tensor([[3, 5, 0, 0, 0, 0, 0, 0]])).pooled
    other = encoder(torch.tensor([[5, 3, 0, 0, 0, 0, 0, 0]])).pooled
    assert not torch.allclose(one, other, atol=1e-4)
