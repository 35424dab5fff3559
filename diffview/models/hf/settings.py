"""What the values in a part's configuration must be, looked at before any library is told of them.

The libraries say of `"norm_num_groups": 0` that a modulo is by zero, of `"layers_per_block": -1`
nothing at all: a network without layers is built. Known here are the keys that decide the shapes
of the classes in `folder.CLASSES`; of others the libraries judge, and null is theirs to replace.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffview.errors import InputError

MEND = "mend it, or fetch the model again"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a value may be: a test, and the same in words."""

    fits: Callable[[Any], bool]
    words: str


def _count(value: Any) -> bool:
    return type(value) is int and value >= 1


def _counts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_count, value))


def _number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


COUNT = Kind(_count, "a whole number above 0")
COUNTS = Kind(_counts, "a list of whole numbers above 0")
EITHER = Kind(lambda v: _count(v) or _counts(v), "a whole number above 0, or a list of them")
NUMBER = Kind(_number, "a number")
WORD = Kind(lambda v: isinstance(v, str), "a name in quotes")
WORDS = Kind(
    lambda v: isinstance(v, list) and bool(v) and all(isinstance(one, str) for one in v),
    "a list of names of blocks",
)
FLAG = Kind(lambda v: isinstance(v, bool), "true or false")
TIMES = ("positional", "fourier", "learned")
EMBEDDING = Kind(lambda v: v in TIMES, " or ".join(TIMES))

KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(
        ("in_channels", "out_channels", "latent_channels", "norm_num_groups",
         "num_vq_embeddings", "vq_embed_dim", "num_layers", "num_single_layers",
         "num_hidden_layers", "num_attention_heads", "num_heads", "hidden_size",
         "intermediate_size", "vocab_size", "max_position_embeddings", "projection_dim",
         "d_model", "d_kv", "d_ff", "patch_size", "pos_embed_max_size", "caption_channels",
         "joint_attention_dim", "caption_projection_dim", "pooled_projection_dim",
         "addition_time_embed_dim", "projection_class_embeddings_input_dim",
         "num_embeds_ada_norm", "num_class_embeds"),
        COUNT,
    ),
    **dict.fromkeys(("block_out_channels", "axes_dims_rope"), COUNTS),
    **dict.fromkeys(
        ("layers_per_block", "attention_head_dim", "cross_attention_dim", "sample_size"), EITHER
    ),
    **dict.fromkeys(("down_block_types", "up_block_types"), WORDS),
    **dict.fromkeys(("act_fn", "hidden_act", "norm_type", "activation_fn"), WORD),
    "time_embedding_type": EMBEDDING,
    **dict.fromkeys(
        ("norm_eps", "layer_norm_eps", "layer_norm_epsilon", "freq_shift",
         "mid_block_scale_factor", "scaling_factor", "shift_factor"),
        NUMBER,
    ),
    **dict.fromkeys(
        ("flip_sin_to_cos", "use_linear_projection", "force_upcast", "guidance_embeds"), FLAG
    ),
}  # fmt: skip
"""Key -> what stands there, in every class that has it; LISTED are the exceptions."""

LISTED = {("UNet2DConditionModel", "num_attention_heads"): EITHER}

NEVER_NULL = ("layers_per_block", "block_out_channels", "num_layers", "num_hidden_layers")
GROUPED = ("UNet2DModel", "UNet2DConditionModel", "AutoencoderKL", "VQModel")
"""Classes that divide the channels of each block into norm_num_groups."""
DEFAULT_GROUPS = 32


def check(cls: str, config: Mapping[str, Any], file: Path) -> None:
    """Raise InputError for a value of a `cls` in `file` that cannot be: file, key, value, and what
    is expected."""
    for key in config.keys() & KINDS.keys():
        value, kind = config[key], LISTED.get((cls, key), KINDS[key])
        if not kind.fits(value) and (value is not None or _never_null(cls, key)):
            raise _wrong(file, key, value, f"expected is {kind.words}")
    if cls in GROUPED:
        _check_groups(config, file)
    if cls == "UNet2DModel":
        _check_halves(config, file)
    if cls == "FluxTransformer2DModel":
        _check_axes(config, file)


def _never_null(cls: str, key: str) -> bool:
    return key in NEVER_NULL or (key == "norm_num_groups" and cls in GROUPED)


def _wrong(file: Path, key: str, value: object, expected: str) -> InputError:
    return InputError(f"{file}: {key} = {json.dumps(value)[:60]}, {expected}: {MEND}")


def _check_groups(config: Mapping[str, Any], file: Path) -> None:
    groups = config.get("norm_num_groups", 1)
    for channels in config.get("block_out_channels", ()):
        if channels % groups:
            raise _wrong(
                file, "norm_num_groups", groups,
                f"expected is a divisor of every number in block_out_channels, such as "
                f"{math.gcd(DEFAULT_GROUPS, *config['block_out_channels'])}",
            )  # fmt: skip


def _check_halves(config: Mapping[str, Any], file: Path) -> None:
    """Each block but the last halves the picture, and the way back doubles it."""
    size, blocks = config.get("sample_size"), config.get("block_out_channels")
    parts = 2 ** (len(blocks) - 1) if blocks else 1
    for side in size if isinstance(size, list) else [size]:
        if side is not None and side % parts:
            raise _wrong(
                file, "sample_size", size,
                f"expected is a multiple of {parts}, as its {len(blocks or ())} blocks halve it",
            )  # fmt: skip


def _check_axes(config: Mapping[str, Any], file: Path) -> None:
    axes, width = config.get("axes_dims_rope"), config.get("attention_head_dim")
    if axes is not None and width is not None and (len(axes) != 3 or sum(axes) != width):
        raise _wrong(
            file, "axes_dims_rope", axes,
            f"expected are three numbers that add up to attention_head_dim = {width}",
        )  # fmt: skip
