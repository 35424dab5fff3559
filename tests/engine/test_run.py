"""run(): counts, equalities, and what stays when a network fails, all seen by its consumer."""

import inspect
import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from diffview.engine import noise, samplers, schedules, spacings
from diffview.engine.finishing import clipped, guided
from diffview.engine.run import run
from diffview.engine.spec import Guidance, RunSpec
from diffview.engine.trajectory import Trajectory
from diffview.errors import DiffviewError, InputError, NonFiniteError
from diffview.frames.compose import at_scale

GUIDED = Guidance("cfg", 3.0)


def spec(n_steps=6, *, seeds=(3, 1, 4), guidance=GUIDED, sampler="ddpm", **rest):
    return RunSpec("plain", sampler, n_steps, guidance=guidance, seeds=seeds, **rest)


def labels(seeds=(3, 1, 4)):
    return torch.tensor([seed % 10 for seed in seeds])


@pytest.mark.parametrize(("guidance", "per_step"), [(Guidance(), 1), (GUIDED, 2)])
def test_nfe_counts_the_networks_evaluations_of_one_sample(plain_denoiser, guidance, per_step):
    denoiser = plain_denoiser()
    records = list(run(denoiser, spec(guidance=guidance), labels()))
    assert [record.nfe for record in records] == [per_step * k for k in (1, 2, 3, 4, 5, 6, 6)]
    assert denoiser.batches == [per_step * 3] * 6


def test_a_run_yields_its_levels_in_order_and_asks_the_network_at_those_times(plain_denoiser):
    denoiser = plain_denoiser()
    records = list(run(denoiser, spec(spacing="leading"), labels()))
    times = [830, 664, 498, 332, 166, 0]  # 1000 // 6 apart
    assert [record.i for record in records] == list(range(7))
    assert [record.level.t for record in records] == [*times, 0]
    assert denoiser.times == times
    assert all(record.seconds >= 0 for record in records)


@pytest.mark.parametrize("guidance", [Guidance(), GUIDED])
@pytest.mark.parametrize("options", [(), (("clip", "clamp"),)])
@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_a_row_of_a_batch_equals_its_own_single_run_bit_for_bit(
    plain_denoiser, sampler, options, guidance
):
    if sampler == "ddim":
        options = (*options, ("eta", 0.5))
    seeds = (3, 1, 4)
    together = list(
        run(
            plain_denoiser(),
            spec(sampler=sampler, options=options, guidance=guidance),
            labels(),
        )
    )
    for row, seed in enumerate(seeds):
        alone = spec(sampler=sampler, options=options, guidance=guidance, seeds=(seed,))
        singles = list(run(plain_denoiser(), alone, labels((seed,))))
        for many, one in zip(together, singles, strict=True):
            assert many.arrays().keys() == one.arrays().keys()
            for name, array in many.arrays().items():
                np.testing.assert_array_equal(array[row], one.arrays()[name][0])


def test_the_same_spec_gives_the_same_run_bit_for_bit(plain_denoiser):
    first, second = (list(run(plain_denoiser(), spec(), labels())) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        for name, array in one.arrays().items():
            np.testing.assert_array_equal(array, other.arrays()[name])


def test_a_run_starts_from_the_seeded_noise_and_gives_the_steps_of_its_sampler(plain_denoiser):
    denoiser, plain = plain_denoiser(), spec(guidance=Guidance())
    records = list(run(denoiser, plain, labels()))
    x_T = noise.initial_noise(plain.seeds, denoiser.data_shape)
    np.testing.assert_array_equal(records[0].x_t, x_T.numpy())

    def denoise(x_t, level):
        return samplers_estimate(plain_denoiser()(x_t, level, labels()))

    steps = samplers.find("ddpm").generate(
        denoise,
        x_T,
        spacings.levels(denoiser.schedule, 6, plain.spacing),
        lambda i: noise.step_noise(plain.seeds, denoiser.data_shape, i),
    )
    for record, step in zip(records, steps, strict=True):
        np.testing.assert_array_equal(record.x_t, step.x_t.numpy())
        assert record.move == step.move


def samplers_estimate(x0_hat):
    from diffview.engine.estimate import Estimate

    return Estimate(x0_hat)


@pytest.mark.parametrize("guidance", [Guidance("cfg", 2.0), Guidance("cfg", -1.5)])
def test_base_and_direction_at_another_scale_equal_the_first_step_of_a_rerun(
    plain_denoiser, guidance
):
    first = next(run(plain_denoiser(), spec(), labels()))
    rerun = next(run(plain_denoiser(), spec(guidance=guidance), labels()))
    shown = first.base + np.float32(guidance.scale) * first.direction
    np.testing.assert_array_equal(shown, rerun.x0_hat)


def rms(a, b):
    return float(np.sqrt(np.mean((a - b) ** 2)))


@pytest.mark.parametrize("sampler", ["ddpm", "euler_ancestral"])
def test_runs_of_different_length_share_one_brownian_path_if_asked_to(
    plain_denoiser, gaussian_denoise, sampler
):
    class Gaussian(plain_denoiser):
        def __call__(self, x_t, level, condition):
            return gaussian_denoise(0.3, 0.5)(x_t, level).x0_hat

    ends = {}
    for path in ("step", "brownian"):
        for n_steps in (50, 100, 200):
            asked = spec(
                n_steps,
                seeds=tuple(range(8)),
                guidance=Guidance(),
                sampler=sampler,
                spacing="logsnr",
                options=(("noise_path", path),),
            )
            *_, end = run(Gaussian(), asked, labels(range(8)))
            ends[path, n_steps] = end.x_t
    fresh = rms(ends["step", 100], ends["step", 200])
    coarse = rms(ends["brownian", 50], ends["brownian", 100])
    fine = rms(ends["brownian", 100], ends["brownian", 200])
    assert fine < fresh / 3
    assert fine < 0.8 * coarse  # strong convergence, of order 1/2 at least


def test_a_run_on_a_brownian_path_is_the_same_in_any_batch(plain_denoiser):
    options = (("noise_path", "brownian"),)
    together = list(run(plain_denoiser(), spec(options=options), labels()))
    alone = list(run(plain_denoiser(), spec(options=options, seeds=(1,)), labels((1,))))
    for many, one in zip(together, alone, strict=True):
        np.testing.assert_array_equal(many.x_t[1], one.x_t[0])


@pytest.mark.parametrize(("name", "std"), [("linear", 1.0), ("flow", 1.0), ("edm", 80.0)])
def test_a_run_starts_from_noise_of_the_schedules_own_size(plain_denoiser, name, std):
    denoiser = plain_denoiser(schedule=schedules.named(name))
    plain = spec(sampler="ddim", guidance=Guidance(), spacing="trailing")
    first = next(run(denoiser, plain, labels()))
    z = noise.initial_noise(plain.seeds, denoiser.data_shape)
    np.testing.assert_array_equal(first.x_t, (std * z).numpy())


def test_a_flow_begun_by_leading_starts_from_the_noise_of_its_first_time(plain_denoiser):
    """Leading of 4 begins at s = 0.001 + 0.999 * 3 / 4, where some of the picture is left."""
    denoiser = plain_denoiser(schedule=schedules.flow())
    plain = spec(4, sampler="flow_euler", guidance=Guidance(), spacing="leading")
    first = next(run(denoiser, plain, labels()))
    z = noise.initial_noise(plain.seeds, denoiser.data_shape)
    np.testing.assert_allclose(first.x_t, math.hypot(0.75025, 0.24975) * z, rtol=1e-6)


FINISHED = [
    (),
    (("clip", "clamp"),),
    (("clip", "threshold"), ("threshold", 0.9)),
    (("rescale", 0.7),),
    (("rescale", 0.7), ("rescale_space", "eps"), ("clip", "threshold")),
    (("rescale", 0.7), ("rescale_space", "x0"), ("rederive_eps", False), ("clip", "clamp")),
    (("interval", "0.5, 20"),),
    (("interval", "0.5, 20"), ("rescale", 1.0), ("clip", "clamp")),
]
CURVE = ((-3.0, 0.0), (0.0, 1.0), (2.0, 0.25))


@pytest.mark.parametrize("options", FINISHED, ids=str)
@pytest.mark.parametrize("curve", [(), CURVE], ids=["flat", "curve"])
@pytest.mark.parametrize("kind", ["cfg", "autoguidance", "classifier"])
def test_what_the_slider_shows_at_any_step_is_what_a_rerun_at_that_scale_has_there(
    plain_denoiser, kind, curve, options
):
    def kept(scale, x_t=None, n_steps=6):
        asked = spec(
            n_steps,
            spacing="linspace",
            guidance=Guidance(kind, scale, "other", curve),
            options=options,
        )
        guide = classifier if kind == "classifier" else plain_denoiser(null=None, bend=0.5)
        trajectory = Trajectory(asked, (1, 3, 3))
        for record in run(plain_denoiser(), asked, labels(), guide=guide):
            trajectory.append(record)
        return trajectory

    shown, wanted = kept(3.0), 5.5
    rerun = kept(wanted)
    # The first step starts from one x_T, so there a rerun has the slider's numbers bit for bit.
    first = at_scale(shown, shown[0], wanted)
    np.testing.assert_array_equal(first.x0_hat, rerun[0].x0_hat)
    for record in shown:
        # At the run's own scale, recombined from what was recorded: what the run itself used.
        if record.level.sigma > 0:
            gamma = shown.spec.gamma(record.level)
            terms = (record.x_t, record.base, record.direction, gamma, record.level)
            how = shown.spec.finish()
            np.testing.assert_array_equal(clipped(guided(*terms, how), how), record.x0_hat)
        assert at_scale(shown, record, 3.0) is record
    assert at_scale(shown, shown[-1], wanted) is shown[-1]


def classifier(x_t, t):
    values = x_t.flatten(1)
    return torch.cat([values, (values - 1) ** 2], dim=1)


def test_outside_the_interval_a_run_is_the_conditional_one(plain_denoiser):
    never = spec(options=(("interval", "1e5, 1e6"),))
    conditional = spec(guidance=Guidance("cfg", 1.0))
    for one, other in zip(
        run(plain_denoiser(), never, labels()),
        run(plain_denoiser(), conditional, labels()),
        strict=True,
    ):
        np.testing.assert_array_equal(one.x_t, other.x_t)
        np.testing.assert_array_equal(one.direction, other.direction)


def test_a_weaker_models_evaluations_are_counted_and_a_classifiers_are_not(plain_denoiser):
    for kind, guide, per_step in [
        ("autoguidance", plain_denoiser(), 2),
        ("classifier", classifier, 1),
    ]:
        asked = spec(guidance=Guidance(kind, 2.0, "other"))
        records = list(run(plain_denoiser(), asked, labels(), guide=guide))
        assert [record.nfe for record in records] == [per_step * k for k in (1, 2, 3, 4, 5, 6, 6)]


@pytest.mark.parametrize("kind", ["classifier", "autoguidance"])
def test_guidance_by_another_model_that_is_not_given_is_refused(plain_denoiser, kind):
    with pytest.raises(InputError, match=f"'{kind}' needs a second model"):
        next(run(plain_denoiser(), spec(guidance=Guidance(kind, 2.0)), labels()))


def test_a_learned_variance_reaches_the_sampler_through_guidance(plain_denoiser):
    class Learned(plain_denoiser):
        learned_variance = True

        def with_variance(self, x_t, level, condition):
            x0_hat = self(x_t, level, condition)
            return x0_hat, torch.ones_like(x0_hat)

    def end(denoiser, variance):
        *_, last = run(denoiser, spec(options=(("variance", variance),)), labels())
        return last

    learned, large = end(Learned(), "learned"), end(plain_denoiser(), "large")
    np.testing.assert_allclose(learned.x_t, large.x_t, rtol=1e-5)
    assert learned.nfe == large.nfe
    with pytest.raises(InputError, match="learned no variance"):
        end(plain_denoiser(), "learned")


def test_the_clean_end_of_a_guided_run_is_itself_at_any_scale(plain_denoiser):
    *_, end = run(plain_denoiser(), spec(), labels())
    assert end.level.sigma == 0
    assert end.move is None
    np.testing.assert_array_equal(end.x0_hat, end.x_t)
    np.testing.assert_array_equal(end.base + 5 * end.direction, end.x_t)


def test_an_unguided_run_records_no_guidance(plain_denoiser):
    for record in run(plain_denoiser(), spec(guidance=Guidance()), labels()):
        assert record.base is None
        assert record.direction is None


def test_a_record_is_float32_and_never_changes_afterwards(plain_denoiser):
    kept = []
    for record in run(plain_denoiser(), spec(), labels()):
        assert all(array.dtype == np.float32 for array in record.arrays().values())
        kept.append((record, {k: v.copy() for k, v in record.arrays().items()}))
    for record, copies in kept:
        for name, copy in copies.items():
            np.testing.assert_array_equal(record.arrays()[name], copy)


def test_given_noise_replaces_the_seeded_and_stays_its_owners(plain_denoiser):
    given = torch.full((3, 1, 3, 3), 0.25)
    records = run(plain_denoiser(), spec(), labels(), init_noise=given)
    first = next(records)
    np.testing.assert_array_equal(first.x_t, np.full((3, 1, 3, 3), 0.25, np.float32))
    given.zero_()
    assert first.x_t.min() == 0.25


def test_given_noise_of_another_shape_is_refused_with_both_shapes(plain_denoiser):
    with pytest.raises(InputError, match=r"has shape \(2, 1, 3, 3\), this run needs \(3, 1, 3, 3"):
        next(run(plain_denoiser(), spec(), labels(), init_noise=torch.zeros(2, 1, 3, 3)))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_given_noise_that_is_not_finite_is_refused(plain_denoiser, value):
    given = torch.zeros(3, 1, 3, 3)
    given[1, 0, 0, 0] = value
    with pytest.raises(InputError, match="NaN or infinite"):
        next(run(plain_denoiser(), spec(), labels(), init_noise=given))


def collected(records):
    """What a consumer has when the run ends, and the error that ended it."""
    kept = []
    try:
        for record in records:
            kept.append(record)
    except DiffviewError as error:
        return kept, error
    return kept, None


def test_a_network_that_raises_at_step_17_leaves_17_records_and_names_step_and_time(
    plain_denoiser,
):
    denoiser = plain_denoiser(fail_at=17)
    kept, error = collected(run(denoiser, spec(50, guidance=Guidance()), labels()))
    assert [record.i for record in kept] == list(range(17))
    assert type(error) is DiffviewError
    assert str(error) == "the model failed at step 17 (t = 659): RuntimeError: broken"
    assert isinstance(error.__cause__, RuntimeError)
    again, none = collected(run(plain_denoiser(), spec(50), labels()))
    assert (len(again), none) == (51, None)


@pytest.mark.parametrize(
    "error", [MemoryError("no memory"), StopIteration("odd"), ValueError("bad")]
)
def test_any_exception_of_the_network_becomes_one_that_names_the_step(plain_denoiser, error):
    kept, found = collected(run(plain_denoiser(fail_at=2, error=error), spec(), labels()))
    assert len(kept) == 2
    assert "failed at step 2 (t = 666)" in str(found)


def test_an_interrupt_is_not_swallowed(plain_denoiser):
    with pytest.raises(KeyboardInterrupt):
        list(run(plain_denoiser(fail_at=1, error=KeyboardInterrupt()), spec(), labels()))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("guidance", [Guidance(), GUIDED])
@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_a_value_that_is_not_finite_ends_the_run_at_its_step_and_keeps_those_before(
    plain_denoiser, sampler, guidance, value
):
    denoiser = plain_denoiser(spoil_at=4, spoiled=value)
    kept, error = collected(run(denoiser, spec(sampler=sampler, guidance=guidance), labels()))
    assert len(kept) == 4
    assert all(np.isfinite(a).all() for record in kept for a in record.arrays().values())
    assert isinstance(error, NonFiniteError)
    assert ("guidance" in str(error)) is (guidance is GUIDED)
    assert re.search(
        r"became NaN or infinite at step 4 \(t = 332\) in sample .*; the 4 steps before",
        str(error),
    )


def test_infinities_of_both_signs_do_not_cancel(plain_denoiser):
    class Both(plain_denoiser):
        def __call__(self, x_t, level, condition):
            out = super().__call__(x_t, level, condition)
            out.view(-1)[0], out.view(-1)[1] = float("inf"), float("-inf")
            return out

    kept, error = collected(run(Both(), spec(guidance=Guidance()), labels()))
    assert kept == []
    assert isinstance(error, NonFiniteError)


@pytest.mark.parametrize("at", [0, 3, 6])
def test_closing_mid_way_stops_the_network_and_raises_nothing(plain_denoiser, at):
    denoiser = plain_denoiser()
    records = run(denoiser, spec(guidance=Guidance()), labels())
    for _ in range(at):
        next(records)
    records.close()
    assert denoiser.calls == at
    assert list(records) == []


def test_closing_closes_the_sampler_at_once_even_if_somebody_holds_it(plain_denoiser, monkeypatch):
    info, held = samplers.find("ddim"), []

    def generate(*arguments, **options):
        held.append(info.generate(*arguments, **options))
        return held[0]

    monkeypatch.setattr(samplers, "find", lambda name: replace(info, generate=generate))
    records = run(plain_denoiser(), spec(sampler="ddim"), labels())
    next(records)
    assert inspect.getgeneratorstate(held[0]) == inspect.GEN_SUSPENDED
    records.close()
    assert inspect.getgeneratorstate(held[0]) == inspect.GEN_CLOSED


def test_no_gradients_are_kept_and_the_consumers_mode_is_left_alone_between_steps(plain_denoiser):
    weight = torch.nn.Parameter(torch.ones(()))

    class Learned(plain_denoiser):
        def __call__(self, x_t, level, condition):
            assert not torch.is_grad_enabled()
            return weight * super().__call__(x_t, level, condition)

    modes = []
    for record in run(Learned(), spec(), labels()):
        modes.append(torch.is_grad_enabled())
        # What is recorded may enter a graph later, which nothing born in inference mode could.
        torch.from_numpy(record.x_t.copy()).requires_grad_().sum().backward()
    assert modes == [True] * 7
    assert weight.grad is None


def test_a_broken_run_restores_the_consumers_mode(plain_denoiser):
    collected(run(plain_denoiser(fail_at=1), spec(), labels()))
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_steps": 0}, "0 steps cannot be taken"),
        ({"n_steps": -1}, "-1 steps cannot be taken"),
        ({"n_steps": 1001}, "1001 steps cannot be taken.*has 1000 times.*choose 1 to 1000"),
        ({"guidance": Guidance("cfg", float("nan"))}, "γ = nan cannot be used"),
        ({"seeds": ()}, "0 samples cannot be drawn"),
        ({"sampler": "dice"}, "unknown sampler"),
        ({"options": (("variance", "huge"),)}, "variance = huge is not one of small, large"),
    ],
)
def test_what_cannot_be_run_is_refused_before_the_network_is_asked(
    plain_denoiser, change, message
):
    denoiser = plain_denoiser()
    with pytest.raises(InputError, match=message):
        next(run(denoiser, spec(**change), labels()))
    assert denoiser.calls == 0


def test_guidance_without_a_condition_is_refused(plain_denoiser):
    with pytest.raises(InputError, match="guidance needs a condition: choose a class"):
        next(run(plain_denoiser(), spec(), None))


def test_a_condition_for_another_number_of_samples_is_refused(plain_denoiser):
    for guidance in (Guidance(), GUIDED):
        with pytest.raises(InputError, match="2 conditions were given for 3 samples"):
            next(run(plain_denoiser(), spec(guidance=guidance), labels((1, 2))))


def test_an_eps_network_at_the_pure_noise_end_is_refused_with_the_reason():
    from diffview.models.wrapped import wrap

    ending_in_noise = schedules.given(alphas_cumprod=[0.9, 0.5, 0.0])
    for prediction, refused in [("eps", True), ("v", False), ("x0", False)]:
        denoiser = wrap(
            lambda x, t: 0.5 * x, shape=(1, 2, 2), schedule=ending_in_noise, prediction=prediction
        )
        kept, error = collected(run(denoiser, RunSpec("w", "ddim", 3)))
        if refused:
            assert kept == []
            assert isinstance(error, InputError)
            assert "alpha = 0" in str(error)
        else:
            assert (len(kept), error) == (4, None)


@pytest.mark.parametrize("n_steps", [1, 20])
@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_as_few_and_as_many_steps_as_the_schedule_has_are_run(plain_denoiser, sampler, n_steps):
    denoiser = plain_denoiser(schedule=schedules.named("cosine", 20))
    records = list(run(denoiser, spec(n_steps, sampler=sampler), labels()))
    assert len(records) == n_steps + 1
    assert np.isfinite(records[-1].x_t).all()
