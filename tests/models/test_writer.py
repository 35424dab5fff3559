"""Models that write token by token, in files: opened, run, shown, replayed, branched, refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import diffview
from diffview import tensorfile
from diffview.engine import session
from diffview.engine.next_token import NOT_YET, predicts_next, probabilities
from diffview.errors import DiffviewError, InputError
from diffview.models import branching, catalog, families, replaying, sampling
from diffview.models.card import from_json


@pytest.fixture
def text(writers):
    return diffview.open(writers / "text.safetensors", device="cpu")


@pytest.fixture
def pixel(writers):
    return diffview.open(writers / "pixel.safetensors", device="cpu")


def sampled(model, **choices):
    asked = {"prompt": "red apple"} if model.card.takes_text else {"label": "Sneaker"}
    return diffview.sample(model, **{"seeds": "0-2", **asked, **choices})


def test_its_card_says_what_it_writes(text, pixel):
    assert (text.card.tokens, text.card.codes, text.card.shown_shape) == (16, 12, (3, 16, 16))
    assert (pixel.card.tokens, pixel.card.codes, pixel.card.shown_shape) == (25, 8, (1, 5, 5))
    assert predicts_next(text)
    assert text.card.samples
    assert text.card.coded
    assert pixel.card.coded


def test_a_run_takes_its_model_s_own_settings(text, pixel):
    for model, gamma in ((text, 3.0), (pixel, 1.0)):
        run = sampled(model)
        assert run.spec.sampler == "autoregressive"
        assert run.spec.n_steps == model.card.tokens
        assert run.spec.guidance.scale == gamma
        assert run.nfe == 2 * model.card.tokens
        assert run.x_t.shape == (model.card.tokens + 1, 3, *model.data_shape)
        assert run.x_t[-1].min() >= 0
        assert run.x_t[-1].max() < model.codes


def test_what_was_recorded_is_what_the_whole_network_says_of_the_picture(text, pixel):
    numbers = text.encode(["red apple"])
    run = sampled(text, seeds=[4])
    tokens = run.x_t[-1].flatten(1).long()
    whole = text.network(tokens[:, :-1], numbers)[0]
    none = text.network(tokens[:, :-1], text.null_condition(1))[0]
    np.testing.assert_allclose(run.base[:-1, 0], none, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(run.direction[:-1, 0], whole - none, rtol=1e-3, atol=1e-4)

    run = sampled(pixel, guidance=1.0, seeds=[4])
    levels = run.x_t[-1, :, 0].long()
    whole = pixel.network(levels, torch.tensor([1])).flatten(2)[0].T
    said = run.base + run.direction
    np.testing.assert_allclose(said[:-1, 0], whole, rtol=1e-3, atol=1e-4)


def test_temperature_and_top_k_are_heard(text):
    run = sampled(text, seeds="0-19", options={"top_k": 2, "temperature": 0.5})
    for record in list(run.trajectory)[:-1]:
        logits = record.base + np.float32(3.0) * record.direction
        rank = (logits > np.take_along_axis(logits, record.written.chosen[:, -1:], 1)).sum(1)
        assert (rank < 2).all()
        expected = np.take_along_axis(
            probabilities(logits, 0.5, 2), record.written.chosen[:, -1:], 1
        )
        np.testing.assert_allclose(record.written.probability[:, -1:], expected, rtol=1e-5)


def test_a_sample_is_the_same_in_any_batch(text, pixel):
    for model in (text, pixel):
        together = sampled(model, seeds=[7, 1, 3])
        alone = sampled(model, seeds=[1])
        assert torch.equal(together.x_t[:, 1], alone.x_t[:, 0])


def test_each_sample_has_its_own_prompt_and_unknown_words_are_none(text):
    run = sampled(text, prompt=["cat", "zebra"], seeds=[5, 5], guidance=1.0)
    alone = sampled(text, prompt="cat", seeds=[5], guidance=1.0)
    assert torch.equal(run.x_t[:, 0], alone.x_t[:, 0])
    np.testing.assert_array_equal(run.direction[0, 1], 0)


def test_a_picture_is_shown_as_far_as_it_is_written(text, pixel):
    for model in (text, pixel):
        run = sampled(model)
        half = model.card.tokens // 2
        whole, part = model.decode(run.x_t[-1]), model.decode(run.x_t[half])
        assert whole.shape == (3, *model.card.shown_shape)
        missing = (run.x_t[half] == NOT_YET).all(0)[0].numpy()
        factor = model.card.shown_shape[-1] // model.card.data_shape[-1]
        missing = missing.repeat(factor, 0).repeat(factor, 1)
        assert (part.numpy()[..., missing] == 0).all()
        assert whole.abs().max() <= 1
    levels = run.x_t[-1]
    np.testing.assert_allclose(whole, levels / 7 * 2 - 1, rtol=1e-6)


def test_tokens_are_shown_by_the_tokenizer_that_is_named(text, writers):
    tokenizer = families.load(catalog.find(str(writers / "tokens.safetensors")))
    tokens = torch.randint(0, 12, (2, 1, 4, 4), generator=torch.Generator().manual_seed(0))
    expected = tokenizer.decode(tokenizer.codes_at(tokens[:, 0])).clamp(-1, 1)
    torch.testing.assert_close(text.decode(tokens.float()), expected)
    with pytest.raises(DiffviewError, match="token 12 is none of 0 to 11"):
        text.decode(torch.full((1, 1, 4, 4), 12.0))


def test_a_saved_run_replays_to_the_last_bit(text, pixel, tmp_path):
    for model in (text, pixel):
        run = sampled(model, options={"temperature": 0.9})
        run.save(tmp_path / f"{model.card.id}.dvsession")
        again, about = session.load(tmp_path / f"{model.card.id}.dvsession")
        found = [gap for _, gaps in replaying.compared(again, about, model) for gap in gaps]
        assert found
        assert replaying.verdict(found).largest == 0


def continued(branch, model):
    list(branching.continue_into(branch, model))
    return branch.trajectory


def test_a_run_branches_off_with_another_prompt_and_replays(text, tmp_path):
    run = sampled(text).trajectory
    branch = continued(
        branching.branch(run, text.card, 6, prompt="green cat", options={"temperature": 0.5}), text
    )
    for i in range(6):
        assert branch[i] is run[i]
    np.testing.assert_array_equal(branch[6].x_t, run[6].x_t)
    np.testing.assert_array_equal(branch[-1].written.entropy[:, :6], run[5].written.entropy)
    assert not np.array_equal(branch[-1].x_t, run[-1].x_t)
    session.save(branch, tmp_path / "branch.dvsession")
    again, about = session.load(tmp_path / "branch.dvsession")
    found = [gap for _, gaps in replaying.compared(again, about, text) for gap in gaps]
    assert replaying.verdict(found).largest == 0


def test_half_a_picture_is_completed_several_times(pixel):
    run = sampled(pixel).trajectory
    done = continued(branching.complete(run, pixel.card, 12, 3, sample=1), pixel)
    ends = done[-1].x_t.reshape(3, -1)
    np.testing.assert_array_equal(ends[:, :12], run[12].x_t.reshape(3, -1)[[1, 1, 1], :12])
    np.testing.assert_array_equal(ends[0], run[-1].x_t.reshape(3, -1)[1])
    assert len(np.unique(ends, axis=0)) == 3
    with pytest.raises(InputError, match="leaves nothing to chance after step 12, so all 3"):
        branching.complete(run, pixel.card, 12, 3, options={"temperature": 0})


@pytest.mark.parametrize(
    ("choices", "reason"),
    [
        ({"sampler": "ddim"}, "no noise that sampler 'ddim' could remove: choose autoregressive"),
        ({"steps": 50}, "writes 16 tokens, one a step: choose 16 steps"),
        ({"spacing": "karras"}, "there is no spacing to choose"),
        ({"options": {"eta": 0.5}}, "has no option 'eta' .*; it has temperature, top_k"),
        ({"options": {"temperature": -1}}, "temperature = -1 is outside 0 to 10"),
        ({"options": {"top_k": 2, "temperature": 0}}, "top_k: at temperature 0"),
        ({"init_noise": np.zeros((3, 1, 4, 4))}, "begins with nothing"),
        ({"label": 3, "prompt": None}, "has no classes"),
        ({"curve": [(0, 1)]}, "a guidance curve goes by the noise"),
    ],
)
def test_what_makes_no_sense_is_refused(text, choices, reason):
    with pytest.raises(InputError, match=reason):
        sampled(text, **choices)


def test_a_sampler_of_tokens_is_refused_for_a_model_of_noise():
    with pytest.raises(InputError, match="for models that predict the next token"):
        sampling.spec_for(catalog.find("fashion").card, sampler="autoregressive")


def test_noise_from_a_file_is_refused_before_it_is_read(text, tmp_path):
    spec = sampling.spec_for(text.card)
    with pytest.raises(InputError, match="begins with nothing"):
        sampling.read_init_noise(tmp_path / "none.safetensors", spec, text.card)


def test_a_small_budget_keeps_fewer_steps(text):
    run = sampled(text)
    with pytest.warns(UserWarning, match="one step in 2 is kept"):
        fewer = sampled(text, budget=run.trajectory.nbytes // 2 + 4000)
    assert torch.equal(fewer.x_t[-1], run.x_t[-1])
    last = fewer.trajectory[-1].written
    np.testing.assert_array_equal(last.entropy, run.trajectory[-1].written.entropy)


@pytest.fixture
def changed(writers, tmp_path):
    """The text model's file with its card or configuration changed."""

    def write(name="text", *, card=None, config=None):
        path = writers / f"{name}.safetensors"
        metadata = dict(tensorfile.read_header(path).metadata)
        told = from_json(json.loads(metadata["diffview.card"]))
        metadata["diffview.card"] = json.dumps(replace(told, **(card or {})).to_json())
        known = json.loads(metadata["diffview.config"])
        metadata["diffview.config"] = json.dumps(known | (config or {}))
        target = tmp_path / "changed.safetensors"
        tensorfile.write_numpy(target, tensorfile.read_numpy(path), metadata)
        return target

    return write


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"card": {"value_range": (0.0, 9.0)}}, "tells of 10 codes"),
        ({"card": {"vocabulary": ("red",)}}, "1 words"),
        ({"card": {"picture_shape": (3, 8, 8)}}, "tells of 12 codes, 4 words and pictures"),
        ({"card": {"data_shape": (1, 5, 5)}}, "its network is for"),
        ({"config": {"codebook": "0" * 64}}, "another codebook"),
        ({"config": {"tokenizer": "nowhere.safetensors"}}, "nowhere.safetensors"),
        ({"config": {"layers": 3}}, "is missing"),
        ({"config": {"grid": "x"}}, "configuration is damaged"),
    ],
)
def test_a_file_that_does_not_agree_with_itself_is_refused(changed, change, reason):
    with pytest.raises(InputError, match=reason) as error:
        diffview.open(changed(**change), device="cpu")
    assert "changed.safetensors" in str(error.value)


def test_a_pixel_model_of_other_levels_than_its_card_s_is_refused(changed):
    with pytest.raises(InputError, match="10 grey levels, its network has 8"):
        diffview.open(changed("pixel", card={"value_range": (0.0, 9.0)}), device="cpu")
