"""Our samplers on our own loading of a folder, against the family's own pipeline of diffusers.

Both start from the same latents. The pipeline's scheduler is exchanged for each sampler, with the
settings under which it does what its paper says (the trailing grid, ending at alpha = 1).
"""

from __future__ import annotations

import diffusers
import numpy as np
import pytest
import torch

from diffview.errors import InputError
from diffview.models import catalog, sampling

STEPS = 4  # divides 1000, so that diffusers' trailing DDIM moves along its own grid

SCHEDULERS = {
    "ddim": (diffusers.DDIMScheduler, {"set_alpha_to_one": True, "clip_sample": False}),
    "euler": (diffusers.EulerDiscreteScheduler, {}),
    "dpmpp_2m": (diffusers.DPMSolverMultistepScheduler, {}),
}


@pytest.fixture(scope="module")
def opened(pipelines):
    """name -> (pipeline, our model of its folder), opened once."""
    models = {}

    def get(name):
        pipeline, folder = pipelines(name)
        if name not in models:
            models[name] = sampling.open_model(catalog.find(str(folder)), "cpu")
        return pipeline, models[name]

    return get


def ours(model, start, **choices):
    spec = sampling.spec_for(
        model.card, steps=STEPS, seeds=range(len(start)), guidable=model.card.guidable, **choices
    )
    trajectory = sampling.trajectory_for(model.card, spec)
    for _ in sampling.sample_into(trajectory, model, start.numpy()):
        pass
    return trajectory


def noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def close(ours, theirs):
    """Within 1e-5 of the largest value, or of 1: both sides compute in float32."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 1e-5 * max(1.0, np.abs(theirs).max())


def recorded(scheduler):
    """The scheduler, and the list that its estimates of x_0 will go to."""
    estimates, step = [], scheduler.step

    def noting(*args, return_dict=True, **more):
        out = step(*args, return_dict=True, **more)
        estimates.append(getattr(out, "pred_original_sample", None))
        return out if return_dict else (out.prev_sample, estimates[-1])

    scheduler.step = noting
    return scheduler, estimates


def exchanged(pipeline, sampler):
    cls, settings = SCHEDULERS[sampler]
    config = dict(pipeline.scheduler.config) | {"timestep_spacing": "trailing", **settings}
    return cls.from_config({k: v for k, v in config.items() if not k.startswith("_")})


def by_hand(scheduler, network, start, keep=lambda out: None):
    """The loop of every pipeline: scale, ask, step; in the units of x_T = start."""
    scheduler.set_timesteps(STEPS)
    x = start * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        out = network(scheduler.scale_model_input(x, t), t)
        stepped = scheduler.step(out, t, x)
        keep(stepped)
        x = stepped.prev_sample
    return x


def first_state(start, scheduler):
    """What x_T is in our coordinates, where alpha^2 + sigma^2 = 1."""
    scale = float(scheduler.init_noise_sigma)
    return start * scale / (1 + scale**2) ** 0.5 if scale != 1 else start


@pytest.mark.parametrize("sampler", SCHEDULERS)
@pytest.mark.parametrize("name", ["ddim", "classes"])
def test_pixels_equal_diffusers(opened, sampler, name):
    pipeline, model = opened(name)
    scheduler, start = exchanged(pipeline, sampler), noise(2, 3, 16, 16)
    labels = torch.tensor([3, 3]) if name == "classes" else None
    estimates = []
    with torch.no_grad():
        theirs = by_hand(
            scheduler,
            lambda x, t: pipeline.unet(x, t, class_labels=labels).sample,
            start,
            lambda out: estimates.append(getattr(out, "pred_original_sample", None)),
        )
    label = {"label": 3} if name == "classes" else {}
    run = ours(model, first_state(start, scheduler), sampler=sampler, spacing="trailing", **label)
    close(run[STEPS].x_t, theirs)
    if sampler != "dpmpp_2m":
        for i, estimate in enumerate(estimates):
            close(run[i].x0_hat, estimate)


@pytest.mark.parametrize(
    "config",
    [{"prediction_type": "sample"}, {"prediction_type": "v_prediction"},
     {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True},
     {"clip_sample": True, "clip_sample_range": 5.0},
     {"thresholding": True, "prediction_type": "v_prediction"},
     {"thresholding": True, "prediction_type": "v_prediction", "sample_max_value": 1e6}],
    ids=["x0", "v", "v-without-signal", "clipped-at-5", "thresholded-at-1", "thresholded"],
)  # fmt: skip
def test_what_is_predicted_is_read_from_the_configuration(pipelines, edited, config):
    """Also where the first state is noise alone (zero terminal SNR)."""
    folder = edited("scheduler/scheduler_config.json", lambda v: v.update(config), "ddim")
    model = sampling.open_model(catalog.find(str(folder)), "cpu")
    unet, start = pipelines("ddim")[0].unet, noise(1, 3, 16, 16)
    scheduler = diffusers.DDIMScheduler.from_pretrained(folder / "scheduler")
    estimates = []
    with torch.no_grad():
        theirs = by_hand(
            scheduler,
            lambda x, t: unet(x, t).sample,
            start,
            lambda out: estimates.append(out.pred_original_sample),
        )
    run = ours(model, start)
    close(run[STEPS].x_t, theirs)
    for i, estimate in enumerate(estimates):
        close(run[i].x0_hat, estimate)


def test_ddpm_takes_its_schedule_and_clipping_from_its_configuration(opened):
    """The whole of DDPMPipeline, with the noise it drew itself."""
    pipeline, model = opened("ddpm")
    assert dict(model.card.defaults["options"]) == {"clip": "clamp", "rederive_eps": False}
    scheduler = diffusers.DDIMScheduler.from_config(pipeline.scheduler.config)
    assert scheduler.config.clip_sample and scheduler.config.timestep_spacing == "leading"
    start = noise(2, 3, 16, 16)
    with torch.no_grad():
        theirs = by_hand(scheduler, lambda x, t: pipeline.unet(x, t).sample, start)
    run = ours(model, start)
    assert (run.spec.sampler, run.spec.spacing) == ("ddim", "leading")
    close(run[STEPS].x_t, theirs)


@pytest.mark.parametrize("sampler", SCHEDULERS)
def test_latents_and_pictures_of_ldm_equal_diffusers(opened, sampler):
    pipeline, model = opened("ldm")
    scheduler, start = exchanged(pipeline, sampler), noise(2, 3, 8, 8)
    with torch.no_grad():
        theirs = by_hand(scheduler, lambda x, t: pipeline.unet(x, t).sample, start)
        vqvae = pipeline.vqvae
        pictures = vqvae.decode(theirs / vqvae.config.scaling_factor).sample
    run = ours(model, first_state(start, scheduler), sampler=sampler, spacing="trailing")
    close(run[STEPS].x_t, theirs)
    decoded = model.decode(torch.tensor(run[STEPS].x_t))
    assert tuple(decoded.shape[1:]) == model.card.picture_shape == (3, 16, 16)
    close(model.decode(theirs), pictures)


@pytest.mark.parametrize("guidance", [1.0, 4.0])
@pytest.mark.parametrize("sampler", ["ddim", "dpmpp_2m"])
def test_dit_equals_its_pipeline(opened, sampler, guidance):
    pipeline, model = opened("dit")
    assert model.card.classes[7] == "kind 7" and len(model.card.classes) == 1000
    pipeline.scheduler, estimates = recorded(exchanged(pipeline, sampler))
    start = torch.randn((2, 4, 8, 8), generator=torch.manual_seed(5))
    pictures = pipeline([7, 7], guidance, torch.manual_seed(5), STEPS, output_type="np").images
    run = ours(model, start, sampler=sampler, spacing="trailing", label=7, guidance=guidance)
    shown = model.decode(torch.tensor(run[STEPS].x_t)).permute(0, 2, 3, 1)
    close((shown / 2 + 0.5).clamp(0, 1), pictures)
    if sampler == "ddim":
        for record, estimate in zip(run, estimates, strict=False):
            close(record.x0_hat, estimate[:2])


@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_dit_by_euler_equals_diffusers_loop(opened, guidance):
    """By hand: the pipeline itself steps from the input it scaled for the network."""
    pipeline, model = opened("dit")
    scheduler, start = exchanged(pipeline, "euler"), noise(2, 4, 8, 8)

    def guided(x, t):
        labels = torch.tensor([1000, 1000, 7, 7])
        out = pipeline.transformer(torch.cat([x, x]), timestep=t[None], class_labels=labels)
        without, under = out.sample[:, :4].chunk(2)
        return without + guidance * (under - without)

    with torch.no_grad():
        theirs = by_hand(scheduler, guided, start)
    first = first_state(start, scheduler)
    run = ours(model, first, sampler="euler", spacing="trailing", label=7, guidance=guidance)
    close(run[STEPS].x_t, theirs)


TEXT = ["sd", "sd2", "sdxl", "pixart", "pixart_alpha"]


@pytest.mark.parametrize("guidance", [1.0, 4.0])
@pytest.mark.parametrize("sampler", SCHEDULERS)
@pytest.mark.parametrize("name", TEXT)
def test_text_to_latents_equals_the_familys_pipeline(opened, name, sampler, guidance):
    pipeline, model = opened(name)
    scheduler = exchanged(pipeline, sampler)
    pipeline.scheduler, estimates = recorded(scheduler)
    start = noise(2, 4, 8, 8)
    more = {"use_resolution_binning": False} if "pixart" in name else {}
    theirs = pipeline(
        ["a cat", "a cat"], num_inference_steps=STEPS, guidance_scale=guidance,
        latents=start.clone(), output_type="latent", height=16, width=16, **more,
    ).images  # fmt: skip
    run = ours(
        model, first_state(start, scheduler), sampler=sampler, spacing="trailing",
        prompt="a cat", guidance=guidance,
    )  # fmt: skip
    close(run[STEPS].x_t, theirs)
    if sampler != "dpmpp_2m":
        assert len(estimates) == STEPS
        for record, estimate in zip(run, estimates, strict=False):
            close(record.x0_hat, estimate)


@pytest.mark.parametrize("name", TEXT)
def test_negative_prompts_and_pictures_equal_the_familys_pipeline(opened, name):
    pipeline, model = opened(name)
    pipeline.scheduler = exchanged(pipeline, "ddim")
    start = noise(1, 4, 8, 8)
    more = {"use_resolution_binning": False} if "pixart" in name else {}
    theirs = pipeline(
        "a cat", negative_prompt="dog", num_inference_steps=STEPS, guidance_scale=3.0,
        latents=start.clone(), output_type="np", height=16, width=16, **more,
    ).images  # fmt: skip
    run = ours(
        model, start, sampler="ddim", spacing="trailing", prompt="a cat",
        negative_prompt="dog", guidance=3.0,
    )  # fmt: skip
    shown = model.decode(torch.tensor(run[STEPS].x_t)).permute(0, 2, 3, 1)
    close((shown / 2 + 0.5).clamp(0, 1), theirs)


@pytest.mark.parametrize(("name", "part"), [("sd", "vae"), ("ldm", "vqvae")])
def test_an_old_configuration_that_says_nothing_of_its_scale_means_the_usual_one(
    pipelines, edited, name, part
):
    """As those of Stable Diffusion 1 do: diffusers fills in 0.18215."""
    folder = edited(f"{part}/config.json", lambda v: v.pop("scaling_factor"), name)
    entry = catalog.find(str(folder))
    assert "/ 0.18215" in entry.card.decoder
    latents = noise(1, *entry.card.data_shape)
    with torch.no_grad():
        theirs = getattr(pipelines(name)[0], part).decode(latents / 0.18215).sample
    close(sampling.open_model(entry, "cpu").decode(latents), theirs)


@pytest.mark.parametrize(("name", "part"), [("sd", "vae"), ("sd3", "vae"), ("ldm", "vqvae")])
def test_a_picture_is_brought_into_the_latents_that_the_decoder_takes(opened, name, part):
    pipeline, model = opened(name)
    coder = getattr(pipeline, part)
    picture = noise(1, *model.card.picture_shape).clamp(-1, 1)
    with torch.no_grad():
        told = coder.encode(picture)
        z = told.latents if part == "vqvae" else told.latent_dist.mode()
    shift = coder.config.get("shift_factor") or 0
    close(model.latents(picture), (z - shift) * coder.config.scaling_factor)


def test_latents_standardised_by_channel_are_decoded_as_diffusers_says(pipelines, edited):
    """z = latents std / scale + mean, as its pipelines do."""
    mean, std = [0.1, -0.2, 0.3, 0.0], [1.5, 0.5, 2.0, 1.0]
    change = {"latents_mean": mean, "latents_std": std}
    folder = edited("vae/config.json", lambda v: v.update(change), "sd")
    latents, vae = noise(2, 4, 8, 8), pipelines("sd")[0].vae
    column = (torch.tensor(row).view(1, 4, 1, 1) for row in (std, mean))
    z = latents * next(column) / vae.config.scaling_factor + next(column)
    with torch.no_grad():
        theirs = vae.decode(z).sample
    model = sampling.open_model(catalog.find(str(folder)), "cpu")
    close(model.decode(latents), theirs)


def test_two_scales_of_one_decoder_are_told_apart(pipelines, edited):
    """Each has a preview of its own, kept under this hash."""
    other = edited("vae/config.json", lambda v: v.update(scaling_factor=1.0), "sd")
    first, second = (
        sampling.open_model(catalog.find(str(folder)), "cpu").decoder_sha256
        for folder in (pipelines("sd")[1], other)
    )
    assert first != second


@pytest.mark.parametrize("name", ["dit", "pixart"])
def test_a_transformer_under_its_older_class_is_the_same(pipelines, opened, copied, name):
    """Their published folders were written when there was one class for both."""
    folder = copied(name)
    for file in ("model_index.json", "transformer/config.json"):
        text = (folder / file).read_text()
        for newer in ("DiTTransformer2DModel", "PixArtTransformer2DModel"):
            text = text.replace(newer, "Transformer2DModel")
        (folder / file).write_text(text)
    older = sampling.open_model(catalog.find(str(folder)), "cpu")
    start = noise(1, 4, 8, 8)
    asked = {"label": 7} if name == "dit" else {"prompt": "a cat"}
    found, expected = (
        ours(model, start, sampler="ddim", spacing="trailing", guidance=3.0, **asked)
        for model in (older, opened(name)[1])
    )
    close(found[STEPS].x_t, expected[STEPS].x_t)


def test_sdxl_tells_no_prompt_from_an_empty_one(opened):
    _, model = opened("sdxl")
    assert not model.null_condition(1).any()
    assert model.encode([""]).any()


def test_sd3_with_a_shift_of_its_tokens_equals_its_pipeline(pipelines, edited, monkeypatch):
    change = {"use_dynamic_shifting": True}
    folder = edited("scheduler/scheduler_config.json", lambda v: v.update(change), "sd3_short")
    model = sampling.open_model(catalog.find(str(folder)), "cpu")
    pipeline, start = pipelines("sd3_short")[0], noise(1, 4, 8, 8)
    monkeypatch.setattr(pipeline, "scheduler", flow_scheduler(folder))
    theirs = pipeline(
        "a cat", num_inference_steps=STEPS, guidance_scale=1.0, latents=start.clone(),
        output_type="latent", height=16, width=16,
    ).images  # fmt: skip
    run = ours(model, start, prompt="a cat", guidance=1.0)
    close(run[STEPS].x_t, theirs)


@pytest.mark.parametrize("guidance", [1.0, 4.0])
@pytest.mark.parametrize("name", ["sd3", "sd3_short"])
def test_sd3_equals_its_pipeline_by_flow_euler(opened, name, guidance):
    pipeline, model = opened(name)
    start = noise(2, 4, 8, 8)
    theirs = pipeline(
        ["a cat", "a cat"], num_inference_steps=STEPS, guidance_scale=guidance,
        latents=start.clone(), output_type="latent", height=16, width=16,
    ).images  # fmt: skip
    run = ours(model, start, prompt="a cat", guidance=guidance)
    assert run.spec.sampler == "flow_euler"
    close(run[STEPS].x_t, theirs)
    vae = pipeline.vae
    with torch.no_grad():
        pictures = vae.decode(theirs / vae.config.scaling_factor + vae.config.shift_factor).sample
    close(model.decode(theirs), pictures)


def test_the_two_shifts_of_sd3_are_told_and_are_those_of_its_own_sampler_and_spacing(pipelines):
    """Elsewhere diffusers has nothing to be equal to, so no run is refused for them."""
    card = catalog.find(str(pipelines("sd3_short")[1])).card
    assert any("compat=none shifts once" in note for note in card.notes)
    asked = {"prompt": "a cat", "guidable": True}
    assert sampling.spec_for(card, **asked).option("compat") == "diffusers"
    for other in ({"spacing": "trailing"}, {"sampler": "ddim"}, {"options": {"compat": "none"}}):
        assert sampling.spec_for(card, **asked, **other).option("compat") == "none"


def flow_scheduler(folder):
    return diffusers.FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler")


FLOWS = {
    "as published with dev": {},
    "as published with schnell": {"shift": 1.0, "use_dynamic_shifting": False},
    "a shift that stays": {"shift": 3.0, "use_dynamic_shifting": False},
    "linear": {"time_shift_type": "linear"},
}


@pytest.mark.parametrize("change", FLOWS.values(), ids=FLOWS)
@pytest.mark.parametrize("name", ["flux", "schnell"])
def test_flux_equals_its_pipeline(pipelines, edited, monkeypatch, name, change):
    pipeline = pipelines(name)[0]
    folder = edited("scheduler/scheduler_config.json", lambda v: v.update(change), name)
    model = sampling.open_model(catalog.find(str(folder)), "cpu")
    monkeypatch.setattr(pipeline, "scheduler", flow_scheduler(folder))
    assert model.card.data_shape == (4, 8, 8)
    start = noise(2, 4, 8, 8)
    theirs = pipeline(
        ["a cat", "a cat"], num_inference_steps=STEPS, guidance_scale=3.5, height=16, width=16,
        latents=pipeline._pack_latents(start, 2, 4, 8, 8), output_type="latent",
    ).images  # fmt: skip
    run = ours(model, start, prompt="a cat")
    assert (run.spec.sampler, run.spec.spacing) == ("flow_euler", "trailing")
    assert run.nfe == STEPS, "its guidance is distilled: one evaluation a step"
    close(run[STEPS].x_t, pipeline._unpack_latents(theirs, 16, 16, 2))


@pytest.mark.parametrize("true_cfg", [1.0, 2.0])
def test_the_distilled_scale_of_flux_is_an_option(opened, true_cfg):
    """Of the estimates with the prompt and without one alike."""
    pipeline, model = opened("flux")
    start = noise(1, 4, 8, 8)
    theirs = pipeline(
        "a cat", negative_prompt="", true_cfg_scale=true_cfg, num_inference_steps=STEPS,
        guidance_scale=8.0, height=16, width=16, output_type="latent",
        latents=pipeline._pack_latents(start, 1, 4, 8, 8),
    ).images  # fmt: skip
    asked = {"guidance": true_cfg} if true_cfg > 1 else {}
    run = ours(model, start, prompt="a cat", options={"distilled_scale": 8.0}, **asked)
    close(run[STEPS].x_t, pipeline._unpack_latents(theirs, 16, 16, 2))


def test_a_scale_is_refused_where_none_was_taught(opened):
    with pytest.raises(InputError, match="distilled_scale: this model was taught no scale"):
        ours(opened("schnell")[1], noise(1, 4, 8, 8), options={"distilled_scale": 8.0})


def test_true_guidance_of_flux_equals_its_pipeline(opened):
    pipeline, model = opened("flux")
    start = noise(1, 4, 8, 8)
    theirs = pipeline(
        "a cat", negative_prompt="dog", true_cfg_scale=2.0, num_inference_steps=STEPS,
        guidance_scale=3.5, height=16, width=16, output_type="latent",
        latents=pipeline._pack_latents(start, 1, 4, 8, 8),
    ).images  # fmt: skip
    run = ours(model, start, prompt="a cat", negative_prompt="dog", guidance=2.0)
    close(run[STEPS].x_t, pipeline._unpack_latents(theirs, 16, 16, 2))
