"""Stepping back in: what is resumed, branched or completed is what the run would have been."""

import dataclasses
import json
import math
import re

import numpy as np
import pytest
import torch

from diffview.engine import origin, samplers, schedules, session
from diffview.engine.spec import Guidance, from_json
from diffview.engine.trajectory import Trajectory
from diffview.errors import InputError
from diffview.models import branching, sampling
from diffview.models.wrapped import wrap

N = 6
GUIDED = {"label": 1, "guidance": 2.0}
STOCHASTIC = [
    ("ddpm", {}),
    ("ddim", {"eta": 0.7}),
    ("euler", {"churn": 4.0}),
    ("euler", {"churn": 4.0, "s_tmin": 0.3, "s_tmax": 30.0}),
    ("euler_ancestral", {}),
    ("dpmpp_2m_sde", {}),
    ("ddpm", {"noise_path": "brownian"}),
]
EVERY = [
    *((name, {}) for name in samplers.every()),
    *STOCHASTIC,
    ("ddim", {"clip": "clamp", "rederive_eps": False}),
    *(("lms", {"order": order}) for order in (2, 3)),
    *(("unipc", {"order": order}) for order in (1, 3)),
]
MULTISTEP = [("dpmpp_2m", {}), ("dpmpp_2m_sde", {}), ("lms", {}), ("unipc", {"order": 3})]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    network = torch.nn.Conv2d(1, 1, 3, padding=1)

    def f(x_t, t, label):
        return torch.tanh(network(x_t) + 0.2 * label.view(-1, 1, 1, 1) + t.view(-1, 1, 1, 1) / 999)

    return wrap(f, shape=(1, 4, 4), classes=4, null=3, schedule="cosine", prediction="v")


def made(model, *, stride=1, **choices):
    """A run of three samples, every `stride`-th step kept."""
    options = {"seeds": (5, 6, 7), "steps": N, "spacing": "leading"}
    spec = sampling.spec_for(model.card, **{**options, **choices})
    run = Trajectory(spec, model.data_shape, stride)
    for _ in sampling.sample_into(run, model):
        pass
    return run


def ended(branch, model, guides=None):
    for _ in branching.continue_into(branch, model, guides):
        pass
    assert branch.trajectory.complete
    return branch.trajectory


def assert_same(one, other):
    assert [record.i for record in one] == [record.i for record in other]
    for a, b in zip(one, other, strict=True):
        assert (a.level, a.move, a.nfe) == (b.level, b.move, b.nfe)
        assert a.arrays().keys() == b.arrays().keys()
        for name, array in a.arrays().items():
            np.testing.assert_array_equal(array, b.arrays()[name], err_msg=f"{name} of {a.i}")


# Resumed, and branched without a change.


@pytest.mark.parametrize(("sampler", "options"), EVERY, ids=str)
def test_resumed_at_any_step_a_run_is_the_uninterrupted_one_bit_for_bit(model, sampler, options):
    run = made(model, sampler=sampler, options=options, **GUIDED)
    for k in range(N):
        resumed = branching.resume(run, model.card, k)
        assert list(map(id, resumed.trajectory)) == list(map(id, list(run)[:k]))
        assert_same(ended(resumed, model), run)


@pytest.mark.parametrize(("sampler", "options"), EVERY, ids=str)
def test_a_branch_that_changes_nothing_is_its_parent_and_shares_what_lies_before(
    model, sampler, options
):
    run = made(model, sampler=sampler, options=options, **GUIDED)
    for k in range(N):
        branch = branching.branch(run, model.card, k)
        assert list(map(id, branch.trajectory)) == list(map(id, list(run)[:k]))
        assert_same(ended(branch, model), run)


@pytest.mark.parametrize(("sampler", "options"), EVERY, ids=str)
def test_a_run_whose_steps_were_thinned_is_resumed_just_as_exactly(model, sampler, options):
    whole = made(model, sampler=sampler, options=options)
    thin = made(model, sampler=sampler, options=options, stride=2)
    for k in range(0, N, 2):
        assert_same(ended(branching.resume(thin, model.card, k), model), thin)
        branch = ended(branching.branch(thin, model.card, k), model)
        assert [record.nfe for record in branch] == [whole.at(r.i).nfe for r in branch]
        np.testing.assert_array_equal(branch[-1].x_t, whole[-1].x_t)


def test_a_run_that_broke_off_goes_on_from_its_last_record(model):
    whole = made(model, sampler="lms", **GUIDED)
    partial = whole.before(4, whole.spec)
    assert_same(ended(branching.resume(partial, model.card), model), whole)
    with pytest.raises(InputError, match="is complete: say from which step"):
        branching.resume(whole, model.card)
    with pytest.raises(InputError, match="no steps yet"):
        branching.resume(whole.before(0, whole.spec), model.card)


@pytest.mark.parametrize("sampler", ["ddim", "euler", "unipc"])
def test_a_run_from_given_noise_is_resumed_from_its_first_record(model, sampler):
    options = {"churn": 4.0} if sampler == "euler" else {}
    spec = sampling.spec_for(
        model.card, sampler=sampler, options=options, steps=N, spacing="leading"
    )
    run = sampling.trajectory_for(model.card, spec)
    for _ in sampling.sample_into(run, model, np.full((1, 1, 4, 4), 0.3, np.float32)):
        pass
    assert_same(ended(branching.resume(run, model.card, 0), model), run)


# What a branch changes.


@pytest.mark.parametrize(("sampler", "options"), [("ddim", {}), *MULTISTEP], ids=str)
def test_a_branch_at_another_gamma_is_a_run_whose_gamma_changes_there(model, sampler, options):
    k, low, high = 3, 1.0, 2.5
    run = made(model, sampler=sampler, options=options, label=1, guidance=low)
    branch = ended(branching.branch(run, model.card, k, guidance=high), model)
    # A curve multiplies gamma - 1: by 0 before the level of step k, by 1 from it on.
    lam = run[k].level.lam
    step = ((lam - 1e-9, 0.0), (lam, 1.0))
    changing = made(
        model,
        sampler=sampler,
        options=options,
        label=1,
        guidance=Guidance("cfg", high, curve=step),
    )
    for one, other in zip(branch, changing, strict=True):
        np.testing.assert_array_equal(one.x_t, other.x_t)
        np.testing.assert_array_equal(one.x0_hat, other.x0_hat)


@pytest.mark.parametrize(
    ("name", "options"), [("heun", {}), ("ddpm", {}), ("euler", {"churn": 4})]
)
def test_another_sampler_goes_on_from_the_level_where_the_state_is(model, name, options):
    for before, churn in [("ddim", {}), ("euler", {"churn": 4.0})]:
        run = made(model, sampler=before, options=churn)
        branch = ended(branching.branch(run, model.card, 2, sampler=name, options=options), model)
        assert branch.spec.sampler == name
        np.testing.assert_array_equal(branch[2].x_t, run[2].x_t)
        assert branch[2].level == run[2].level
        pairs = zip(branch, made(model), strict=True)
        raised = [one.level.ratio > 1.01 * other.level.ratio for one, other in pairs]
        assert raised[3:N] == [name == "euler"] * 3


@pytest.mark.parametrize(("sampler", "options"), MULTISTEP, ids=str)
def test_a_multistep_sampler_begins_anew_where_it_takes_over(model, sampler, options):
    # From the same state at the same levels: a whole run of the levels that are left.
    options = options | ({"eta": 0.0} if "sde" in sampler else {})
    run = made(model, sampler="ddim", label=1)
    branch = ended(branching.branch(run, model.card, 2, sampler=sampler, options=options), model)
    times = ", ".join(str(record.level.t) for record in list(run)[2:N])
    rest = sampling.spec_for(
        model.card,
        sampler=sampler,
        label=1,
        spacing="list",
        seeds=run.spec.seeds,
        options={"times": times, **options},
    )
    alone = sampling.trajectory_for(model.card, rest)
    for _ in sampling.sample_into(alone, model, run[2].x_t):
        pass
    if "sde" in sampler:
        branch = ended(
            branching.branch(run, model.card, 2, sampler=sampler, options={**options, "eta": 0.0}),
            model,
        )
    for one, other in zip(list(branch)[2:], alone, strict=True):
        np.testing.assert_array_equal(one.x_t, other.x_t)
        assert one.move == other.move
    for k in range(3, N):
        assert_same(ended(branching.resume(branch, model.card, k), model), branch)


def test_an_edited_state_is_what_the_branch_starts_from(model):
    run = made(model, sampler="lms", **GUIDED)
    edited = run[3].x_t.copy()
    edited[1] += 1
    branch = ended(branching.branch(run, model.card, 3, x_t=edited), model)
    np.testing.assert_array_equal(branch[3].x_t, edited)
    assert branch.spec.origin.x_t == origin.checksum(edited)
    assert not np.array_equal(run[3].x_t, edited)
    for k in range(N):
        assert_same(ended(branching.resume(branch, model.card, k), model), branch)


def test_other_seeds_change_what_comes_after_and_nothing_before(model):
    run = made(model, sampler="ddpm")
    branch = ended(branching.branch(run, model.card, 2, seeds=(5, 60, 70)), model)
    np.testing.assert_array_equal(branch[2].x_t, run[2].x_t)
    np.testing.assert_allclose(branch[-1].x_t[0], run[-1].x_t[0], rtol=1e-5, atol=1e-5)
    assert not np.allclose(branch[-1].x_t[1], run[-1].x_t[1], atol=1e-2)


def test_another_label_holds_from_the_step_on(model):
    run = made(model, label=0, guidance=2.0)
    branch = ended(branching.branch(run, model.card, 3, label=[0, 2, 0]), model)
    assert branch.spec.condition == (0, 2, 0)
    np.testing.assert_array_equal(branch[3].direction[0], run[3].direction[0])
    assert not np.allclose(branch[3].direction[1], run[3].direction[1])


def test_guidance_may_begin_or_end_on_the_way(model, tmp_path):
    plain = made(model, label=1, guidance=Guidance())
    begins = ended(branching.branch(plain, model.card, 3, guidance=2.0), model)
    ends = ended(branching.branch(begins, model.card, 5, guidance=Guidance()), model)
    assert [record.base is not None for record in ends] == [False] * 3 + [True] * 2 + [False] * 2
    assert [record.nfe for record in ends] == [1, 2, 3, 5, 7, 8, 8]
    assert ends.guided
    assert np.isnan(ends.stack("base")[0]).all()
    session.save(ends, tmp_path / "run.dvsession")
    loaded, _ = session.load(tmp_path / "run.dvsession")
    assert loaded.spec == ends.spec
    assert_same(loaded, ends)
    for k in range(N):
        assert_same(ended(branching.resume(loaded, model.card, k), model), ends)


def test_a_label_taken_away_takes_its_guidance_with_it(model):
    run = made(model, **GUIDED)
    spec = branching.branch(run, model.card, 3, label=None).trajectory.spec
    assert (spec.condition, spec.guidance) == (None, Guidance())


def test_a_branch_by_a_weaker_model_takes_it_by_its_name(model):
    weak = wrap(lambda x, t: 0.2 * x, shape=(1, 4, 4), schedule="cosine", prediction="v")
    run = made(model, label=1, guidance=Guidance())
    branch = branching.branch(run, model.card, 3, guidance=Guidance("autoguidance", 2.0, "weak"))
    with pytest.raises(InputError, match="needs a second model"):
        ended(branch, model)
    assert ended(branch, model, {"weak": weak})[-1].nfe == 9


# Branches of branches, and their recipes.


def test_branches_of_branches_are_written_down_and_resumed(model, tmp_path):
    run = made(model, sampler="dpmpp_2m_sde", **GUIDED)
    one = ended(branching.branch(run, model.card, 2, guidance=0.5), model)
    two = ended(branching.branch(one, model.card, 4, sampler="ddpm", seeds=(1, 2, 3)), model)
    three = ended(branching.branch(two, model.card, 5, label=2), model)
    assert [part.origin and part.origin.step for part in origin.parts(three.spec)] == [
        None, 2, 4, 5,
    ]  # fmt: skip
    assert from_json(json.loads(json.dumps(three.spec.to_json()))) == three.spec
    session.save(three, tmp_path / "run.dvsession")
    loaded, _ = session.load(tmp_path / "run.dvsession")
    for k in range(N):
        assert_same(ended(branching.resume(loaded, model.card, k), model), three)


def test_a_branch_where_a_branch_began_takes_its_place(model):
    run = made(model, **GUIDED)
    once = ended(branching.branch(run, model.card, 3, guidance=9.0), model)
    again = ended(branching.branch(once, model.card, 3, guidance=2.0), model)
    assert again.spec.origin.parent == run.spec
    assert_same(again, run)


def test_the_run_that_a_branch_left_can_be_regained_from_it(model, tmp_path):
    for sampler in ("ddpm", "dpmpp_2m"):
        run = made(model, sampler=sampler, **GUIDED)
        branch = ended(branching.branch(run, model.card, 3, guidance=5.0), model)
        assert_same(ended(branching.parent_of(branch, model.card), model), run)
    with pytest.raises(InputError, match="no branch"):
        branching.parent_of(run, model.card)
    for few in (branching.branch(run, model.card, 0, guidance=5.0),
                branching.branch(run, model.card, 3, rows=(1,))):  # fmt: skip
        with pytest.raises(InputError, match="make it again"):
            branching.parent_of(ended(few, model), model.card)


def test_a_branch_before_a_branch_leaves_the_run_before_it(model):
    run = made(model, **GUIDED)
    once = ended(branching.branch(run, model.card, 4, label=2), model)
    earlier = ended(branching.branch(once, model.card, 1, guidance=3.0), model)
    direct = ended(branching.branch(run, model.card, 1, guidance=3.0, label=2), model)
    assert earlier.spec == direct.spec
    assert_same(earlier, direct)


def test_a_recipe_with_more_branches_than_can_be_read_is_refused(model):
    value = made(model).spec.to_json()
    for _ in range(5000):
        value = {**value, "origin": {"parent": value, "step": 1, "rows": [], "x_t": ""}}
    with pytest.raises(InputError, match="more than 64 times"):
        from_json(value)


@pytest.mark.parametrize(
    "change",
    [
        {"step": -1},
        {"step": N},
        {"step": 1.5},
        {"step": True},
        {"rows": [0, 1]},
        {"rows": [0, 1, 3]},
        {"rows": None},
        {"x_t": 5},
        {"parent": None},
    ],
    ids=str,
)
def test_a_nonsensical_origin_is_refused(model, change):
    run = made(model)
    value = branching.branch(run, model.card, 2).trajectory.spec.to_json()
    assert from_json(value)
    with pytest.raises(InputError):
        from_json(value | {"origin": value["origin"] | change})


# Completions.


def test_completions_share_a_state_and_the_first_ends_as_the_run_did(model):
    run = made(model, sampler="ddpm", label=[0, 1, 2], guidance=2.0)
    many = ended(branching.complete(run, model.card, 3, 5, sample=1), model)
    assert many.spec.seeds == (6, 7, 8, 9, 10)
    assert many.spec.condition == (1,) * 5
    for record in list(many)[:4]:
        for row in record.x_t:
            np.testing.assert_array_equal(row, run.at(record.i).x_t[1])
    assert many[0].x_t.base is not None  # a view: one sample many times takes no memory
    np.testing.assert_allclose(many[-1].x_t[0], run[-1].x_t[1], rtol=1e-4, atol=1e-5)
    assert len({row.tobytes() for row in many[-1].x_t}) == 5
    for k in range(3, N):
        assert_same(ended(branching.resume(many, model.card, k), model), many)
    with pytest.raises(InputError, match="had not been chosen yet"):
        branching.resume(many, model.card, 2)


def test_a_completion_can_be_branched_before_and_after_its_samples_were_chosen(model):
    run = made(model, sampler="ddpm")
    many = ended(branching.complete(run, model.card, 3, 4, sample=2), model)
    after = ended(branching.branch(many, model.card, 4, rows=(1, 1)), model)
    np.testing.assert_array_equal(after[4].x_t[0], many[4].x_t[1])
    before = branching.branch(many, model.card, 1, seeds=(1, 2, 3, 4)).trajectory.spec
    assert (before.origin.parent, before.origin.rows) == (run.spec, (2,) * 4)


@pytest.mark.parametrize("sampler", ["ddim", "heun", "dpmpp_2m", "unipc"])
def test_without_noise_there_is_only_one_completion(model, sampler):
    run = made(model, sampler=sampler)
    with pytest.raises(InputError, match=f"'{sampler}' adds no noise after step 2, so all 3"):
        branching.complete(run, model.card, 2, 3)
    with_noise = branching.complete(run, model.card, 2, 3, sampler="ddpm")
    assert len({row.tobytes() for row in ended(with_noise, model)[-1].x_t}) == 3


def test_the_completions_mean_is_the_estimate(gaussian_model):
    # Tweedie: x0_hat = E[x_0 | x_t]. DDPM's steps keep it, so for Gaussian data, where it is
    # affine in x_t, the mean is exact at any N, and the spread that of p(x_0 | x_t) for large N:
    # s^2 sigma^2 / (alpha^2 s^2 + sigma^2).
    count, k, std = 60, 30, 0.5
    run = made(gaussian_model, sampler="ddpm", steps=100, spacing="trailing", seeds=(4,))
    many = branching.complete(run, gaussian_model.card, k, count)
    end = ended(many, gaussian_model)[-1].x_t.astype(np.float64)
    level, x0_hat = run[k].level, run[k].x0_hat[0]
    spread = std * level.sigma / math.hypot(level.alpha * std, level.sigma)
    z = (end.mean(0) - x0_hat) / (spread / math.sqrt(count))  # 400 standard normal numbers
    assert abs(z.mean()) < 4 / math.sqrt(z.size)
    assert z.std() == pytest.approx(1, abs=0.2)
    assert end.std(0).mean() == pytest.approx(spread, rel=0.05)


@pytest.fixture(scope="module")
def gaussian_model():
    """E[x_0 | x_t] of data N(0.3, 0.5^2), exactly."""
    table = torch.tensor(schedules.named("cosine").alphas_cumprod)

    def network(x_t, t):
        alpha2 = table[t].float().view(-1, 1)
        gain = alpha2.sqrt() * 0.25 / (alpha2 * 0.25 + 1 - alpha2)
        return 0.3 + gain * (x_t - alpha2.sqrt() * 0.3)

    return wrap(network, shape=(400,), schedule="cosine", prediction="x0")


# Refusals.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": N}, f"cannot branch off at step {N}: choose one from 0 to {N - 1}"),
        ({"k": -1}, "cannot branch off at step -1"),
        ({"k": 3}, "step 3 was not recorded; this run has every 2-th step"),
        ({"seeds": (1, 2, 3)}, "'ddim' adds no noise after step 2, so other seeds"),
        ({"seeds": (1, 2), "sampler": "ddpm"}, "2 seeds were given for 3 samples"),
        ({"x_t": np.zeros((2, 1, 4, 4))}, r"has shape \(2, 1, 4, 4\), this branch needs \(3, 1"),
        ({"x_t": np.full((3, 1, 4, 4), np.nan)}, "NaN or infinite"),
        ({"sampler": "dice"}, "unknown sampler"),
        ({"label": 9}, "out of range"),
        ({"rows": (3,)}, "no such sample"),
        ({"options": {"rho": 3.0}}, "rho: only spacing 'karras'"),
        ({"options": {"steps_offset": 1}}, "stays on the levels of the run it leaves"),
    ],
    ids=str,
)
def test_a_branch_that_cannot_be_is_refused_with_the_reason(model, change, message):
    run = made(model, stride=2)
    with pytest.raises(InputError, match=message):
        branching.branch(run, model.card, **{"k": 2, **change})


def test_a_branched_recipe_cannot_be_run_from_noise(model):
    spec = branching.branch(made(model), model.card, 3).trajectory.spec
    with pytest.raises(InputError, match=re.escape("branched off another at step 3")):
        next(sampling.records(model, spec))


def test_a_branch_that_begins_to_clip_does_so_to_the_range_of_the_model_s_data(model):
    card = dataclasses.replace(model.card, value_range=(0.0, 1.0))
    spec = sampling.spec_for(card, steps=3)
    run = Trajectory(spec, model.data_shape)
    for _ in sampling.sample_into(run, model):
        pass
    branched = branching.branch(run, card, 1, options={"clip": "clamp"})
    last = ended(branched, model).at(3).x_t
    assert last.min() >= 0 and last.max() <= 1


@pytest.mark.parametrize(("asked", "clip"), [({}, "clamp"), ({"clip": "none"}, "none")])
def test_a_branch_by_a_classifier_stays_in_the_data_s_range_unless_asked(model, asked, clip):
    card = dataclasses.replace(model.card, family="pixel_unet")
    run = made(model, **GUIDED)
    by = Guidance("classifier", 3.0, "judge")
    branch = branching.branch(run, card, 2, guidance=by, options=asked)
    assert branch.trajectory.spec.option("clip") == clip


def test_off_the_levels_of_diffusers_a_sampler_of_another_kind_is_refused_with_the_way_out():
    """As of Stable Diffusion 3, whose runs keep them unless asked not to."""
    flow = wrap(
        lambda x, t: 0.5 * x, shape=(1, 4, 4), schedule=schedules.flow(3.0), prediction="flow"
    )
    told = {"sampler": "flow_euler", "spacing": "linspace", "guidance": None}
    kept = made(flow, **told, options={"compat": "diffusers"})
    with pytest.raises(
        InputError, match=r"'ddim' has no counterpart: make the run anew with comp"
    ):
        branching.branch(kept, flow.card, 2, sampler="ddim")
    assert branching.branch(made(flow, **told), flow.card, 2, sampler="ddim") is not None
    assert branching.branch(kept, flow.card, 2, sampler="flow_heun") is not None
