"""NetworkDenoiser: what the network is given, and that every prediction becomes x0_hat."""

import math

import pytest
import torch

import diffview
from diffview.engine import schedules
from diffview.errors import DiffviewError, InputError
from diffview.models.network import NetworkDenoiser, takes_label
from diffview.models.wrapped import wrap

SCHEDULE = schedules.named("cosine")


class Recorder:
    """A network that notes what it is given and predicts a tenth of x_t."""

    def __init__(self):
        self.given = []

    def __call__(self, x_t, *rest):
        self.given.append(rest)
        return 0.1 * x_t


def x_t():
    return torch.linspace(-1, 1, 2 * 64).view(2, 1, 8, 8)


@pytest.mark.parametrize("t", [0, 1, 500, 999])
def test_whole_times_are_given_as_int64_one_for_each_sample(make_card, t):
    network = Recorder()
    NetworkDenoiser(make_card(classes=()), network)(x_t(), SCHEDULE.level(t), None)
    (times,) = network.given[0]
    assert times.dtype == torch.int64
    assert times.tolist() == [t, t]


def test_times_between_are_given_as_they_are(make_card):
    network = Recorder()
    NetworkDenoiser(make_card(classes=()), network)(x_t(), SCHEDULE.level(7.25), None)
    (times,) = network.given[0]
    assert times.dtype == torch.float32
    assert times.tolist() == [7.25, 7.25]


@pytest.mark.parametrize(("t", "given"), [(7.25, 7), (7.75, 8), (999, 999)])
def test_a_network_of_whole_times_is_asked_at_the_nearest(make_card, t, given):
    network = Recorder()
    level = SCHEDULE.level(t)
    denoiser = NetworkDenoiser(make_card(classes=(), whole_times=True), network)
    denoiser(x_t(), level, None)
    (times,) = network.given[0]
    assert times.dtype == torch.int64
    assert times.tolist() == [given, given]
    assert denoiser.network_time(level) == given
    assert level.t == t


@pytest.mark.parametrize("prediction", ["eps", "x0", "v"])
def test_a_network_that_knows_the_truth_gives_x0_whatever_it_predicts(make_card, prediction):
    level = SCHEDULE.level(400)
    generator = torch.Generator().manual_seed(0)
    x_0, eps = torch.randn(2, 2, 1, 8, 8, generator=generator, dtype=torch.float64)
    truth = {"eps": eps, "x0": x_0, "v": level.alpha * eps - level.sigma * x_0}[prediction]
    denoiser = NetworkDenoiser(make_card(classes=(), prediction=prediction), lambda x, t: truth)
    found = denoiser(level.alpha * x_0 + level.sigma * eps, level, None)
    torch.testing.assert_close(found, x_0, rtol=1e-10, atol=1e-10)


def test_labels_are_passed_on_and_missing_ones_become_the_null_label(make_card):
    network = Recorder()
    denoiser = NetworkDenoiser(make_card(), network, null=3)
    denoiser(x_t(), SCHEDULE.level(5), torch.tensor([2, 0]))
    denoiser(x_t(), SCHEDULE.level(5), None)
    assert [rest[1].tolist() for rest in network.given] == [[2, 0], [3, 3]]
    assert denoiser.null_condition(4).tolist() == [3, 3, 3, 3]
    assert denoiser.null_condition(4).dtype == torch.int64


def test_a_class_is_asked_for_where_there_is_no_null_label(make_card):
    denoiser = NetworkDenoiser(make_card(), Recorder())
    assert denoiser.null_condition(2) is None
    with pytest.raises(InputError, match="needs a class"):
        denoiser(x_t(), SCHEDULE.level(5), None)


@pytest.mark.parametrize("shape", [(2, 2, 8, 8), (2, 1, 8), (1, 1, 8, 8), ()])
def test_an_output_of_another_shape_is_refused_with_both_shapes(make_card, shape):
    denoiser = NetworkDenoiser(make_card(classes=()), lambda x, t: torch.zeros(shape))
    with pytest.raises(DiffviewError, match=r"returned shape \(.*\) for x_t of \(2, 1, 8, 8\)"):
        denoiser(x_t(), SCHEDULE.level(5), None)


@pytest.mark.parametrize("output", [None, (torch.zeros(1),), {"sample": 1}, 5.0])
def test_an_output_that_is_no_tensor_is_refused_with_its_type(make_card, output):
    denoiser = NetworkDenoiser(make_card(classes=()), lambda x, t: output)
    with pytest.raises(DiffviewError, match=f"returned a {type(output).__name__}.*tensor"):
        denoiser(x_t(), SCHEDULE.level(5), None)


def test_an_unknown_prediction_is_refused_with_the_known_ones(make_card):
    with pytest.raises(InputError, match="prediction type 'score'; known are eps, x0, v"):
        NetworkDenoiser(make_card(prediction="score"), Recorder())


class WithLabel(torch.nn.Module):
    def forward(self, x, t, label):
        return x


class WithoutLabel(torch.nn.Module):
    def forward(self, x, t, *, verbose=False):
        return x


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (lambda x, t: x, False),
        (lambda x, t, y: x, True),
        (lambda x, t, y=None: x, True),
        (lambda *all: all[0], True),
        (lambda x, t, **named: x, False),
        (WithLabel(), True),
        (WithoutLabel(), False),
    ],
)
def test_whether_a_callable_takes_a_label_is_read_from_its_signature(network, expected):
    assert takes_label(network) is expected


@pytest.mark.parametrize("prediction", ["eps", "v", "x0"])
def test_a_network_that_writes_into_its_input_changes_nothing_that_is_kept(prediction):
    """Many networks begin with an activation in place; what the sampler held must stay."""
    polite = wrap(lambda x, t: x * 0.5, shape=(3, 4), prediction=prediction)
    rude = wrap(lambda x, t: x.mul_(0.5), shape=(3, 4), prediction=prediction)
    one, other = (diffview.sample(m, steps=5, seeds=range(2)) for m in (polite, rude))
    assert torch.equal(one.x_t, other.x_t) and torch.equal(one.x0_hat, other.x0_hat)


def test_a_network_that_uses_its_output_again_does_not_change_earlier_steps():
    buffer = torch.empty(2, 3, 4)

    def reusing(x, t):
        return torch.mul(x, 0.5, out=buffer)

    kept = diffview.sample(wrap(reusing, shape=(3, 4), prediction="x0"), steps=5, seeds=range(2))
    plain = wrap(lambda x, t: x * 0.5, shape=(3, 4), prediction="x0")
    assert torch.equal(kept.x0_hat, diffview.sample(plain, steps=5, seeds=range(2)).x0_hat)


@pytest.mark.parametrize("schedule", ["linear", "edm"])
def test_an_edm_network_is_given_the_preconditioned_state_and_c_noise(make_card, schedule):
    # Karras et al. 2022, table 1: D(y; s) = c_skip y + c_out F(c_in y; ln(s) / 4), sigma_data 0.5.
    schedule = schedules.named(schedule)
    level = schedule.level(3.0 if schedule.name == "edm" else 700)
    seen = []

    def network(x, t):
        seen.append((x, t))
        return torch.tanh(x)

    card = make_card(classes=(), prediction="edm", schedule=schedule)
    x = x_t().double()
    found = NetworkDenoiser(card, network)(x, level, None)
    y, s, d = x / level.alpha, level.sigma / level.alpha, 0.5
    c_in = 1 / (s**2 + d**2) ** 0.5
    F = torch.tanh(c_in * y)
    expected = d**2 / (s**2 + d**2) * y + s * d / (s**2 + d**2) ** 0.5 * F
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    (given, t) = seen[0]
    torch.testing.assert_close(given, c_in * y)
    torch.testing.assert_close(t.double(), torch.full((2,), math.log(s) / 4).double())


def test_the_datas_spread_of_an_edm_network_is_the_schedules(make_card):
    schedule = schedules.edm(sigma_data=1.0)
    card = make_card(classes=(), prediction="edm", schedule=schedule)
    level = schedule.level(1.0)
    found = NetworkDenoiser(card, lambda x, t: 0 * x)(x_t(), level, None)
    torch.testing.assert_close(found, 0.5 * x_t())


def test_edm_preconditioning_recovers_what_an_exact_network_knows(make_card):
    # Of data N(0, 0.5^2) the ideal F is 0: D = sigma_data^2 / (s^2 + sigma_data^2) y.
    for level in (schedules.edm().level(0.3), SCHEDULE.level(400), schedules.flow().level(0.7)):
        card = make_card(classes=(), prediction="edm")
        found = NetworkDenoiser(card, lambda x, t: 0 * x)(x_t(), level, None)
        gain = level.alpha * 0.25 / (level.alpha**2 * 0.25 + level.sigma**2)
        torch.testing.assert_close(found, gain * x_t())


def test_of_a_learned_variance_the_second_half_is_split_off(make_card):
    card = make_card(classes=(), prediction="eps", learned_variance=True)

    def network(x, t):
        return torch.cat([0.1 * x, torch.full_like(x, -0.5)], dim=1)

    level, plain = SCHEDULE.level(400), make_card(classes=(), prediction="eps")
    denoiser = NetworkDenoiser(card, network)
    expected = NetworkDenoiser(plain, lambda x, t: 0.1 * x)(x_t(), level, None)
    assert torch.equal(denoiser(x_t(), level, None), expected)
    x0_hat, mix = denoiser.with_variance(x_t(), level, None)
    assert torch.equal(x0_hat, expected)
    assert (mix == 0.25).all()
    assert denoiser.learned_variance
    assert not NetworkDenoiser(plain, network).learned_variance


def test_a_learned_variance_that_is_not_there_or_not_declared_is_refused(make_card):
    level = SCHEDULE.level(400)
    declared = make_card(classes=(), learned_variance=True)
    with pytest.raises(DiffviewError, match=r"with a learned variance it must be \(2, 2, 8, 8\)"):
        NetworkDenoiser(declared, lambda x, t: x)(x_t(), level, None)
    with pytest.raises(DiffviewError, match="both must be equal unless it learned a variance"):
        NetworkDenoiser(make_card(classes=()), lambda x, t: torch.cat([x, x], 1))(
            x_t(), level, None
        )
    with pytest.raises(DiffviewError, match="learned no variance"):
        NetworkDenoiser(make_card(classes=()), lambda x, t: x).with_variance(x_t(), level, None)


class Stage:
    """Encodes by what it is given to do."""

    sha256 = "e" * 64

    def __init__(self, encode):
        self.encode = encode


def with_stage(make_card, encode):
    card = make_card(classes=(), latent=True, picture_shape=(1, 16, 16))
    return NetworkDenoiser(card, Recorder(), decoder=Stage(encode))


def test_a_picture_that_is_too_large_to_be_encoded_is_told_in_words(make_card):
    def encode(picture):
        raise MemoryError("Unable to allocate 3.00 GiB for an array")

    with pytest.raises(DiffviewError, match=r"encoding a picture of 1x16x16 failed.*3,221 MB"):
        with_stage(make_card, encode).latents(torch.zeros(1, 1, 16, 16))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_latents_of_a_picture_that_are_no_numbers_are_told_of(make_card, value):
    model = with_stage(make_card, lambda picture: picture[..., ::2, ::2] * 0 + value)
    with pytest.raises(DiffviewError, match=r"the encoder of model .* NaN or infinite"):
        model.latents(torch.ones(1, 1, 16, 16))
