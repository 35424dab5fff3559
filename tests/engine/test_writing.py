"""A run that writes token by token: what is drawn, what is recorded, what is refused.

The model is a Markov chain of second order over K codes with a table of logits for each condition:
the probability of every picture is known.
"""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from diffview.engine import session
from diffview.engine.levels import CLEAN
from diffview.engine.next_token import NOT_YET, PARTS, probabilities
from diffview.engine.resuming import start_at
from diffview.engine.run import run
from diffview.engine.spec import Guidance, RunSpec, checked
from diffview.engine.trajectory import Trajectory, estimated_nbytes, stride_within
from diffview.errors import DiffviewError, InputError, NonFiniteError

K, SHAPE = 3, (1, 2, 2)
NULL = 2


class Chain:
    """Logits of the next token from the two before it and the condition 0, 1 or NULL."""

    def __init__(self, shape=SHAPE, codes=K, *, null=NULL, seed=0):
        self.data_shape, self.codes, self._null = shape, codes, null
        self.device = torch.device("cpu")
        self.read, self.rows = 0, []
        values = np.random.default_rng(seed).normal(0, 1.5, (3, codes + 1, codes + 1, codes))
        self.table = torch.tensor(values, dtype=torch.float32)

    def begin(self, condition):
        self.rows.append(len(condition))
        none = torch.full_like(condition, self.codes)
        reading = [condition, none, none]
        return reading, self.table[condition, none, none]

    def follow(self, reading, token):
        self.rows.append(len(token))
        reading[1:] = [reading[2], token]
        return self.table[reading[0], reading[1], token]

    def null_condition(self, batch):
        return None if self._null is None else torch.full((batch,), self._null)

    def log_p(self, condition, picture, temperature=1.0, top_k=0):
        """The logarithm of the probability of a picture, by the chain rule."""
        before, total = [self.codes, self.codes], 0.0
        for token in picture:
            logits = self.table[condition, before[0], before[1]].numpy()[None]
            p = probabilities(logits, temperature, top_k)[0, token]
            total += math.log(p) if p > 0 else -math.inf
            before = [before[1], token]
        return total


def recipe(n_steps=4, *, seeds=(0,), guidance=None, condition=1, **options):
    return checked(
        RunSpec(
            "chain",
            "autoregressive",
            n_steps,
            guidance=guidance or Guidance(),
            condition=condition,
            seeds=tuple(seeds),
            options=tuple(options.items()),
        )
    )


def labels(spec, label=1):
    return torch.full((spec.batch,), label)


def recorded(model, spec, label=1, **given):
    return list(run(model, spec, labels(spec, label), **given))


def kept(model, spec, label=1):
    trajectory = Trajectory(spec, model.data_shape)
    for record in recorded(model, spec, label):
        trajectory.append(record)
    return trajectory


@pytest.mark.parametrize("options", [{}, {"temperature": 0.6}, {"top_k": 2}])
def test_pictures_come_with_the_probability_that_the_chain_rule_gives_them(options):
    model, n = Chain(), 4000
    spec = recipe(seeds=range(n), **options)
    pictures = recorded(model, spec)[-1].x_t.reshape(n, 4).astype(int)
    counts = np.zeros((K,) * 4)
    np.add.at(counts, tuple(pictures.T), 1)
    for picture in itertools.product(range(K), repeat=4):
        p = math.exp(model.log_p(1, picture, **options))
        # five standard deviations of a binomial, and one picture where the normal does not hold
        assert abs(counts[picture] - n * p) <= 5 * math.sqrt(n * p * (1 - p)) + 1


def test_the_recorded_probabilities_multiply_to_that_of_the_picture():
    model = Chain()
    end = recorded(model, recipe(seeds=range(5)))[-1]
    for row in range(5):
        expected = model.log_p(1, end.written.chosen[row].tolist())
        assert np.log(end.written.probability[row]).sum() == pytest.approx(expected, rel=1e-5)


def test_a_record_is_the_state_before_its_token_and_tells_what_comes():
    records = recorded(Chain(), recipe(seeds=(4, 9)))
    assert [record.i for record in records] == [0, 1, 2, 3, 4]
    assert [record.level.t for record in records] == [4, 3, 2, 1, 0]
    assert records[-1].level == CLEAN
    for record, after in itertools.pairwise(records):
        flat, then = record.x_t.reshape(2, 4), after.x_t.reshape(2, 4)
        assert (flat[:, record.i :] == NOT_YET).all()
        assert np.array_equal(then[:, : record.i], flat[:, : record.i])
        assert np.array_equal(then[:, record.i], record.written.chosen[:, record.i])
        likeliest = record.logits.argmax(axis=1)
        assert np.array_equal(record.x0_hat.reshape(2, 4)[:, record.i], likeliest)
        assert record.written.entropy.shape == (2, record.i + 1)
    assert np.array_equal(records[-1].x_t, records[-1].x0_hat)


def test_records_do_not_change_when_the_run_goes_on():
    steps = run(Chain(), recipe(), labels(recipe()))
    first = next(steps)
    before = {name: getattr(first.written, name).copy() for name in PARTS}
    list(steps)
    for name, array in before.items():
        assert np.array_equal(getattr(first.written, name), array)


def test_the_entropy_is_that_of_what_the_token_was_drawn_from():
    spec = recipe(seeds=(0, 1), temperature=0.7, top_k=2)
    for record in recorded(Chain(), spec)[:-1]:
        p = torch.from_numpy(probabilities(record.logits, 0.7, 2))
        expected = torch.distributions.Categorical(p).entropy()
        np.testing.assert_allclose(record.written.entropy[:, -1], expected, rtol=1e-6)


@pytest.mark.parametrize("guidance", [Guidance(), Guidance("cfg", 2.5)])
def test_a_row_of_a_run_is_its_own_run_bit_for_bit(guidance):
    spec = recipe(seeds=(5, 0, 12), guidance=guidance)
    together = recorded(Chain(), spec)
    for row, seed in enumerate(spec.seeds):
        for many, one in zip(
            together, recorded(Chain(), replace(spec, seeds=(seed,))), strict=True
        ):
            for name, array in many.arrays().items():
                np.testing.assert_array_equal(array[row], one.arrays()[name][0])
            for name in PARTS:
                np.testing.assert_array_equal(
                    getattr(many.written, name)[row], getattr(one.written, name)[0]
                )


def test_at_temperature_zero_chance_has_no_say():
    greedy = recorded(Chain(), recipe(seeds=range(8), temperature=0.0))[-1]
    assert len(np.unique(greedy.x_t.reshape(8, -1), axis=0)) == 1
    assert (greedy.written.probability == 1).all()
    assert (greedy.written.entropy == 0).all()
    one = recorded(Chain(), recipe(seeds=range(8), top_k=1))[-1]
    assert np.array_equal(one.x_t, greedy.x_t)


def test_guided_by_none_it_is_the_unconditional_and_by_one_the_conditional_run():
    alone = {label: recorded(Chain(), recipe(seeds=range(6)), label) for label in (1, NULL)}
    for gamma, label in ((0.0, NULL), (1.0, 1)):
        guided = recorded(Chain(), recipe(seeds=range(6), guidance=Guidance("cfg", gamma)))
        for one, other in zip(guided, alone[label], strict=True):
            np.testing.assert_array_equal(one.x_t, other.x_t)


def test_guidance_sharpens_by_the_difference_of_logits():
    model, gamma = Chain(), 3.0
    spec = recipe(seeds=(0,), guidance=Guidance("cfg", gamma))
    first = recorded(model, spec)[0]
    none, conditional = (model.table[c, K, K].numpy() for c in (NULL, 1))
    np.testing.assert_allclose(first.base[0], none)
    np.testing.assert_allclose(first.base[0] + first.direction[0], conditional, rtol=1e-6)
    p = probabilities((none + gamma * (conditional - none))[None])[0]
    token = first.written.chosen[0, 0]
    assert first.written.probability[0, 0] == pytest.approx(p[token], rel=1e-5)


def test_a_negative_condition_takes_the_place_of_none():
    spec = recipe(guidance=Guidance("cfg", 2.0))
    model = Chain()
    records = list(
        run(model, replace(spec, negative="not this"), labels(spec), negative=labels(spec, 0))
    )
    np.testing.assert_array_equal(records[0].base[0], model.table[0, K, K].numpy())


@pytest.mark.parametrize(("guidance", "each"), [(Guidance(), 1), (Guidance("cfg", 2.0), 2)])
def test_a_token_takes_one_evaluation_and_two_if_guided(guidance, each):
    model = Chain()
    spec = recipe(seeds=(0, 1, 2), guidance=guidance)
    records = recorded(model, spec)
    assert [record.nfe for record in records] == [each * k for k in (1, 2, 3, 4, 4)]
    assert model.rows == [3 * each] * 4


def test_a_saved_run_is_read_back_as_it_was(tmp_path):
    for guidance in (Guidance(), Guidance("cfg", 2.0)):
        run_ = kept(Chain(), recipe(seeds=(3, 4), guidance=guidance))
        session.save(run_, tmp_path / "run.dvsession", {"id": "chain"})
        again, _ = session.load(tmp_path / "run.dvsession")
        assert again.spec == run_.spec
        for one, other in zip(run_, again, strict=True):
            assert one.level == other.level
            assert one.arrays().keys() == other.arrays().keys()
            for name, array in one.arrays().items():
                np.testing.assert_array_equal(array, other.arrays()[name])
            for name in PARTS:
                np.testing.assert_array_equal(
                    getattr(one.written, name), getattr(other.written, name)
                )


def test_a_run_broken_off_is_saved_as_far_as_it_came(tmp_path):
    spec = recipe(seeds=(3, 4))
    run_ = Trajectory(spec, SHAPE)
    for record in itertools.islice(run(Chain(), spec, labels(spec)), 2):
        run_.append(record)
    session.save(run_, tmp_path / "run.dvsession")
    again, _ = session.load(tmp_path / "run.dvsession")
    assert len(again) == 2
    assert again[-1].written.chosen.shape == (2, 2)


@pytest.mark.parametrize("guidance", [Guidance(), Guidance("cfg", 2.0)])
def test_a_run_keeps_as_many_bytes_as_was_estimated(guidance):
    spec = recipe(seeds=(0, 1), guidance=guidance)
    run_ = kept(Chain(), spec)
    assert run_.nbytes == estimated_nbytes(spec, SHAPE, codes=K)
    assert stride_within(spec, SHAPE, run_.nbytes, codes=K) == 1
    assert stride_within(spec, SHAPE, run_.nbytes - 1, codes=K) > 1


@pytest.mark.parametrize("guidance", [Guidance(), Guidance("cfg", 2.0)])
@pytest.mark.parametrize("k", [0, 1, 3])
def test_a_run_resumed_from_any_step_becomes_what_it_was(k, guidance):
    spec = recipe(seeds=(8, 1), guidance=guidance)
    whole = kept(Chain(), spec)
    rest = recorded(Chain(), spec, start=start_at(whole, spec, k))
    assert [record.i for record in rest] == list(range(k, 5))
    for again in rest:
        once = whole.at(again.i)
        assert again.nfe == once.nfe
        for name, array in once.arrays().items():
            np.testing.assert_array_equal(again.arrays()[name], array)
        for name in PARTS:
            np.testing.assert_array_equal(
                getattr(again.written, name), getattr(once.written, name)
            )


def test_a_given_state_that_is_none_is_refused():
    spec = recipe()
    start = start_at(kept(Chain(), spec), spec, 2)
    for broken in ([0, 1, 0, -1], [0, K, -1, -1], [0, 0.5, -1, -1], [0, -1, -1, -1]):
        x_t = np.float32(broken).reshape(1, *SHAPE)
        with pytest.raises(InputError, match="no state of this model at step 2"):
            recorded(Chain(), spec, start=replace(start, x_t=x_t))


def test_what_cannot_be_written_is_refused(plain_denoiser):
    spec = recipe()
    with pytest.raises(InputError, match="begins with nothing"):
        recorded(Chain(), spec, init_noise=torch.zeros(1, *SHAPE))
    with pytest.raises(InputError, match="writes 4 tokens, one a step: choose 4 steps"):
        recorded(Chain(), recipe(5))
    with pytest.raises(InputError, match="no noise that sampler 'ddim' could remove"):
        recorded(Chain(), RunSpec("chain", "ddim", 4))
    with pytest.raises(InputError, match="for models that predict the next token"):
        recorded(plain_denoiser(), spec)
    with pytest.raises(InputError, match="'autoguidance' works on noise"):
        recorded(Chain(), recipe(guidance=Guidance("autoguidance", 2.0, "weak")))
    with pytest.raises(InputError, match="a model that can do without"):
        recorded(Chain(null=None), recipe(guidance=Guidance("cfg", 2.0)))
    with pytest.raises(InputError, match="2 conditions were given for 1 samples"):
        list(run(Chain(), spec, torch.tensor([0, 1])))
    with pytest.raises(InputError, match="needs a condition"):
        list(run(Chain(null=None), recipe(condition=None)))
    with pytest.raises(
        InputError, match=r"has no option 'eta' .*ddim.*; it has temperature, top_k"
    ):
        recipe(eta=0.5)


def test_a_network_that_fails_is_named_with_its_step():
    class Broken(Chain):
        def follow(self, reading, token):
            raise RuntimeError("no more")

    steps = run(Broken(), recipe(), labels(recipe()))
    next(steps)
    with pytest.raises(DiffviewError, match=r"failed at step 1 \(t = 3\): RuntimeError: no more"):
        next(steps)


def test_logits_that_are_no_numbers_or_too_few_are_named():
    class Broken(Chain):
        def begin(self, condition):
            reading, logits = super().begin(condition)
            return reading, logits / 0 * 0

    with pytest.raises(NonFiniteError, match="logits became NaN or infinite at step 0"):
        recorded(Broken(), recipe())

    class Short(Chain):
        def begin(self, condition):
            reading, logits = super().begin(condition)
            return reading, logits[:, :-1]

    with pytest.raises(DiffviewError, match=r"logits of shape \(1, 2\), expected \(1, 3\)"):
        recorded(Short(), recipe())


def test_no_two_draws_of_a_run_share_their_number():
    end = recorded(Chain(), recipe(seeds=range(50)))[-1]
    assert len(np.unique(end.written.uniform)) == 200
