"""What is given in place of a model by mistake, told apart, each with the way out.

A LoRA, one part of a pipeline, a folder of models: known by the names of tensors and files alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffview.errors import InputError
from diffview.models.hf.folder import INDEX, json_object

LORA = re.compile(r"lora_(up|down|A|B|unet|te)|\.lora\.|_lora\.|\.(hada|lokr)_w")
KNOWN = (
    (re.compile(r"^(control_model|controlnet_cond_embedding|input_hint_block)\."),
     "a ControlNet: it steers a model by a picture and cannot be run alone"),
    (re.compile(r"^(model\.diffusion_model\.)?double_blocks\."),
     "a Flux in one file: of such files those of Stable Diffusion 1, 2 and XL are opened; fetch "
     "the model as a folder with model_index.json"),
    (re.compile(r"^(model\.diffusion_model\.)?joint_blocks\."),
     "a Stable Diffusion 3 in one file: of such files those of Stable Diffusion 1, 2 and XL are "
     "opened; fetch the model as a folder with model_index.json"),
    (re.compile(r"^(down_blocks|transformer_blocks|input_blocks)\."),
     "a denoising network alone, one part of a model: open the folder with model_index.json that "
     "it belongs to"),
    (re.compile(r"^(decoder|first_stage_model\.decoder)\.(conv_out|up_blocks|up)\b"),
     "an autoencoder alone, one part of a model: open the folder with model_index.json that it "
     "belongs to"),
    (re.compile(r"^(text_model\.|embeddings\.token_embedding|encoder\.block\.)"),
     "a text encoder alone, one part of a model: open the folder with model_index.json that it "
     "belongs to"),
    (re.compile(r"^(emb_params$|clip_[lg]$|<.+>$)"),
     "an embedding (textual inversion): it is one more word for a model and cannot be run alone"),
)  # fmt: skip
"""What some tensor is called in such a file -> what the file is, and what to do."""
A_LORA = (
    "a LoRA: it changes the weights of a model and cannot be run alone; merge it into its model "
    "(fuse_lora and save_pretrained of diffusers), and open that"
)
MOST_TOLD = 3


def file_told(names: Mapping[str, Any]) -> str:
    """What a file with tensors of these names is, with the way out; "" if that is not known."""
    if any(map(LORA.search, names)):
        return A_LORA
    return next((told for sign, told in KNOWN if any(map(sign.search, names))), "")


def folder_told(path: Path) -> str:
    """What a folder that is no model is, with the way out."""
    above = path.absolute().parent
    if (above / INDEX).is_file():
        return f"one part of a model: open the folder {above}"
    models = _models_within(path)
    if models:
        more = ", ..." if len(models) > MOST_TOLD else ""
        return f"no model itself: open one of those in it, {', '.join(models[:MOST_TOLD])}{more}"
    cls = _class_alone(path)
    if cls:
        return (
            f"one part of a model alone, its {cls}: give the folder that holds {INDEX}, and this "
            "among its parts"
        )
    files = sorted(file.name for file in path.glob("*.safetensors"))
    if files:
        more = ", ..." if len(files) > MOST_TOLD else ""
        return f"a folder without {INDEX}: open a file in it, {', '.join(files[:MOST_TOLD])}{more}"
    return (
        f"a folder without {INDEX} (a diffusers model), recipe.json (an export) or pictures: give "
        "one of those, or a .safetensors file"
    )


def _models_within(path: Path) -> list[str]:
    """The folders with a model in it, also where the hub keeps them."""
    found = [*path.glob(f"*/{INDEX}"), *path.glob(f"snapshots/*/{INDEX}")]
    return sorted(str(index.parent.relative_to(path)) for index in found)


def _class_alone(path: Path) -> str:
    """The class that a configuration names; "" where there is none to be read."""
    try:
        value = json_object(path / "config.json")
        name = value.get("_class_name") or (value.get("architectures") or [""])[0]
        return str(name)[:80]
    except (InputError, TypeError, LookupError):
        return ""
