"""The forward process: its law, its numbers, and the one-step estimate as a run would make it."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import diffview
from diffview.engine import schedules
from diffview.engine.levels import NoiseLevel
from diffview.engine.spec import Guidance, RunSpec
from diffview.engine.trajectory import StepRecord
from diffview.errors import DiffviewError
from diffview.models import forward, sampling
from diffview.models.card import ModelCard
from diffview.models.families.latent_text import QuantisingDecoder
from diffview.models.first_stage import FirstStage
from diffview.models.latent_text import LatentText, LatentTextConfig
from diffview.models.network import NetworkDenoiser
from diffview.models.text_unet import TextUNetConfig
from diffview.models.tokenizer import Tokenizer, TokenizerConfig
from diffview.models.unet import UNetConfig

LEVEL = NoiseLevel(500.0, 0.6, 0.8)


def test_a_state_is_alpha_x_0_plus_sigma_eps():
    x_0, eps = np.float32([[1, -1]]), np.float32([[0.5, 2]])
    np.testing.assert_allclose(forward.noised(x_0, eps, LEVEL), [[1.0, 1.0]], rtol=1e-6)


def test_the_noise_is_what_a_run_of_that_seed_begins_with():
    expected = torch.randn(1, 4, 4, generator=torch.Generator().manual_seed(7))
    assert np.array_equal(forward.noise(7, (1, 4, 4)), expected.numpy())


def test_states_have_the_mean_and_variance_of_q():
    """E[x_t] = alpha x_0 and Var[x_t] = sigma^2 (Ho et al. 2020, eq. 4), over 20,000 draws."""
    draws = np.stack([forward.noised(np.float32([2.0]), forward.noise(s, (1,)), LEVEL)
                      for s in range(20_000)])  # fmt: skip
    assert abs(draws.mean() - 0.6 * 2) < 4 * 0.8 / math.sqrt(len(draws))
    assert abs(draws.var() / 0.64 - 1) < 4 * math.sqrt(2 / len(draws))


def test_places_are_every_whole_time_from_noise_to_picture():
    levels = forward.places(schedules.named("linear"))
    assert [level.t for level in levels] == list(range(999, -1, -1))
    assert levels[0].alphas_cumprod < 1e-4 and levels[-1].sigma < 0.02


@pytest.mark.parametrize("name", ["flow", "edm"])
def test_continuous_time_has_a_thousand_places_that_fall(name):
    levels = forward.places(schedules.named(name))
    assert len(levels) == 1000
    ratios = [level.ratio for level in levels]
    assert ratios == sorted(ratios, reverse=True)


@pytest.fixture
def asked():
    """The times at which the model's network was asked."""
    return []


@pytest.fixture
def model(asked):
    """x0_hat = tanh(x_t) / 2 + (label + 1) / 10."""

    def network(x_t, t, label):
        asked.extend(t.tolist())
        return 0.5 * x_t.tanh() + (label + 1).float().reshape(-1, 1, 1, 1) / 10

    return diffview.wrap(network, shape=(1, 4, 4), classes=3, null=3, prediction="x0")


def test_the_estimate_is_the_network_s_at_that_state_and_time(model, asked):
    spec = forward.one_step_spec(RunSpec("wrapped", condition=1), model.card.schedule.level(321))
    x_t = forward.noise(3, (1, 4, 4))
    record = forward.estimate(model, spec, x_t)[0]
    assert record.level.t == 321 and asked == [321.0]
    assert np.array_equal(record.x_t[0], x_t)
    np.testing.assert_allclose(record.x0_hat[0], 0.5 * np.tanh(x_t) + 0.2, atol=1e-6)


def test_the_estimate_is_guided_as_a_run_is(model):
    spec = RunSpec("wrapped", condition=(2, 0), guidance=Guidance("cfg", 3.0), seeds=(0, 1))
    asked = forward.one_step_spec(spec, model.card.schedule.level(700))
    x_t = forward.noise(3, (1, 4, 4))
    record = forward.estimate(model, asked, x_t)[0]
    base, cond = 0.5 * np.tanh(x_t) + 0.4, 0.5 * np.tanh(x_t) + 0.3
    np.testing.assert_allclose(record.x0_hat[0], base + 3 * (cond - base), atol=1e-5)


def test_a_run_and_the_forward_process_say_the_same_of_the_same_state(model):
    run = diffview.sample(model, steps=8, label=1, guidance=2.0, seeds=[5], options={"eta": 0.0})
    for record in list(run.trajectory)[:-1]:
        asked = forward.one_step_spec(run.trajectory.spec, record.level)
        again = forward.estimate(model, asked, record.x_t[0])[0]
        np.testing.assert_allclose(again.x0_hat, record.x0_hat, atol=1e-6)


@pytest.fixture
def distilled():
    """x0_hat = 3 sin(2 x_t) + label cos(x_t) + scale / 10, of data in -2 .. 2."""

    def network(x_t, t, label, guidance_scale=0.0):
        label = label.float().reshape(-1, 1, 1, 1)
        return 3 * (2 * x_t).sin() + label * x_t.cos() + guidance_scale / 10

    made = diffview.wrap(network, shape=(1, 4, 4), classes=3, null=3, prediction="x0")
    made.card = replace(made.card, distilled=True, value_range=(-2.0, 2.0))
    return made


@pytest.mark.parametrize(
    "changed",
    [
        {"clip": "clamp"},
        {"clip": "clamp", "clip_range": "-2, 2"},
        {"clip": "threshold", "threshold": 0.7},
        {"clip": "threshold", "clip_range": "-2, 2"},
        {"rescale": 0.7},
        {"rescale": 0.7, "rescale_space": "x0"},
        {"interval": "0.1, 0.2"},
        {"distilled_scale": 8.0},
    ],
    ids=str,
)
def test_an_option_acts_on_the_estimate_as_on_a_run_that_begins_there(distilled, changed):
    level, x_t = distilled.card.schedule.level(500), forward.noise(3, (1, 4, 4))
    options = {**changed, "eta": 0.0, "times": "500, 100"}
    spec = RunSpec("wrapped", "ddim", 2, "list", Guidance("cfg", 3.0), 1, (0,),
                   tuple(options.items()))  # fmt: skip
    first = next(sampling.records(distilled, spec, x_t[None]))
    again = forward.estimate(distilled, forward.one_step_spec(spec, level), x_t)[0]
    assert first.level == again.level == level
    assert np.array_equal(first.x0_hat, again.x0_hat)
    plain = replace(spec, options=(("times", "500"),))
    without = forward.estimate(distilled, forward.one_step_spec(plain, level), x_t)[0]
    assert not np.allclose(without.x0_hat, again.x0_hat), "the option does something here"


def test_another_schedule_of_the_run_has_no_say_in_what_is_noised_by_the_model_s_own(model):
    level = model.card.schedule.level(321)
    asked = forward.one_step_spec(RunSpec("m", options=(("schedule", "edm"),)), level)
    assert asked.levels(model.card.schedule)[0] == level


def test_options_of_the_sampler_have_no_say_but_clipping_has():
    options = (("churn", 0.3), ("clip", "clamp"), ("noise_path", "brownian"))
    spec = RunSpec("toy", sampler="euler_churn", options=options)
    asked = forward.one_step_spec(replace(spec, n_steps=9), LEVEL)
    assert dict(asked.options) == {"clip": "clamp", "times": "500.0"}
    assert (asked.sampler, asked.n_steps, asked.batch) == ("ddim", 1, 1)


def test_the_error_s_numbers_by_hand():
    x_0, eps = np.zeros((1, 2, 2), np.float32), np.zeros((1, 2, 2), np.float32)
    x0_hat = np.full((1, 1, 2, 2), 0.1, np.float32)
    record = StepRecord(
        0, LEVEL, np.zeros((1, 1, 2, 2), np.float32), x0_hat, None, None, None, 1, 0
    )
    error = forward.error(record, x_0, eps, 2.0)
    assert error.norm == pytest.approx(0.2)
    assert error.rms == pytest.approx(0.1)
    assert error.psnr == pytest.approx(20 * math.log10(2 / 0.1))
    assert error.eps_rms == pytest.approx(0.6 * 0.1 / 0.8)  # eps_hat = -alpha x0_hat / sigma


def test_the_psnr_is_of_the_pictures_whatever_the_samples_are():
    """Pixels by the data's own range, here 1; latents by what they decode to, once that is known:
    pictures a fifth apart, 20 log10(2 / 0.2) = 20 dB."""
    x_0 = np.zeros((1, 2, 2), np.float32)
    record = StepRecord(0, LEVEL, x_0[None], x_0[None] + 0.1, None, None, None, 1, 0)
    latent = latent_model(None).card
    pixels = replace(latent, latent=False, picture_shape=(), value_range=(0.0, 1.0))
    of_pixels = forward.model_error(pixels, record, x_0, x_0)
    assert of_pixels.psnr == pytest.approx(20) and of_pixels.norm == pytest.approx(0.2)
    assert math.isnan(forward.model_error(latent, record, x_0, x_0).psnr)
    seen = np.zeros((3, 4, 4), np.float32), np.full((3, 4, 4), 0.2, np.float32)
    of_latents = forward.model_error(latent, record, x_0, x_0, seen)
    assert of_latents.psnr == pytest.approx(20) and of_latents.norm == pytest.approx(0.2)


def test_a_perfect_estimate_has_no_error():
    x = np.ones((1, 1, 2, 2), np.float32)
    record = StepRecord(0, LEVEL, 0.6 * x, x, None, None, None, 1, 0)
    error = forward.error(record, x[0], np.zeros((1, 2, 2), np.float32), 2.0)
    assert error.psnr == math.inf and error.rms == 0


class Halving:
    """Encodes by the mean of 2 x 2 pixels, doubled; decodes by the way back."""

    sha256 = "e" * 64

    def __call__(self, latents):
        return (latents / 2).repeat_interleave(2, -1).repeat_interleave(2, -2)

    def encode(self, pictures):
        return 2 * torch.nn.functional.avg_pool2d(pictures, 2)


def latent_model(decoder):
    card = ModelCard(
        "latent", "Latent", "wrapped", (3, 4, 4), "x0", schedules.named("cosine"),
        latent=True, picture_shape=(3, 8, 8),
    )  # fmt: skip
    return NetworkDenoiser(card, lambda x_t, t: 0.5 * x_t, decoder=decoder)


def test_a_picture_becomes_the_latents_that_decode_to_it():
    model = latent_model(Halving())
    picture = np.random.default_rng(0).uniform(-1, 1, (3, 4, 4)).astype(np.float32)
    enlarged = picture.repeat(2, axis=1).repeat(2, axis=2)
    x_0 = forward.latents(model, enlarged)
    np.testing.assert_allclose(x_0, 2 * picture, atol=1e-6)
    decoded = model.decode(torch.from_numpy(x_0)[None])[0]
    np.testing.assert_allclose(decoded, enlarged, atol=1e-6)


def test_a_decoder_without_an_encoder_is_told_of():
    with pytest.raises(DiffviewError, match="'latent' has no encoder"):
        forward.latents(latent_model(lambda latents: latents), np.zeros((3, 8, 8), np.float32))


def test_our_own_first_stage_decodes_what_it_encoded_as_the_tokenizer_alone_does():
    """Whatever the latents' scale: it is taken off again before they are snapped to codes."""
    torch.manual_seed(0)
    tokenizer = Tokenizer(
        TokenizerConfig(size=8, codes=5, depth=2, narrow=4, wide=8, blocks=1)
    ).eval()
    tokenizer.codebook.normal_()
    words = ("red",)
    network = LatentText(
        LatentTextConfig(
            TextUNetConfig(1, UNetConfig(channels=2, size=2, base=8, blocks=1, attention=(),
                                         patch=1, context=32)),
            FirstStage(words, "tokens", ""),
        )
    )  # fmt: skip
    network.mean.copy_(torch.tensor([0.3, -1.0]))
    network.std.copy_(torch.tensor([2.0, 0.5]))
    stage = QuantisingDecoder(network, tokenizer, "")
    x = torch.rand(2, 3, 8, 8) * 2 - 1
    with torch.no_grad():
        z = stage.encode(x)
        torch.testing.assert_close(stage(z), tokenizer(x))
        expected = (tokenizer.encode(x)[:, 0] - 0.3) / 2
    torch.testing.assert_close(z[:, 0], expected)
