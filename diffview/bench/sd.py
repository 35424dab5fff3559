"""A Stable Diffusion of realistic shape and random weights: ours beside its own pipeline.

A U-Net of 50 million weights at 32x32 latents, attending to 77 states, guided: both of our runs
and theirs are DDIM on the same latents and the same states; ours keeps every step, theirs none.
Beside it, how long a step of four 64x64 latents takes to be seen through the linear preview.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from importlib import import_module
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diffview.bench.measures import Plan, Reading, reading, skipped
from diffview.bench.race import Racer, of_medians, race
from diffview.engine import schedules
from diffview.engine.spec import RunSpec
from diffview.frames.compose import ViewState, compose
from diffview.frames.lens import previewed
from diffview.models import sampling
from diffview.models.card import ModelCard
from diffview.models.network import NetworkDenoiser
from diffview.models.preview import LinearPreview
from diffview.models.sampling import installed

SIDE, STATES, WIDTH, GAMMA, SEED = 32, 77, 256, 7.5, 0
BLOCKS = (128, 256, 384)
STEPS, ROUNDS = 8, 5
QUICK_STEPS, QUICK_ROUNDS = 2, 1


class States:
    """A text encoder that is not measured: every prompt the same random states, none zeros."""

    def __init__(self, device: torch.device) -> None:
        drawn = torch.randn(1, STATES, WIDTH, generator=torch.Generator().manual_seed(SEED))
        self._states = drawn.to(device)

    def __call__(self, prompts: Sequence[str]) -> Tensor:
        """(B, 77, width)."""
        return self._states.expand(len(prompts), -1, -1)

    def null(self, batch: int) -> Tensor:
        """(B, 77, width)."""
        return torch.zeros_like(self._states).expand(batch, -1, -1)


def measure(plan: Plan) -> Iterator[Reading]:
    """The ratio, and the preview."""
    steps, rounds = (QUICK_STEPS, QUICK_ROUNDS) if plan.quick else (STEPS, ROUNDS)
    if installed("diffusers") and installed("transformers"):
        yield _beside_diffusers(plan, steps, rounds)
    else:
        yield skipped("sd.diffusers", "diffusers is not installed (pip install 'diffview[hf]')")
    yield _preview(rounds)


def _beside_diffusers(plan: Plan, steps: int, rounds: int) -> Reading:
    torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))
    device = sampling.choose_device(plan.device)
    unet = _unet().to(device)
    model = _model(unet, device)
    spec = sampling.spec_for(
        model.card, sampler="ddim", steps=steps, spacing="trailing", prompt="x", guidance=GAMMA
    )
    pipeline = _pipeline(unet)
    racers = {
        "run": partial(_recorded, model, spec),
        "diffusers": partial(_by_pipeline, pipeline, model, spec),
    }
    (run, used), (beside, used_beside) = race(racers, 1, rounds).values()
    theirs, ours = _last(_by_pipeline(pipeline, model, spec)), _last(_recorded(model, spec))
    return Reading(
        "sd.diffusers",
        of_medians(run, beside),
        float((run / beside).min()),
        float((run / beside).max()),
        {
            "device": str(device),
            "parameters": model.card.parameters,
            "steps": steps,
            "rounds": rounds,
            "ms_per_step": round(1e3 * float(np.median(run)) / steps, 1),
            "processor_time_ratio": round(of_medians(used, used_beside), 4),
            "largest_difference": float(f"{np.abs(ours - theirs).max():.2g}"),
        },
    )


def _diffusers() -> Any:
    return import_module("diffusers")


def _unet() -> Any:
    torch.manual_seed(SEED)
    down = ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D")
    up = ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D")
    unet = _diffusers().UNet2DConditionModel(
        sample_size=SIDE,
        block_out_channels=BLOCKS,
        layers_per_block=2,
        down_block_types=down,
        up_block_types=up,
        cross_attention_dim=WIDTH,
        attention_head_dim=8,
    )
    return unet.eval().requires_grad_(False)


def _model(unet: Any, device: torch.device) -> NetworkDenoiser:
    from diffview.models.hf.stable_diffusion import network_of

    card = ModelCard(
        id="sd-of-random-weights",
        title="Stable Diffusion of random weights",
        family="bench",
        data_shape=(4, SIDE, SIDE),
        prediction="eps",
        schedule=schedules.named("scaled_linear"),
        text_tokens=STATES,
        latent=True,
        parameters=sum(p.numel() for p in unet.parameters()),
    )
    return NetworkDenoiser(card, network_of(unet, torch.float32), device, text=States(device))


def _pipeline(unet: Any) -> Any:
    library = _diffusers()
    scheduler = library.DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
        timestep_spacing="trailing", steps_offset=1,
    )  # fmt: skip
    pipeline: Any = library.StableDiffusionPipeline(
        vae=library.AutoencoderKL(), text_encoder=None, tokenizer=None, unet=unet,
        scheduler=scheduler, safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _recorded(model: NetworkDenoiser, spec: RunSpec) -> Iterator[Any]:
    trajectory = sampling.trajectory_for(model.card, spec)
    for _ in sampling.sample_into(trajectory, model):
        pass
    yield trajectory[-1].x_t


def _by_pipeline(pipeline: Any, model: NetworkDenoiser, spec: RunSpec) -> Iterator[Any]:
    start = torch.randn(1, *model.data_shape, generator=torch.Generator().manual_seed(SEED))
    latents = pipeline(
        prompt_embeds=model.encode(["x"]),
        negative_prompt_embeds=model.null_condition(1),
        latents=start.to(model.device),
        num_inference_steps=spec.n_steps,
        guidance_scale=GAMMA,
        output_type="latent",
    ).images
    yield latents.cpu().numpy()


def _last(racer: Racer) -> Any:
    return next(iter(racer))


def _preview(rounds: int) -> Reading:
    """A step of a finished run of four 64x64x4 latents, both panes, at each of 50 steps."""
    rng, shape = np.random.default_rng(SEED), (4, 64, 64)
    card = ModelCard("preview", "", "bench", shape, "x0", schedules.named("scaled_linear"))
    spec = sampling.spec_for(card, sampler="ddim", steps=50, seeds=range(4))
    run = sampling.trajectory_for(card, spec)
    drawn = torch.from_numpy(rng.standard_normal(shape, np.float32))
    model = NetworkDenoiser(card, lambda x, t: drawn.expand_as(x))
    for _ in sampling.sample_into(run, model):
        pass
    weights = tuple(tuple(row) for row in rng.standard_normal((3, 4)).tolist())
    lens = previewed(LinearPreview(weights, (0.0, 0.0, 0.0), 1.0), shape)
    times = []
    for _ in range(rounds):
        for index in range(len(run)):
            start = perf_counter()
            compose(run, ViewState(index), lens)
            times.append(1e3 * (perf_counter() - start))
    return reading("sd.preview", times)
