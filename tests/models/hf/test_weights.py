"""Attacks on a model's weights, and odd ones: refused with the file's name, or told of.

As in test_folder.py no marker file may appear, no socket be opened, no foreign module be loaded.
"""

from __future__ import annotations

import json
import os
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file

from diffview.errors import InputError
from diffview.models import catalog, hf, sampling
from diffview.models.hf import weights

UNET = "unet/diffusion_pytorch_model.safetensors"
pytestmark = pytest.mark.usefixtures("untouched")


def refused(folder, message):
    """Described or loaded, the folder is refused with `message` and with where the fault is."""
    with pytest.raises(InputError, match=message) as info:
        sampling.open_model(catalog.find(str(folder)), "cpu")
    assert str(folder) in str(info.value)


def sharded(folder, change=lambda index: None):
    """The U-Net's weights in two files, as diffusers writes large ones."""
    tensors = load_file(folder / UNET)
    (folder / UNET).unlink()
    names, index = sorted(tensors), {}
    for k, own in enumerate((names[:9], names[9:]), 1):
        file = f"diffusion_pytorch_model-0000{k}-of-00002.safetensors"
        save_file({name: tensors[name] for name in own}, folder / "unet" / file)
        index |= dict.fromkeys(own, file)
    change(index)
    (folder / f"{UNET}.index.json").write_text(json.dumps({"weight_map": index}))
    return folder


def test_weights_in_shards_are_those_in_one_file(copied, pipelines):
    model = sampling.open_model(catalog.find(str(sharded(copied()))), "cpu")
    whole = sampling.open_model(catalog.find(str(pipelines("ddpm")[1])), "cpu")
    x, level = torch.randn(1, 3, 16, 16), whole.schedule.level(500)
    assert torch.equal(model(x, level, None), whole(x, level, None))
    assert model.card.parameters == whole.card.parameters


def test_a_missing_shard_is_named(copied):
    folder = sharded(copied())
    (folder / "unet" / "diffusion_pytorch_model-00002-of-00002.safetensors").unlink()
    refused(
        folder, r"00002-of-00002.safetensors is missing: .*index.json names it \(fetch the mod"
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [("../../x.safetensors", "is no name of a file or folder in it"),
     ("/etc/x.safetensors", "is no name of a file or folder in it"),
     ("x.bin", "x.bin is no .safetensors file"), (7, "has no weight_map"),
     (None, "has no weight_map")],
)  # fmt: skip
def test_an_index_that_names_what_no_shard_is_called_is_refused(copied, value, message):
    refused(sharded(copied(), lambda index: index.update({"conv_in.bias": value})), message)


def test_a_shard_that_is_a_link_out_of_the_folder_is_refused(copied, tmp_path):
    folder = sharded(copied())
    shard = folder / "unet" / "diffusion_pytorch_model-00001-of-00002.safetensors"
    shard.rename(tmp_path / "elsewhere.safetensors")
    shard.symlink_to(tmp_path / "elsewhere.safetensors")
    refused(folder, "is a link that leads out of the model's folder")


def test_shards_that_overlap_are_refused(copied):
    folder = sharded(copied())
    shards = sorted((folder / "unet").glob("*-of-*.safetensors"))
    first, second = (load_file(shard) for shard in shards)
    save_file(second | dict([next(iter(first.items()))]), shards[1])
    refused(folder, r"tensor '.*' is also in diffusion_pytorch_model-00001")


def rewrite(folder, change, file=UNET):
    tensors = load_file(folder / file)
    change(tensors)
    save_file(tensors, folder / file)


def test_a_missing_tensor_is_refused_where_diffusers_would_make_one_up(copied):
    folder = copied()
    rewrite(folder, lambda tensors: tensors.pop("conv_in.weight"))
    refused(folder, "lacks tensor 'conv_in.weight': fetch the model's weights again")


def test_a_tensor_of_another_shape_is_refused_by_name(copied):
    folder = copied()
    rewrite(folder, lambda tensors: tensors.update({"conv_in.weight": torch.zeros(8, 2, 3, 3)}))
    refused(folder, r"tensor 'conv_in.weight' has shape \(8, 2, 3, 3\), .*config.json asks")


def test_a_tensor_too_many_is_told_of_and_left_alone(copied, caplog):
    folder = copied()
    rewrite(folder, lambda tensors: tensors.update({"stray": torch.zeros(2)}))
    sampling.open_model(catalog.find(str(folder)), "cpu")
    assert "tensors that its network does not use: tensor 'stray'" in caplog.text


def test_weights_that_are_not_finite_are_told_of_by_name(copied, caplog):
    folder = copied()
    rewrite(folder, lambda tensors: tensors["conv_in.bias"].fill_(float("nan")))
    sampling.open_model(catalog.find(str(folder)), "cpu")
    assert "NaN or infinite values in tensor 'conv_in.bias'" in caplog.text


def test_a_configuration_of_a_million_channels_costs_nothing(edited):
    folder = edited("unet/config.json", lambda v: v.update(block_out_channels=[2**20, 2**20]))
    refused(folder, "shape|damaged|memory")


def test_a_size_beyond_any_model_is_refused(edited):
    folder = edited("unet/config.json", lambda v: v.update(sample_size=2**40))
    refused(folder, "sample_size = 1099511627776 is larger than any model's")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "incomplete: 0 bytes"),
        (struct.pack("<Q", 2**63) + b"{}", "its header would take 9223372036854775808 bytes"),
        (struct.pack("<Q", 200 * 2**20) + b"{}", "its header would take 209715200 bytes"),
        (struct.pack("<Q", 4096) + b"{", "its header is cut off"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git-lfs pointer"),
        (b"<!DOCTYPE html><html>not found</html>", "a web page"),
        (b'{"error": "not found"}' + b" " * 60, "a JSON text"),
        (b"\x80\x04\x95" + b"\x00" * 80, "a Python pickle"),
    ],
)
def test_what_is_no_safetensors_file_is_told_as_what_it_is(copied, content, message):
    folder = copied()
    (folder / UNET).write_bytes(content)
    refused(folder, message)


def test_a_truncated_file_is_incomplete(copied):
    folder = copied()
    whole = (folder / UNET).read_bytes()
    (folder / UNET).write_bytes(whole[:-100])
    refused(folder, "is incomplete: the last 100 bytes are missing")


def test_a_file_that_shrinks_between_header_and_weights_gives_no_values(copied, monkeypatch):
    """Its shapes were checked; memory that was never written to must not become weights."""
    folder = copied()
    known, matched = hf.card(folder), weights.matched

    def shrinking(*args):
        found = matched(*args)
        os.truncate(folder / UNET, 8 + int.from_bytes((folder / UNET).read_bytes()[:8], "little"))
        return found

    monkeypatch.setattr(weights, "matched", shrinking)
    with pytest.raises(
        InputError, match=r"became shorter while it was read: tensor '.*' has 0 of"
    ):
        hf.load(folder, known, torch.device("cpu"))


def with_header(entries, data=b"\0" * 8):
    raw = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(raw)) + raw + data


def tensor(start, end, shape=(1,), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (with_header({"a": tensor(0, 8)}), "does not take the 8 bytes"),
        (with_header({"a": tensor(0, 4), "b": tensor(2, 6)}), "overlaps or leaves a hole"),
        (with_header({"a": tensor(4, 8)}), "overlaps or leaves a hole"),
        (with_header({"a": tensor(0, 4)}), "4 bytes follow the last tensor"),
        (with_header(b'{"a": {}, "a": {}}'), "a name occurs twice"),
        (with_header({"a": tensor(0, 8, (2**40, 2**40))}), "does not take the 8 bytes"),
        (with_header({"a": tensor(0, 8, dtype="F7")}), "unknown number type 'F7'"),
        (with_header(b'{"\xff": 1}'), "damaged safetensors header"),
    ],
)
def test_a_header_that_lies_is_refused(copied, content, message):
    folder = copied()
    (folder / UNET).write_bytes(content)
    refused(folder, message)
