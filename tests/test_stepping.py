"""Stepping back into a run, verifying it and inverting a picture, from Python."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import diffview
from diffview.engine.spec import Guidance
from diffview.errors import InputError

SHAPE = (1, 6, 6)


class Network(nn.Module):
    """Random weights; the answer depends on picture, time and label."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.conv = nn.Conv2d(1, 1, 3, padding=1)
        self.labels = nn.Parameter(torch.zeros(5, 1))
        for parameter in self.parameters():
            with torch.no_grad():
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))

    def forward(self, x_t, t, label):
        waves = torch.sin(t.float() / 100)[:, None, None, None]
        return torch.tanh(self.conv(x_t) + waves + self.labels[label][:, :, None, None])


@pytest.fixture
def model():
    return diffview.wrap(Network(), shape=SHAPE, classes=4, null=4, schedule="cosine")


@pytest.fixture
def run(model):
    return diffview.sample(
        model, sampler="ddpm", steps=6, label=1, guidance=2.0, seeds="0-2", spacing="leading"
    )


def test_a_run_is_resumed_branched_and_completed(run):
    again = run.resume(3)
    assert torch.equal(again.x_t, run.x_t)
    assert again.spec == run.spec
    branch = run.branch(3, guidance=5.0, label=2, seeds="4-6")
    assert torch.equal(branch.x_t[:4], run.x_t[:4])
    assert not torch.equal(branch.x_t[4:], run.x_t[4:])
    assert branch.spec.origin.parent == run.spec
    assert branch.trajectory[0] is run.trajectory[0]
    many = run.complete(2, 3, sample=1)
    assert torch.equal(many.x_t[2], run.x_t[2, [1, 1, 1]])
    assert len(many.x_t[-1].unique(dim=0)) == 3


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (lambda run: run.branch(2.0, guidance=5.0), "k = 2.0 is not a whole number"),
        (lambda run: run.branch(1, rows=[0.5]), "rows = 0.5 is not a whole number"),
        (lambda run: run.branch(1, sampler="ddpm", seeds=[1.7, 2]), "seeds = 1.7 is not a whole"),
        (lambda run: run.complete(True, 2, sampler="ddpm"), "k = True is not a whole number"),
        (lambda run: run.complete(1, 2.5, sampler="ddpm"), "n = 2.5 is not a whole number"),
        (lambda run: run.resume("1"), "k = '1' is not a whole number"),
    ],
)
def test_what_is_no_whole_number_is_refused_by_its_name(run, asked, said):
    with pytest.raises(InputError, match=said):
        asked(run)


def test_a_loaded_branch_goes_on_with_the_model_it_is_given(run, model, tmp_path):
    branch = run.branch(2, x_t=run.x_t[2] + 1)
    branch.save(tmp_path / "run.dvsession")
    loaded = diffview.load(tmp_path / "run.dvsession")
    with pytest.raises(InputError, match=r"give it with model=.*diffview\.wrap"):
        loaded.branch(3, guidance=1.0)
    assert torch.equal(loaded.resume(1, model=model).x_t, branch.x_t)
    assert loaded.verify(model).equal
    with pytest.raises(InputError, match="is not a model"):
        loaded.verify(model.network)


def test_verify_names_what_differs(run):
    assert run.verify().equal
    other = diffview.wrap(Network(), shape=SHAPE, classes=4, null=4, schedule="linear")
    found = run.verify(other)
    assert (found.equal, found.first.i) == (False, 0)
    assert run.verify(other, tolerance=1e9).equal


def test_a_run_that_broke_off_is_resumed(model):
    network = Network()
    calls = []

    def fails_once(x_t, t, label):
        calls.append(t)
        if len(calls) == 4:
            raise RuntimeError("not now")
        return network(x_t, t, label)

    failing = diffview.wrap(fails_once, shape=SHAPE, classes=4, null=4, schedule="cosine")
    with pytest.raises(diffview.SamplingError) as caught:
        diffview.sample(failing, steps=6, label=1)
    assert len(caught.value.run.x_t) == 3
    whole = caught.value.run.resume()
    assert torch.equal(whole.x_t, diffview.sample(model, steps=6, label=1).x_t)


def test_a_branch_by_a_second_model_remembers_it(run):
    weak = diffview.wrap(lambda x, t: 0.2 * x, shape=SHAPE, schedule="cosine")
    weak.card = replace(weak.card, id="weak")
    branch = run.branch(3, guide=weak, guidance=2.0)
    assert branch.spec.guidance == Guidance("autoguidance", 2.0, "weak")
    assert torch.equal(branch.resume(4).x_t, branch.x_t)
    assert branch.verify().equal


def test_deterministic_completions_are_refused_with_what_to_do(model):
    run = diffview.sample(model, steps=5, seeds=3)
    with pytest.raises(InputError, match=r"all 4 completions would be one.*such as ddpm"):
        run.complete(2, 4)
    assert run.complete(2, 4, options={"eta": 1.0}).x_t.shape == (6, 4, *SHAPE)


def test_a_picture_is_inverted_and_its_noise_starts_another_run(model, tmp_path):
    levels = np.random.default_rng(0).integers(0, 256, (6, 6)).astype(np.uint8)
    Image.fromarray(levels).save(tmp_path / "six.png")
    found = diffview.invert(model, tmp_path / "six.png", steps=20, label=1, guidance=1.0)
    np.testing.assert_allclose(found.picture[0, 0], levels / 127.5 - 1, atol=1e-6)
    assert torch.equal(found.x_t[-1], found.picture)
    assert torch.equal(found.x_T, found.x_t[0])
    assert [one.i for one in found.errors] == list(range(21))
    assert found.errors[0].max_abs == 0
    assert repr(found).startswith("<Inversion of 1 picture by 'wrapped' in 20 steps, back within")
    gap = (found.run.x_t[-1] - found.picture).abs()
    assert found.errors[-1].max_abs == pytest.approx(gap.max().item())
    assert found.errors[-1].mean_abs == pytest.approx(gap.mean().item(), rel=1e-5)
    mse = gap.double().square().mean().item()
    assert found.errors[-1].psnr == pytest.approx(10 * np.log10(4 / mse))
    better = diffview.invert(model, found.picture, steps=20, label=1, guidance=1.0, refine=5)
    assert better.errors[-1].psnr > found.errors[-1].psnr + 10
    other = diffview.sample(model, steps=20, label=2, init_noise=found.x_T)
    assert torch.equal(other.x_t[0], found.x_T)
    assert found.run.verify().equal
    assert found.run.about["inversion"]["refine"] == 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"options": {"eta": 0.5}}, "adds noise, which cannot be inverted"),
        ({"refine": -1}, "refine = -1 is outside 0 to 100"),
        ({"picture": torch.zeros(2, 6, 6)}, r"has shape \(2, 6, 6\), the model takes \(1, 6, 6\)"),
        ({"picture": torch.full(SHAPE, torch.nan)}, "NaN"),
        ({"picture": "nowhere.png"}, "nowhere.png cannot be read"),
        ({"picture": ["a"]}, "numbers"),
    ],
    ids=str,
)
def test_what_cannot_be_inverted_is_refused(model, settings, said):
    with pytest.raises(InputError, match=said):
        diffview.invert(model, **{"picture": torch.zeros(SHAPE), "steps": 3, **settings})
