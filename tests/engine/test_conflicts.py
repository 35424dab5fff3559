"""Conflicts: every combination without sense has one reason, and what has sense has none."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffview.engine import divergence, samplers, schedules, spacings
from diffview.engine.origin import Origin
from diffview.engine.spec import (
    Facts,
    Guidance,
    RunSpec,
    checked,
    conflicts,
    declared_options,
    idle,
    trimmed,
)

LINEAR = Facts(schedules.named("linear"), conditional=True, null=True)
ZERO = Facts(schedules.named("linear", zero_snr=True), "v", conditional=True, null=True)
FLOW = Facts(schedules.flow(), "flow")
GUIDED = Guidance("cfg", 3.0)
TOKENS = Facts(LINEAR.schedule, "next", conditional=True, null=True, tokens=10)
WRITER = "autoregressive"


def spec(sampler="ddim", n_steps=10, spacing="trailing", guidance=None, condition=3, **options):
    options = tuple(options.items())
    return checked(
        RunSpec("m", sampler, n_steps, spacing, guidance or Guidance(), condition, (0,), options)
    )


CONFLICTS = {
    "has 1000 times, so choose 1 to 1000": (spec(n_steps=1001), LINEAR),
    "has 2 times and the run 10 steps": (spec(spacing="list", times="5, 3"), LINEAR),
    "an eps-predicting network says nothing about x0 at alpha = 0": (
        spec(),
        Facts(ZERO.schedule, "eps"),
    ),
    "EDM's preconditioning has no sigma at alpha = 0": (spec(), Facts(ZERO.schedule, "edm")),
    "where sampler 'heun' cannot begin": (spec("heun"), ZERO),
    "where a classifier cannot guide": (spec(guidance=Guidance("classifier", 1, "c")), ZERO),
    "where eps cannot be rescaled: choose rescale_space=v": (
        spec(guidance=GUIDED, rescale=0.7, rescale_space="eps"),
        ZERO,
    ),
    "takes no condition": (spec(guidance=GUIDED), FLOW),
    "guidance 'cfg' needs a condition": (spec(guidance=GUIDED, condition=None), LINEAR),
    "no 'no condition' input": (spec(guidance=GUIDED), Facts(LINEAR.schedule, conditional=True)),
    "guidance 'autoguidance' needs a second model": (
        spec(guidance=Guidance("autoguidance")),
        FLOW,
    ),
    "guidance 'cfg' uses no second model, and 'fashion' is": (
        spec(guidance=Guidance("cfg", 3.0, "fashion")),
        LINEAR,
    ),
    "curve does nothing without guidance": (spec(guidance=Guidance(curve=((0.0, 1.0),))), LINEAR),
    "latents, which have no range": (spec(clip="threshold"), Facts(LINEAR.schedule, latent=True)),
    "learned no variance": (spec("ddpm", variance="learned"), LINEAR),
    "rho: only spacing 'karras' has a ρ": (spec(rho=3.0), LINEAR),
    "steps_offset: only spacing 'leading'": (spec(steps_offset=1), LINEAR),
    "steps_offset: this model's times are not counted": (
        spec(spacing="leading", steps_offset=1),
        FLOW,
    ),
    "shift: only the times of a flow": (spec(shift=3.0), LINEAR),
    "shift: spacing 'karras' does not go by time": (spec(spacing="karras", shift=3.0), FLOW),
    "times: only spacing 'list'": (spec(times="5"), LINEAR),
    "eta: one step goes straight to x̂₀": (spec(n_steps=1, eta=0.5), LINEAR),
    "order: one step goes": (spec("lms", n_steps=1, order=2), LINEAR),
    "variance: one step goes": (spec("ddpm", n_steps=1, variance="large"), LINEAR),
    "noise_path: one step goes": (spec("ddpm", n_steps=1, noise_path="brownian"), LINEAR),
    "threshold: only clip=threshold": (spec(threshold=0.9, clip="clamp"), LINEAR),
    "rederive_eps: nothing is clipped": (spec(rederive_eps=False), LINEAR),
    "rederive_eps: only DDIM takes ε apart": (
        spec("euler", clip="clamp", rederive_eps=False),
        LINEAR,
    ),
    "rescale: without guidance": (spec(rescale=0.7), LINEAR),
    "rescale_space: nothing is rescaled": (spec(guidance=GUIDED, rescale_space="x0"), LINEAR),
    "interval: there is no guidance": (spec(interval="1, 2"), LINEAR),
    "noise_path: this sampler adds no noise": (spec("heun", noise_path="brownian"), LINEAR),
    "s_tmin = 2 is above s_tmax = 1": (spec("euler", churn=10, s_tmin=2, s_tmax=1), LINEAR),
    "takes a prompt, and a classifier steers to a class": (
        spec(guidance=Guidance("classifier", 1, "c"), condition="a cat"),
        Facts(LINEAR.schedule, conditional=True, null=True, text=True),
    ),
    "s_noise: churn is 0": (spec("euler", s_noise=1.1), LINEAR),
    "no noise that sampler 'ddim' could remove: choose autoregressive": (spec(), TOKENS),
    "is for models that predict the next token": (spec(WRITER), LINEAR),
    "writes 10 tokens, one a step: choose 10 steps": (spec(WRITER, n_steps=9), TOKENS),
    "guidance 'autoguidance' works on noise": (
        spec(WRITER, guidance=Guidance("autoguidance", 2.0, "weak")),
        TOKENS,
    ),
    "curve goes by the noise": (
        spec(WRITER, guidance=Guidance("cfg", 3.0, curve=((0.0, 1.0),))),
        TOKENS,
    ),
    "top_k: at temperature 0": (spec(WRITER, temperature=0.0, top_k=5), TOKENS),
}


@pytest.mark.parametrize("reason", CONFLICTS)
def test_what_makes_no_sense_has_one_reason(reason):
    found = conflicts(*CONFLICTS[reason])
    assert len(found) == 1
    assert re.search(re.escape(reason), found[0])


SOUND = [
    (spec(), LINEAR),
    (spec(WRITER, guidance=GUIDED, temperature=0.7, top_k=5), TOKENS),
    (spec("ddpm", variance="learned"), Facts(LINEAR.schedule, learned_variance=True)),
    (spec(spacing="karras", rho=3.0), LINEAR),
    (spec(spacing="leading", steps_offset=1), LINEAR),
    (spec(shift=3.0), FLOW),
    (spec("heun", spacing="leading"), ZERO),
    (spec(guidance=GUIDED, rescale=0.7, rescale_space="eps", interval="1, 2"), LINEAR),
    (spec(guidance=Guidance("cfg", 3.0, curve=((0.0, 1.0),))), LINEAR),
    (spec(guidance=Guidance("autoguidance", 2.0, "weak"), condition=None), FLOW),
    (spec(clip="threshold", threshold=0.9, rederive_eps=False), LINEAR),
    (spec(eta=0.5, noise_path="brownian"), LINEAR),
    (spec("euler", churn=10, s_noise=1.1, noise_path="brownian"), LINEAR),
    (spec("euler", churn=10, s_tmin=1, s_tmax=1), LINEAR),
    (spec("euler", s_tmin=0, s_tmax=1e6), LINEAR),
    (spec(spacing="list", n_steps=2, times="5, 3"), LINEAR),
]


@pytest.mark.parametrize(("run", "facts"), SOUND, ids=str)
def test_what_makes_sense_has_no_reason_against_it(run, facts):
    assert conflicts(run, facts) == []


def test_ddim_without_eta_adds_no_noise():
    assert "noise_path" in idle(spec(eta=0.0), LINEAR)
    assert "noise_path" not in idle(spec(eta=0.1), LINEAR)


@pytest.mark.parametrize(
    "own",
    [spec("heun"), spec(guidance=Guidance("classifier", 1, "c"))],
    ids=["heun", "classifier"],
)
def test_a_branch_is_judged_from_where_it_leaves_and_not_by_the_start_of_its_parent(own):
    branch = [replace(own, origin=Origin(spec(), step)) for step in (0, 4)]
    assert len(conflicts(branch[0], ZERO)) == 1  # that one begins with pure noise itself
    assert conflicts(branch[1], ZERO) == []
    assert divergence.warning(branch[1], ZERO.schedule) == ""


@pytest.mark.parametrize("facts", [LINEAR, ZERO, FLOW])
@pytest.mark.parametrize("sampler", sorted(samplers.every()))
@pytest.mark.parametrize("spacing", [*spacings.BY_TIME, *spacings.BY_RATIO])
def test_a_samplers_defaults_conflict_with_nothing_but_pure_noise(sampler, spacing, facts):
    found = conflicts(spec(sampler, spacing=spacing), facts)
    assert all("pure noise" in reason for reason in found)
    assert not found or not samplers.find(sampler).pure_noise


@given(data=st.data(), sampler=st.sampled_from(sorted(samplers.every())))
def test_what_is_idle_can_be_left_out_and_is_then_no_conflict(data, sampler):
    options = {
        name: data.draw(st.sampled_from(option.choices))
        for name, option in declared_options(sampler).items()
        if option.choices and data.draw(st.booleans())
    }
    run = spec(sampler, spacing="leading", **options, rho=2.0, shift=2.0, times="7")
    kept = trimmed(run, LINEAR)
    assert not {name for name, _ in kept.options} & idle(kept, LINEAR).keys()
    assert {"rho", "shift", "times"}.isdisjoint(name for name, _ in kept.options)


@pytest.mark.parametrize(("spacing", "n_steps"), [("trailing", 10), ("leading", 1000)])
@pytest.mark.parametrize(
    "asked", [{"sampler": "heun"}, {"guidance": Guidance("classifier", 1, "c")}]
)
def test_the_spacing_that_is_advised_at_pure_noise_does_work(asked, spacing, n_steps):
    [reason] = conflicts(spec(n_steps=n_steps, spacing=spacing, **asked), ZERO)
    advised = re.search(r"choose (\w+)$", reason)[1]
    assert advised != spacing
    assert conflicts(spec(n_steps=n_steps, spacing=advised, **asked), ZERO) == []
