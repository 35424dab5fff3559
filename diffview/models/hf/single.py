"""One .safetensors file of a whole Stable Diffusion 1.x, 2.x or XL, as it is passed around.

Such a file holds tensors and no configurations, so those are written here, from the papers' and
the code's own numbers (Rombach et al. 2022; Podell et al. 2023, arXiv 2307.01952, table 1). Which
of them it is, the shapes of its tensors say. What a 2.x predicts they do not: the file's metadata
must, or a NAME.json beside it ({"prediction_type": "v_prediction"}, or any other entry of a
scheduler's configuration), which beats what the file says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from diffview import tensorfile
from diffview.errors import InputError
from diffview.models.hf import ldm_names
from diffview.models.hf.folder import Folder, Part, check_config, json_object
from diffview.models.hf.ldm_names import Stored
from diffview.tensorfile import Header

UNET, VAE = "model.diffusion_model.", "first_stage_model."
CROSS = UNET + "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
FIRST = UNET + "input_blocks.0.0.weight"
NETWORKS = {"unet": "UNet2DConditionModel", "vae": "AutoencoderKL"}
WIDTHS = {768: "1", 1024: "2"}


@dataclass(frozen=True)
class Kind:
    """A version: its pipeline, the configurations of its parts, the prefixes of its text models.

    texts: part -> (class, prefix, whether in OpenCLIP's form); pads: tokenizer -> its padding.
    """

    title: str
    pipeline: str
    configs: Mapping[str, Mapping[str, Any]]
    texts: Mapping[str, tuple[str, str, bool]]
    pads: Mapping[str, str]
    scheduler: str


def _unet_config(**more: Any) -> dict[str, Any]:
    return {
        "in_channels": 4,
        "out_channels": 4,
        "sample_size": 64,
        "block_out_channels": [320, 640, 1280, 1280],
        "layers_per_block": 2,
        "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
        "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
        "cross_attention_dim": 768,
        "attention_head_dim": 8,
        **more,
    }


def _vae_config(**more: Any) -> dict[str, Any]:
    return {
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": 4,
        "block_out_channels": [128, 256, 512, 512],
        "layers_per_block": 2,
        "down_block_types": ["DownEncoderBlock2D"] * 4,
        "up_block_types": ["UpDecoderBlock2D"] * 4,
        "norm_num_groups": 32,
        "sample_size": 512,
        "scaling_factor": 0.18215,
        **more,
    }


def _text_config(width: int, layers: int, heads: int, act: str, **more: Any) -> dict[str, Any]:
    return {
        "vocab_size": 49408,
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "max_position_embeddings": 77,
        "hidden_act": act,
        "projection_dim": width,
        "bos_token_id": 49406,
        "eos_token_id": 49407,
        **more,
    }


SCHEDULER = {
    "num_train_timesteps": 1000,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "clip_sample": False,
    "steps_offset": 1,
    "timestep_spacing": "leading",
    "prediction_type": "epsilon",
}
TOLD_BESIDE = frozenset(
    {*SCHEDULER, "trained_betas", "rescale_betas_zero_snr", "set_alpha_to_one"}
)
"""What a JSON beside a file can say of its schedule."""
CLIP_L = _text_config(768, 12, 12, "quick_gelu")
LIKE_SD = "cond_stage_model."
LIKE_XL = "conditioner.embedders."

KINDS = {
    "1": Kind(
        "Stable Diffusion 1",
        "StableDiffusionPipeline",
        {"unet": _unet_config(), "vae": _vae_config(), "text_encoder": CLIP_L},
        {"text_encoder": ("CLIPTextModel", LIKE_SD + "transformer.", False)},
        {"tokenizer": "<|endoftext|>"},
        "DDIMScheduler",
    ),
    "2": Kind(
        "Stable Diffusion 2",
        "StableDiffusionPipeline",
        {
            "unet": _unet_config(
                cross_attention_dim=1024,
                attention_head_dim=[5, 10, 20, 20],
                use_linear_projection=True,
            ),
            "vae": _vae_config(),
            "text_encoder": _text_config(1024, 23, 16, "gelu"),
        },
        {"text_encoder": ("CLIPTextModel", LIKE_SD + "model.", True)},
        {"tokenizer": "!"},
        "DDIMScheduler",
    ),
    "xl": Kind(
        "Stable Diffusion XL",
        "StableDiffusionXLPipeline",
        {
            "unet": _unet_config(
                sample_size=128,
                block_out_channels=[320, 640, 1280],
                down_block_types=["DownBlock2D"] + ["CrossAttnDownBlock2D"] * 2,
                up_block_types=["CrossAttnUpBlock2D"] * 2 + ["UpBlock2D"],
                cross_attention_dim=2048,
                attention_head_dim=[5, 10, 20],
                transformer_layers_per_block=[1, 2, 10],
                use_linear_projection=True,
                addition_embed_type="text_time",
                addition_time_embed_dim=256,
                projection_class_embeddings_input_dim=2816,
            ),
            "vae": _vae_config(sample_size=1024, scaling_factor=0.13025, force_upcast=True),
            "text_encoder": CLIP_L,
            "text_encoder_2": _text_config(1280, 32, 20, "gelu"),
        },
        {
            "text_encoder": ("CLIPTextModel", LIKE_XL + "0.transformer.", False),
            "text_encoder_2": ("CLIPTextModelWithProjection", LIKE_XL + "1.model.", True),
        },
        {"tokenizer": "<|endoftext|>", "tokenizer_2": "!"},
        "EulerDiscreteScheduler",
    ),
}


def holds_one(header: Header) -> bool:
    """Whether a file's tensors are those of a Stable Diffusion."""
    return FIRST in header.tensors


def read(path: Path) -> Folder:
    """The file as if it were a folder. Raises InputError for a version that is not known here."""
    header = tensorfile.read_header(path)
    kind = KINDS[_version(path, header)]
    scheduler, notes = _scheduler(path, header, kind)
    configs = {name: dict(config) for name, config in kind.configs.items()}
    if kind is KINDS["2"] and scheduler["prediction_type"] == "v_prediction":
        # Trained on 768 pixels a side, where the others are on 512.
        configs["unet"]["sample_size"] = configs["unet"]["sample_size"] * 3 // 2
    parts = {"scheduler": Part("scheduler", kind.scheduler, path, scheduler, inside=path)}
    for name, cls in NETWORKS.items() | {(name, text[0]) for name, text in kind.texts.items()}:
        stored = partial(stored_as, kind, name)
        if not any(tensor.startswith(stored("").name) for tensor in header.tensors):
            raise InputError(
                f"{path} has no {name} ({stored('').name}...): a single file needs all of "
                f"{', '.join(configs)}"
            )
        parts[name] = Part(name, cls, path, configs[name], inside=path, stored=stored)
    for name, pad in kind.pads.items():
        parts[name] = Part(name, "CLIPTokenizer", path, {"pad_token": pad}, inside=path)
    settings = {"force_zeros_for_empty_prompt": True} if kind is KINDS["xl"] else {}
    notes = [f"a single file of {kind.title}: its configuration is the usual one", *notes]
    return Folder(path, kind.pipeline, parts, settings, tuple(notes))


def stored_as(kind: Kind, part: str, name: str) -> Stored:
    """What the file calls a tensor of a part; of "", what all tensors of it begin with."""
    if part in kind.texts:
        _, prefix, is_open = kind.texts[part]
        rename = ldm_names.open_clip if is_open else ldm_names.clip
        found = rename(name) if name else Stored("")
        return replace(found, name=prefix + found.name)
    config = kind.configs[part]
    if part == "unet":
        found = ldm_names.unet(name, config["layers_per_block"], config["up_block_types"])
        return Stored(UNET + found.name)
    return Stored(VAE + ldm_names.vae(name, len(config["block_out_channels"])).name)


def _version(path: Path, header: Header) -> str:
    taken = header.tensors[FIRST].shape[1] if len(header.tensors[FIRST].shape) > 1 else 0
    if taken != 4:
        raise InputError(
            f"{path} takes {taken} channels: models for inpainting, depth or editing, which want "
            "another picture, are not opened"
        )
    if any(name.startswith(LIKE_XL + "1.model.") for name in header.tensors):
        return "xl"
    width = header.tensors[CROSS].shape[-1] if CROSS in header.tensors else 0
    if width not in WIDTHS:
        raise InputError(
            f"{path} is of a latent diffusion that is not known here (it attends to vectors of "
            f"{width}); known are Stable Diffusion 1.x, 2.x and XL"
        )
    return WIDTHS[width]


def _scheduler(path: Path, header: Header, kind: Kind) -> tuple[dict[str, Any], list[str]]:
    """What the file, its metadata or the JSON beside it say of the schedule."""
    own, beside = _own_marks(header), path.with_suffix(".json")
    told, notes = _told_beside(beside, own)
    config = {**SCHEDULER, **own, **told}
    if kind is KINDS["2"] and "prediction_type" not in own | told:
        raise InputError(
            f"{path} is a Stable Diffusion 2 and does not say what it predicts: write into "
            f'{beside.name} beside it {{"prediction_type": "v_prediction"}} (768-v) or "epsilon" '
            f"(base){''.join(f'; {note}' for note in notes)}"
        )
    return config, notes


def _own_marks(header: Header) -> dict[str, Any]:
    """What the file itself says: marks among its tensors, and its metadata."""
    own: dict[str, Any] = {}
    stated = header.metadata.get("modelspec.prediction_type", "").lower()
    if "v_pred" in header.tensors or stated in ("v", "v_prediction"):
        own["prediction_type"] = "v_prediction"
    elif stated in ("epsilon", "eps"):
        own["prediction_type"] = "epsilon"
    if "ztsnr" in header.tensors:
        own |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    return own


def _told_beside(beside: Path, own: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """What the JSON beside a file says of the schedule, and notes of it; it beats the file's own.

    Other programs keep their own things in such a file, so what is no scheduler's is left alone,
    and a file that could not be ours is as if it were not there. Nothing of it but the schedule's
    own numbers and words goes to a library.
    """
    if not beside.is_file():
        return {}, []
    try:
        value = json_object(beside)
    except InputError as error:
        why = str(error).replace(str(beside), f"{beside.name} beside it")
        return {}, [f"{why}: it is not read"]
    told = {key: value[key] for key in value if key in TOLD_BESIDE}
    check_config(told, beside)
    notes = [f"{beside.name} beside it says {', '.join(told)}"] if told else []
    for key in sorted(own.keys() & told.keys()):
        if own[key] != told[key]:
            notes.append(
                f"{beside.name} says {key} = {told[key]!r}, the file itself {own[key]!r}: what "
                "stands beside it holds"
            )
    return told, notes
