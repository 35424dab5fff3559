"""Guides: which second model fits which, and what it is opened as."""

import dataclasses

import pytest
import torch
from torch import nn

from diffview.engine import schedules
from diffview.engine.spec import Guidance
from diffview.errors import InputError
from diffview.models import guides

CLASSES = ("Trouser", "Sandal", "Sneaker")


@pytest.fixture
def card(make_card):
    return make_card(weights_sha256="a" * 64)


def classifier(make_card, **changes):
    facts = {"id": "judge", "family": "classifier", "prediction": "class"}
    return make_card(**{**facts, **changes})


def weaker(make_card, **changes):
    return make_card(**{"id": "weak", "weights_sha256": "b" * 64, **changes})


def test_a_classifier_of_the_same_classes_and_a_weaker_model_fit(card, make_card):
    assert guides.reason_against(card, classifier(make_card), "classifier") == ""
    assert guides.reason_against(card, weaker(make_card), "autoguidance") == ""


def test_a_weaker_model_without_classes_fits_and_so_does_a_classifier_for_one(card, make_card):
    assert guides.reason_against(card, weaker(make_card, classes=()), "autoguidance") == ""
    plain = dataclasses.replace(card, classes=())
    assert guides.reason_against(plain, classifier(make_card), "classifier") == ""


@pytest.mark.parametrize(
    ("kind", "changes", "reason"),
    [
        ("cfg", {}, "uses no second model"),
        ("classifier", {}, "needs a classifier"),
        ("autoguidance", {"prediction": "class"}, "needs a weaker model"),
        ("autoguidance", {"data_shape": (3, 8, 8)}, "different shapes, 1x8x8 and 3x8x8"),
        ("autoguidance", {"latent": True}, "the other of latents"),
        ("autoguidance", {"value_range": (0.0, 1.0)}, "different ranges"),
        ("autoguidance", {"classes": ("Cat", "Dog", "Cow")}, "other classes"),
        ("autoguidance", {"schedule": schedules.named("linear")}, "another noise schedule"),
        ("autoguidance", {"weights_sha256": "a" * 64}, "not weaker than itself"),
    ],
)
def test_what_does_not_fit_has_a_reason(card, make_card, kind, changes, reason):
    found = guides.reason_against(card, weaker(make_card, **changes), kind)
    assert reason in found
    with pytest.raises(InputError, match=reason):
        guides.check(card, weaker(make_card, **changes), kind)


def test_a_classifier_of_other_classes_does_not_fit(card, make_card):
    judge = classifier(make_card, classes=("Cat", "Dog"))
    assert "other classes" in guides.reason_against(card, judge, "classifier")


def test_a_classifier_cannot_guide_a_model_that_takes_a_prompt(make_card):
    painter = make_card(classes=(), text_tokens=8, vocabulary=("a", "cat"))
    judge = classifier(make_card)
    found = guides.reason_against(painter, judge, "classifier")
    assert found == f"'{painter.id}' takes a prompt, and a classifier steers to a class"
    with pytest.raises(InputError, match="takes a prompt"):
        guides.guidance(painter, guide=judge)


def test_the_kind_follows_from_the_guide_and_gamma_from_the_kind(card, make_card):
    judge, weak = classifier(make_card), weaker(make_card)
    assert guides.guidance(card, guide=judge) == Guidance("classifier", 3.0, "judge")
    assert guides.guidance(card, guide=weak, scale=1.5) == Guidance("autoguidance", 1.5, "weak")
    curve = ((0.0, 1.0),)
    assert guides.guidance(card, curve=curve) == Guidance("cfg", 3.0, "", curve)
    assert guides.guidance(card, scale=2.0) == 2.0 and guides.guidance(card) is None
    assert guides.guidance(card, kind="none") == Guidance()
    with pytest.raises(InputError, match="does nothing without guidance"):
        guides.guidance(card, kind="none", scale=2.0)


class Clean(nn.Module):
    def forward(self, x):
        return x.flatten(1)[:, :3]


class Noisy(nn.Module):
    def forward(self, x, t):
        return x.flatten(1)[:, :3] + t[:, None]


def test_a_network_of_x_alone_is_asked_about_clean_pictures_and_one_of_t_about_noisy_ones():
    x, t = torch.arange(8.0).reshape(2, 1, 2, 2), torch.tensor([5.0, 5.0])
    clean, noisy = guides.as_classifier(Clean()), guides.as_classifier(Noisy())
    assert clean.clean and torch.equal(clean(x, t), x.flatten(1)[:, :3])
    assert not getattr(noisy, "clean", False)
    assert torch.equal(noisy(x, t), x.flatten(1)[:, :3] + 5)


def test_a_recipe_that_names_a_path_as_its_guide_opens_nothing(tmp_path):
    path = tmp_path / "guide.safetensors"
    path.write_bytes(b"anything")
    with pytest.raises(InputError, match="does not ship with diffview"):
        guides.entry_for(None, str(path))
    assert guides.entry_for(None, "") is None
