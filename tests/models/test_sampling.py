"""spec_for and sample_into: from choices to a recipe that makes sense, and to its run."""

import numpy as np
import pytest

from diffview.engine import schedules
from diffview.engine.spec import Guidance
from diffview.errors import InputError
from diffview.models import sampling
from diffview.models.wrapped import wrap


def test_a_typed_list_of_times_is_as_many_steps(make_card):
    spec = sampling.spec_for(make_card(), spacing="list", options={"times": "900, 500.5, 20"})
    assert spec.n_steps == 3
    assert [level.t for level in spec.levels(make_card().schedule)] == [900, 500.5, 20, 0]
    with pytest.raises(InputError, match="has 3 times and the run 5 steps"):
        sampling.spec_for(
            make_card(), spacing="list", steps=5, options={"times": "900, 500.5, 20"}
        )


def test_an_option_without_effect_is_refused_if_typed_and_left_out_if_the_cards(make_card):
    card = make_card(defaults={"options": {"rho": 5.0, "clip": "clamp", "rederive_eps": False}})
    assert dict(sampling.spec_for(card).options) == {"clip": "clamp", "rederive_eps": False}
    assert dict(sampling.spec_for(card, options={"clip": "none"}).options) == {"clip": "none"}
    assert sampling.spec_for(card, spacing="karras").option("rho") == 5.0
    with pytest.raises(InputError, match="rho: only spacing 'karras'"):
        sampling.spec_for(card, options={"rho": 3.0})


@pytest.mark.parametrize(
    ("changes", "choices", "message"),
    [
        ({}, {"sampler": "ddpm", "options": {"variance": "learned"}}, "learned no variance"),
        ({"latent": True}, {"options": {"clip": "threshold"}}, "samples are latents"),
        ({}, {"guidance": Guidance("autoguidance", 2.0)}, "needs a second model: name its guide"),
        ({}, {"guidance": Guidance("classifier", 2.0, "c")}, "needs a condition to steer to"),
        (
            {"prediction": "eps", "schedule": schedules.named("linear", zero_snr=True)},
            {},
            "at alpha = 0",
        ),
    ],
)
def test_what_makes_no_sense_for_the_model_is_refused(make_card, changes, choices, message):
    with pytest.raises(InputError, match=message):
        sampling.spec_for(make_card(**changes), **choices)


def test_a_run_is_guided_by_the_model_it_is_given():
    strong, weak = (wrap(lambda x, t, a=a: a * x, shape=(2,), prediction="x0") for a in (0.5, 0.2))
    spec = sampling.spec_for(
        strong.card, steps=2, guidance=Guidance("autoguidance", 2.0, "weak"), seeds=(1,)
    )
    trajectory = sampling.trajectory_for(strong.card, spec)
    first = next(sampling.sample_into(trajectory, strong, guide=weak))
    np.testing.assert_allclose(first.base, 0.2 * first.x_t, rtol=1e-6)
    np.testing.assert_allclose(first.x0_hat, 0.8 * first.x_t, rtol=1e-6)
    assert first.nfe == 2


@pytest.mark.parametrize(
    ("changes", "asked", "clip"),
    [
        ({}, {}, "clamp"),
        ({}, {"clip": "none"}, "none"),
        ({"defaults": {"options": {"clip": "threshold"}}}, {}, "threshold"),
        ({"latent": True}, {}, "none"),
        ({"family": "wrapped"}, {}, "none"),
        ({"data_shape": (2,)}, {}, "none"),
        ({"value_range": (0.0, 1.0)}, {}, "clamp"),
    ],
)
def test_a_classifier_guides_within_the_range_of_the_data_where_that_is_known(
    make_card, changes, asked, clip
):
    by = Guidance("classifier", 3.0, "judge")
    spec = sampling.spec_for(make_card(**changes), label=1, guidance=by, options=asked)
    assert spec.option("clip") == clip and spec.option("rederive_eps")
    plain = sampling.spec_for(make_card(**{**changes, "defaults": {}}), label=1, options=asked)
    assert plain.option("clip") == "none"


def test_clipping_is_to_the_range_of_the_model_s_data_and_the_recipe_says_which(make_card):
    card = make_card(value_range=(0.0, 1.0))
    spec = sampling.spec_for(card, options={"clip": "clamp"})
    assert dict(spec.options)["clip_range"] == "0, 1"
    assert (spec.finish().low, spec.finish().high) == (0.0, 1.0)
    typed = sampling.spec_for(card, options={"clip": "clamp", "clip_range": (0.2, 2)})
    assert (typed.finish().low, typed.finish().high) == (0.2, 2.0)
    assert dict(sampling.spec_for(card).options) == {}  # nothing is clipped, so nothing is told
    usual = sampling.spec_for(make_card(), options={"clip": "clamp"})
    assert (usual.finish().low, usual.finish().high) == (-1.0, 1.0)


@pytest.mark.parametrize("span", ["1, 0", "", "2, 2"])
def test_a_range_of_the_data_that_is_none_is_refused(make_card, span):
    with pytest.raises(InputError, match="is no range: give the lowest"):
        sampling.spec_for(make_card(), options={"clip": "clamp", "clip_range": span})


def test_points_have_no_quantile_to_clip_at(make_card):
    card = make_card(data_shape=(2,))
    with pytest.raises(InputError, match="points, whose few numbers have no quantile"):
        sampling.spec_for(card, options={"clip": "threshold"})
    assert sampling.spec_for(card, options={"clip": "clamp"}).option("clip") == "clamp"


def test_a_classifier_s_gradient_at_high_noise_cannot_throw_the_run_out_of_range(make_card):
    """sigma^2 / alpha is 20,000 on the first step of cosine: the estimate was in the thousands."""
    import torch

    def judge(x, t):
        return torch.stack([x.mean((1, 2, 3)), -x.mean((1, 2, 3))], 1)

    model = wrap(lambda x, t, label: 0 * x, shape=(1, 4, 4), prediction="x0", classes=2,
                 schedule="cosine")  # fmt: skip
    card = make_card(classes=("a", "b"), data_shape=(1, 4, 4), schedule=model.card.schedule)
    spec = sampling.spec_for(
        card, label=0, guidance=Guidance("classifier", 3.0, "judge"), steps=5, seeds=(0, 1)
    )
    made = list(sampling.records(model, spec, guide=judge))
    assert np.abs(made[0].base + 3 * made[0].direction).max() > 100
    assert max(np.abs(record.x0_hat).max() for record in made) <= 1
    assert np.abs(made[-1].x_t).max() <= 1
