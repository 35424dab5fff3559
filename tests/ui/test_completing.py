"""Completions: which sampler makes them, and what is told where it cannot."""

import pytest

from diffview.errors import InputError
from diffview.models import branching, sampling
from diffview.ui.completing import FALLBACK, Wish, completed


@pytest.fixture
def wish_of(make_model, make_source):
    """A wish for two completions of a run with a sampler, from its first record on."""

    def make(sampler):
        model = make_model()
        spec = sampling.spec_for(model.card, sampler=sampler, steps=3, label=1, seeds=[0])
        run = sampling.trajectory_for(model.card, spec)
        for _ in sampling.sample_into(run, model):
            pass
        return Wish(run, 0, 0, 2, None, make_source(model), None)

    return make


@pytest.mark.parametrize(("sampler", "made_by"), [("ddpm", "ddpm"), ("ddim", FALLBACK)])
def test_a_sampler_without_noise_is_replaced(wish_of, sampler, made_by):
    assert {made.sampler for made in completed(wish_of(sampler))} == {made_by}


def test_what_stands_against_completions_is_told_and_nothing_else_is_tried(wish_of, monkeypatch):
    tried = []

    def refuse(*_, sampler, **__):
        tried.append(sampler)
        raise InputError(f"no room for {sampler}")

    monkeypatch.setattr(branching, "complete", refuse)
    with pytest.raises(InputError, match="no room for None"):
        list(completed(wish_of("ddpm")))
    assert tried == [None]
