"""The exact denoiser of pictures: against direct float64 sums, down to very small sigma."""

import math

import numpy as np
import pytest
import torch

from diffview.datasets import LabelledPictures
from diffview.engine import guidance, schedules
from diffview.engine.levels import CLEAN, NoiseLevel
from diffview.errors import InputError
from diffview.models.card import ModelCard
from diffview.models.exact import memory
from diffview.models.exact.pictures import ExactPictures

SIZE = (1, 16, 16)
COSINE = schedules.named("cosine")


def clothes(count=300, classes=3, size=SIZE):
    """Pictures near to each other, as those of one kind are: a common ground and small changes."""
    rng = np.random.default_rng(0)
    ground = rng.integers(40, 200, (classes, *size))
    labels = np.arange(count) % classes
    small = rng.integers(-12, 13, (count, *size))
    pictures = (ground[labels] + small).clip(0, 255).astype(np.uint8)
    return LabelledPictures(pictures, labels.astype(np.int64))


def model_of(data, classes=3):
    names = tuple("abcdef"[:classes])
    shape = data.pictures.shape[1:]
    return ExactPictures(ModelCard("t", "T", "pictures", shape, "x0", COSINE, names), data)


def direct(data, x_t, level, label=None):
    """All terms one by one in float64: no product is expanded, so nothing cancels."""
    keep = np.ones(len(data), bool) if label is None else data.labels == label
    x = data.pictures[keep].reshape(keep.sum(), -1) / 127.5 - 1
    x0, logs = [], []
    for row in x_t.double().flatten(1).numpy():
        log_w = -((row - level.alpha * x) ** 2).sum(1) / (2 * level.sigma**2)
        w = np.exp(log_w - log_w.max())
        norm = 0.5 * x.shape[1] * math.log(2 * math.pi * level.sigma**2)
        logs.append(log_w.max() + math.log(w.mean()) - norm)
        x0.append(w @ x / w.sum())
    return np.array(x0).reshape(x_t.shape), np.array(logs)


def noisy(data, level, count=6):
    clean = torch.from_numpy(data.pictures[:count]).float() / 127.5 - 1
    z = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    return (level.alpha * clean + level.sigma * z).float()


@pytest.mark.parametrize("t", [999, 800, 400, 100, 10, 0])
@pytest.mark.parametrize("label", [None, 2])
def test_estimate_and_density_are_the_direct_sums(t, label):
    data, level = clothes(), COSINE.level(t)
    model, x = model_of(data), noisy(clothes(), level)
    condition = None if label is None else torch.full((len(x),), label)
    x0_hat, log_p = direct(data, x, level, label)
    np.testing.assert_allclose(model(x, level, condition), x0_hat, atol=2e-6)
    np.testing.assert_allclose(model.log_prob(x, level, condition), log_p, rtol=1e-10, atol=1e-7)


def test_weights_hold_to_a_millionth_of_a_nat_where_float32_fails_by_more_than_a_tenth():
    """The same product form in float32 is what must not be used; this one is not it."""
    data, level = clothes(), NoiseLevel(1.0, 1.0, 0.005)
    model, x = model_of(data), noisy(clothes(), level)
    flat = torch.from_numpy(data.pictures).flatten(1).float() / 127.5 - 1
    rows = x.flatten(1)
    squares = rows.square().sum(1, keepdim=True) - 2 * rows @ flat.T + flat.square().sum(1)
    single = -squares / (2 * level.sigma**2)
    exact = -torch.cdist(
        rows.double(),
        torch.from_numpy(data.pictures).flatten(1).double() / 127.5 - 1,
        compute_mode="donot_use_mm_for_euclid_dist",
    ).square() / (2 * level.sigma**2)
    ours = model._log_weights(x, level, None)
    near = exact > exact.amax(1, keepdim=True) - 50
    assert (single.double() - exact)[near].abs().max() > 0.1
    assert (ours - exact)[near].abs().max() < 1e-6


def test_the_score_is_tweedies():
    data, level = clothes(), COSINE.level(500)
    model, x = model_of(data), noisy(clothes(), level).double()
    expected = (level.alpha * model(x, level, None) - x) / level.sigma**2
    torch.testing.assert_close(model.score(x, level), expected)


def test_read_outs_are_those_of_the_weights():
    data, level = clothes(), NoiseLevel(1.0, 0.6, 0.8)
    model, x = model_of(data), noisy(clothes(), level)
    flat = data.pictures.reshape(len(data), -1) / 127.5 - 1
    off = x.double().flatten(1).numpy()[:, None] - level.alpha * flat
    log_w = -(off**2).sum(2) / (2 * level.sigma**2)
    w = np.exp(log_w - log_w.max(1, keepdims=True))
    w /= w.sum(1, keepdims=True)
    read = model.posterior(x, level, k=4)
    entropy = -(w * np.log(w, where=w > 0, out=np.zeros_like(w))).sum(1)
    np.testing.assert_allclose(read.entropy, entropy, atol=1e-9)
    np.testing.assert_allclose(read.effective, np.exp(entropy), rtol=1e-9)
    np.testing.assert_allclose(read.weights, np.sort(w, 1)[:, :-5:-1], rtol=1e-7, atol=1e-15)
    taken = np.take_along_axis(w, read.nearest.numpy(), 1)
    np.testing.assert_allclose(taken, read.weights, rtol=1e-7, atol=1e-15)
    shares = [w[:, data.labels == y].sum(1) for y in range(3)]
    np.testing.assert_allclose(read.label_weights, np.stack(shares, 1), atol=1e-9)
    torch.testing.assert_close(read.log_prob, model.log_prob(x, level))


def test_the_estimate_and_its_posterior_come_together():
    data, level = clothes(), COSINE.level(700)
    model, x = model_of(data), noisy(clothes(), level)
    labels = torch.arange(len(x)) % 3
    x0_hat, told = model.explained(x, level, labels, k=3)
    torch.testing.assert_close(x0_hat, model(x, level, labels))
    alone = model.posterior(x, level, labels, k=3)
    assert torch.equal(told.nearest, alone.nearest)
    torch.testing.assert_close(told.entropy, alone.entropy)


def test_the_nearest_picture_is_the_one_of_least_distance():
    data = clothes()
    model = model_of(data)
    x_0 = torch.rand(5, *SIZE, generator=torch.Generator().manual_seed(2)) * 2 - 1
    flat = data.pictures.reshape(len(data), -1) / 127.5 - 1
    off = np.sqrt(((x_0.double().flatten(1).numpy()[:, None] - flat) ** 2).mean(2))
    number, rms = model.nearest(x_0)
    assert number.tolist() == off.argmin(1).tolist()
    np.testing.assert_allclose(rms, off.min(1), rtol=1e-9)
    own = torch.from_numpy(data.pictures[7:8]).float() / 127.5 - 1
    number, rms = model.nearest(own)
    assert number.item() == 7 and rms.item() < 1e-6


def test_pure_noise_weighs_all_pictures_alike():
    data, level = clothes(), NoiseLevel(1.0, 0.0, 1.0)
    read = model_of(data).posterior(torch.randn(2, *SIZE), level)
    np.testing.assert_allclose(read.effective, len(data), rtol=1e-9)
    np.testing.assert_allclose(read.entropy, math.log(len(data)), rtol=1e-9)


def test_pictures_without_a_label_count_only_where_no_label_is_asked_for():
    data = clothes()
    labels = np.where(np.arange(len(data)) % 2, data.labels, -1)
    mixed, level = LabelledPictures(data.pictures, labels), COSINE.level(700)
    model, x = model_of(mixed), noisy(data, level)
    for label in (None, 1):
        condition = None if label is None else torch.full((len(x),), label)
        x0_hat, log_p = direct(mixed, x, level, label)
        np.testing.assert_allclose(model(x, level, condition), x0_hat, atol=2e-6)
        np.testing.assert_allclose(model.log_prob(x, level, condition), log_p, rtol=1e-10)


def test_guidance_recombines_the_two_exact_branches():
    data, level = clothes(), COSINE.level(850)
    model, x = model_of(data), noisy(clothes(), level)
    labels = torch.arange(len(x)) % 3
    guided = guidance.classifier_free(model, labels, 3.0)(x, level)
    free = np.stack([direct(data, x[k : k + 1], level)[0][0] for k in range(len(x))])
    chosen = np.stack(
        [direct(data, x[k : k + 1], level, int(labels[k]))[0][0] for k in range(len(x))]
    )
    np.testing.assert_allclose(guided.x0_hat, free + 3 * (chosen - free), atol=1e-5)


@pytest.mark.parametrize("chunk", [1, 7])
def test_pieces_of_any_size_give_the_same(monkeypatch, chunk):
    data, level = clothes(40), COSINE.level(700)
    whole, x = model_of(data), noisy(clothes(40), level)
    monkeypatch.setattr("diffview.models.exact.pictures.CHUNK_BYTES", chunk * 8 * math.prod(SIZE))
    torch.testing.assert_close(model_of(data)(x, level, None), whole(x, level, None))


def test_a_run_ends_on_a_picture_of_the_set():
    """What it knows by heart is all it can say; deterministic steps from any noise."""
    from diffview.engine.run import run
    from diffview.engine.spec import RunSpec

    data = clothes(30)
    model = model_of(data)
    *_, last = run(model, RunSpec("t", n_steps=30, seeds=(0, 1, 2)))
    flat = data.pictures.reshape(30, -1) / 127.5 - 1
    off = np.abs(last.x0_hat.reshape(3, 1, -1) - flat).max(2).min(1)
    assert (off < 1e-3).all()


def test_a_clean_level_is_refused():
    with pytest.raises(InputError, match="no density without noise"):
        model_of(clothes(3)).log_prob(torch.zeros(1, *SIZE), CLEAN)


def test_a_set_that_is_not_the_cards_is_refused():
    data = clothes(6)
    with pytest.raises(InputError, match="at least once"):
        model_of(data, classes=4)
    card = ModelCard("t", "T", "pictures", (1, 8, 8), "x0", COSINE, ("a", "b", "c"))
    with pytest.raises(InputError, match="the card tells of samples"):
        ExactPictures(card, data)


def test_memory_is_told_before_it_is_taken_and_too_much_refused():
    # 60,000 pictures of 784 bytes; the rest is one step of 16 samples.
    assert 60_000 * 784 <= memory.memory_needed(60_000, (1, 28, 28), 0) < 60_000 * 784 + 5e6
    with pytest.raises(InputError, match=r"would take .* GB of memory, the limit is 4\.3 GB"):
        memory.check_memory(1_000_000, (3, 64, 64))
