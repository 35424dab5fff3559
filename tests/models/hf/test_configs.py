"""Configurations that are odd or hostile: refused in our words, or read as diffusers does."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch

from diffview.engine import finishing
from diffview.engine.schedules import Discrete
from diffview.errors import InputError
from diffview.models import hf
from diffview.models.hf import build, cards, decoders, folder, schedule, weights
from diffview.models.hf.folder import Part

WRONG = [
    [], [1, "x"], [[]], {}, {"a": 1}, "x", "", float("nan"), float("inf"), -1, 0, 1.5, 10**12,
    10**30, True, None,
]  # fmt: skip


class Noting(dict):
    """A configuration that knows which of its keys were asked for."""

    def __init__(self, config):
        super().__init__(config)
        self.asked = set()

    def get(self, key, default=None):
        self.asked.add(key)
        return super().get(key, default)

    def __getitem__(self, key):
        self.asked.add(key)
        return super().__getitem__(key)

    def __contains__(self, key):
        self.asked.add(key)
        return super().__contains__(key)


def changed(read, part, key, value):
    config = {**part.config, key: value}
    if value is None:
        del config[key]
    folder.check_config(config, part.path)
    return replace(read, parts={**read.parts, part.name: replace(part, config=config)})


def only_input_errors(what, call):
    try:
        return call()
    except InputError:
        return None
    except Exception as error:
        raise AssertionError(f"{what} gives {type(error).__name__}: {error}") from error


SCHEDULERS_OF = ("ddpm", "sd", "flux")
PIPELINES = ["ddpm", "classes", "ldm", "dit", "sd", "sdxl", "pixart", "sd3", "flux"]


@pytest.mark.parametrize("name", PIPELINES)
def test_a_wrong_value_of_any_key_that_is_read_is_refused_or_read(pipelines, name, monkeypatch):
    """Of every key that describing a folder asks for: an InputError, or a card."""
    read = folder.read(pipelines(name)[1], hf.FAMILIES)
    found = {part: weights.find(p) for part, p in read.parts.items() if p.cls in cards.BUILT}
    monkeypatch.setattr(weights, "find", lambda part: found[part.name])
    monkeypatch.setattr(cards, "_hash", lambda held: "")
    describe = hf._family(read).describe
    parts = {n: replace(p, config=Noting(p.config)) for n, p in read.parts.items()}
    settings = Noting(read.settings)
    describe(replace(read, parts=parts, settings=settings))
    asked = {(part, key) for part in parts for key in parts[part].config.asked}
    assert {("scheduler", "num_train_timesteps"), ("scheduler", "shift")} & asked
    if name not in SCHEDULERS_OF:  # one of each kind is enough
        asked = {(part, key) for part, key in asked if part != "scheduler"}
    for part, key in sorted(asked):
        for value in WRONG:
            card = only_input_errors(
                f"{part}: {key} = {value!r}",
                lambda: describe(changed(read, read.part(part), key, value)),  # noqa: B023
            )
            assert card is None or card.to_json()
    for key in settings.asked:
        for value in WRONG:
            other = replace(read, settings={**read.settings, key: value})
            only_input_errors(f"{key} = {value!r}", lambda: describe(other))  # noqa: B023


BUILDS = [
    ("unet", "block_out_channels"),
    ("unet", "attention_head_dim"),
    ("vae", "layers_per_block"),
    ("text_encoder", "hidden_size"),
    ("text_encoder", "max_position_embeddings"),
]


@pytest.mark.parametrize(("name", "key"), BUILDS)
def test_a_network_of_wrong_settings_is_refused_or_built_and_nothing_else(pipelines, name, key):
    read = folder.read(pipelines("sd")[1], hf.FAMILIES)
    part = read.part(name)
    place = build.Place(torch.device("cpu"), torch.float32)
    for value in WRONG:
        what = f"{name}: {key} = {value!r}"
        only_input_errors(
            what,
            lambda: build.build(changed(read, part, key, value).part(name), place),  # noqa: B023
        )


def scheduler(cls, **config):
    return Part("scheduler", cls, Path("scheduler"), config)


def made(cls):
    if cls == "LMSDiscreteScheduler":
        pytest.importorskip("scipy")
    return getattr(diffusers, cls)()


DISCRETE = [name for name in schedule.SAMPLERS if not name.startswith("FlowMatch")]


@pytest.mark.parametrize("cls", DISCRETE)
def test_a_scheduler_that_says_nothing_has_the_noise_of_its_class(cls):
    theirs = made(cls)
    found = schedule.read(scheduler(cls), latent=True)
    ours = [found.schedule.level(t).alphas_cumprod for t in range(found.schedule.T)]
    assert isinstance(found.schedule, Discrete) and found.prediction == "eps"
    np.testing.assert_allclose(ours, theirs.alphas_cumprod, rtol=2e-5)
    assert found.spacing == getattr(theirs.config, "timestep_spacing", "linspace")


@pytest.mark.parametrize(
    ("cls", "setting"),
    [
        ("DPMSolverMultistepScheduler", {"solver_order": 3}),
        ("DPMSolverMultistepScheduler", {"solver_type": "heun"}),
        ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver"}),
        ("DPMSolverMultistepScheduler", {"use_lu_lambdas": True}),
        ("DPMSolverMultistepScheduler", {"final_sigmas_type": "sigma_min"}),
        ("EulerDiscreteScheduler", {"use_beta_sigmas": True}),
        ("EulerDiscreteScheduler", {"sigma_min": 0.1}),
        ("EulerDiscreteScheduler", {"interpolation_type": "log_linear"}),
        ("EulerDiscreteScheduler", {"timestep_type": "continuous"}),
        ("UniPCMultistepScheduler", {"predict_x0": False}),
        ("FlowMatchEulerDiscreteScheduler", {"shift_terminal": 0.1}),
        ("FlowMatchEulerDiscreteScheduler", {"stochastic_sampling": True}),
    ],
)
def test_a_setting_that_is_not_followed_is_told(cls, setting):
    ((key, value),) = setting.items()
    assert f"{key} = {value!r} is set and is not reproduced" in (
        schedule.read(scheduler(cls, **setting), latent=True).notes
    )


@pytest.mark.parametrize("cls", schedule.SAMPLERS)
def test_what_a_class_does_by_itself_needs_no_note(cls):
    """Beyond what is unusual here: settings written out as diffusers writes them."""
    config = {k: v for k, v in made(cls).config.items() if not k.startswith("_")}
    notes = schedule.read(scheduler(cls, **config), latent=False).notes
    assert not [note for note in notes if "is not reproduced" in note], notes


def test_a_solver_told_to_take_a_flows_times_has_its_shift():
    config = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0}
    found = schedule.read(scheduler("DPMSolverMultistepScheduler", **config), latent=True)
    assert (found.schedule.name, found.schedule.shift) == ("flow", 3.0)
    assert (found.sampler, found.spacing) == ("flow_euler", "trailing")
    assert "DPMSolverMultistepScheduler has no counterpart for flows" in "; ".join(found.notes)


def knows(cls, setting):
    return setting in inspect.signature(getattr(diffusers, cls).__init__).parameters


THRESHOLD = [cls for cls in DISCRETE if knows(cls, "thresholding")]


@pytest.mark.parametrize("most", [1.0, 1.5, None])
@pytest.mark.parametrize("cls", THRESHOLD)
def test_thresholding_is_that_of_the_scheduler_whose_largest_divisor_is_bounded(cls, most):
    """Nothing of x0 lies so far out that s would reach 1.5; bounded at 1 it is a clamp."""
    config = {"thresholding": True, "dynamic_thresholding_ratio": 0.8}
    config |= {} if most is None else {"sample_max_value": most}
    x0 = 1.2 * torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)).clip(-2, 2)
    x0 = x0.sign() * x0.abs().clip(max=1.45)
    expected = getattr(diffusers, cls)(**config)._threshold_sample(x0)
    found = schedule.read(scheduler(cls, **config), latent=False)
    how = finishing.Finish(clip=found.options["clip"], threshold=found.options.get("threshold", 1))
    torch.testing.assert_close(finishing.clipped(x0, how), expected, rtol=1e-6, atol=1e-6)
    assert found.options["rederive_eps"] is False
    bounded = [note for note in found.notes if "sample_max_value" in note]
    assert bool(bounded) == (most == 1.5 and bool(schedule.SAMPLERS[cls]))


@pytest.mark.parametrize("most", [0.5, 1.5])
def test_a_divisor_that_is_bounded_elsewhere_than_at_one_is_told_of(most):
    config = {"thresholding": True, "sample_max_value": most}
    [note] = schedule.read(scheduler("DDIMScheduler", **config), latent=False).notes
    assert f"sample_max_value = {most} is not reproduced" in note


def test_a_class_without_thresholding_or_clipping_does_neither():
    """diffusers hands settings of another scheduler on, and the class does not look at them."""
    for cls in set(DISCRETE) - set(THRESHOLD):
        config = {"thresholding": True}
        assert "clip" not in schedule.read(scheduler(cls, **config), latent=False).options
    for cls in DISCRETE:
        found = schedule.read(scheduler(cls, clip_sample=True), latent=False).options
        assert ("clip" in found) == knows(cls, "clip_sample"), cls


@pytest.mark.parametrize(
    "config",
    [
        {"clip_sample": True, "clip_sample_range": 2e6},
        {"thresholding": True, "dynamic_thresholding_ratio": 7.0},
        {"thresholding": True, "dynamic_thresholding_ratio": 0.4, "sample_max_value": 2.0},
    ],
)
def test_a_range_or_a_quantile_that_no_run_could_have_is_refused(config):
    with pytest.raises(
        InputError, match=r"scheduler_config.json: (dynamic|clip_sample).* is out of"
    ):
        schedule.read(scheduler("DDIMScheduler", **config), latent=False)


def test_the_large_variance_is_an_option_of_ddpm():
    found = schedule.read(scheduler("DDPMScheduler", variance_type="fixed_large"), latent=True)
    assert found.options == {"variance": "large"}


@pytest.mark.parametrize(
    ("name", "setting", "words"),
    [
        ("sd", {"time_cond_proj_dim": 256}, "its guidance as a number .it is a latent consist"),
        ("sd", {"class_embed_type": "timestep"}, r"a condition beside its prompt \(timestep\)"),
        ("sd", {"num_class_embeds": 1000}, "a class beside its prompt"),
        ("sd", {"encoder_hid_dim_type": "image_proj"}, r"another encoder's states \(image_proj"),
        ("sd", {"addition_embed_type": "text"}, "addition_embed_type is 'text', this family's is"),
        ("sd", {"attention_type": "gated"}, "attention_type 'gated' wants places"),
        ("sdxl", {"addition_embed_type": "text_image"}, "this family's is 'text_time'"),
        ("sdxl", {"time_cond_proj_dim": 256}, "latent consistency model"),
        ("ddpm", {"class_embed_type": "timestep"}, "wants another condition than a class"),
        ("ddpm", {"class_embed_type": "identity"}, "wants another condition than a class"),
        ("ldm", {"num_class_embeds": 7}, "wants a class, and an LDMPipeline gives it none"),
    ],
)
def test_a_u_net_that_wants_more_than_it_is_given_is_refused(edited, name, setting, words):
    where = edited("unet/config.json", lambda v: v.update(setting), name)
    with pytest.raises(InputError, match=words) as info:
        hf.card(where)
    assert "unet" in str(info.value)


@pytest.mark.parametrize("key", ["latents_mean", "latents_std"])
@pytest.mark.parametrize("value", [[1.0], "x", 1.0, [1, 1, 1, "x"], [1, 1, 1, float("nan")], {}])
def test_numbers_by_channel_that_are_none_are_refused(pipelines, key, value):
    vae = folder.read(pipelines("sd")[1], hf.FAMILIES).part("vae")
    config = {**vae.config, "latents_mean": [0.0] * 4, "latents_std": [1.0] * 4, key: value}
    with pytest.raises(InputError, match=f"{key} is no number for each of 4 channels"):
        decoders.Autoencoder(
            replace(vae, config=config), build.Place(torch.device("cpu"), torch.float32)
        )
