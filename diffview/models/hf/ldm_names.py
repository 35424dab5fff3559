"""What the first code of latent diffusion called the tensors that diffusers' networks have.

A single file of Stable Diffusion holds them under those names (Rombach et al. 2022, code; OpenCLIP
for the text models of 2.x and XL). Each function takes a name as diffusers or transformers has it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
ENDS = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
VAE_ATTENTION = {
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
}
OPEN_CLIP = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}
OPEN_CLIP_ENDS = {
    "embeddings.token_embedding.weight": "token_embedding.weight",
    "embeddings.position_embedding.weight": "positional_embedding",
    "final_layer_norm.weight": "ln_final.weight",
    "final_layer_norm.bias": "ln_final.bias",
}


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor in a file: its name, which of how many equal parts of its rows, how it lies."""

    name: str
    part: int = 0
    parts: int = 1
    transposed: bool = False


def unet(name: str, layers: int, up_blocks: Sequence[str]) -> Stored:
    """A U-Net's tensor; `layers` and `up_blocks` are its layers_per_block and up_block_types."""
    head, _, last = name.rpartition(".")
    if head in ENDS:
        return Stored(f"{ENDS[head]}.{last}")
    found = re.fullmatch(r"(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)\.(.+)", name)
    if found is None:
        return Stored(_middle(name))
    way, i, kind, j, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
    first = i * (layers + 1) + (1 if way == "down" else 0)
    block = "input_blocks" if way == "down" else "output_blocks"
    if kind == "downsamplers":
        return Stored(f"{block}.{first + layers}.0.op.{last}")
    if kind == "upsamplers":
        place = 2 if up_blocks[i].startswith("CrossAttn") else 1
        return Stored(f"{block}.{first + layers}.{place}.conv.{last}")
    if kind == "resnets":
        return Stored(f"{block}.{first + j}.0.{_resnet(rest)}")
    return Stored(f"{block}.{first + j}.1.{rest}")


def _middle(name: str) -> str:
    found = re.fullmatch(r"mid_block\.(resnets|attentions)\.(\d+)\.(.+)", name)
    if found is None:
        return name
    if found[1] == "resnets":
        return f"middle_block.{2 * int(found[2])}.{_resnet(found[3])}"
    return f"middle_block.1.{found[3]}"


def _resnet(rest: str) -> str:
    head, _, last = rest.rpartition(".")
    return f"{RESNET.get(head, head)}.{last}"


def vae(name: str, blocks: int) -> Stored:
    """An autoencoder's tensor; `blocks` is how many it has each way."""
    name = name.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")
    name = re.sub(r"mid_block\.resnets\.(\d+)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
    attention = re.fullmatch(r"(.*)mid_block\.attentions\.0\.(.+)\.(weight|bias)", name)
    if attention is not None:
        return Stored(f"{attention[1]}mid.attn_1.{VAE_ATTENTION[attention[2]]}.{attention[3]}")
    name = re.sub(r"down_blocks\.(\d+)\.resnets", r"down.\1.block", name)
    name = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample", name)
    # What is decoded last was counted first.
    name = re.sub(r"up_blocks\.(\d+)", lambda m: f"up.{blocks - 1 - int(m[1])}", name)
    return Stored(name.replace(".resnets.", ".block.").replace("upsamplers.0", "upsample"))


def clip(name: str) -> Stored:
    """A tensor of CLIP's text model, which transformers 5 calls without its prefix."""
    return Stored(f"text_model.{name.removeprefix('text_model.')}")


def open_clip(name: str) -> Stored:
    """A tensor of OpenCLIP's text model; its queries, keys and values are one matrix."""
    name = name.removeprefix("text_model.")
    if name in OPEN_CLIP_ENDS:
        return Stored(OPEN_CLIP_ENDS[name])
    if name == "text_projection.weight":
        return Stored("text_projection", transposed=True)
    found = re.fullmatch(r"encoder\.layers\.(\d+)\.(.+)\.(weight|bias)", name)
    if found is None:
        return Stored(name)
    block, rest, kind = f"transformer.resblocks.{found[1]}", found[2], found[3]
    which = re.fullmatch(r"self_attn\.([qkv])_proj", rest)
    if which is not None:
        return Stored(f"{block}.attn.in_proj_{kind}", "qkv".index(which[1]), 3)
    return Stored(f"{block}.{OPEN_CLIP[rest]}.{kind}")
