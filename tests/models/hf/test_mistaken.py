"""What is given in place of a model by mistake: told apart, with the way out."""

from __future__ import annotations

import json
import re
import shutil

import pytest
import safetensors.torch
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from diffview.cli import main
from diffview.errors import DiffviewError, InputError
from diffview.models import catalog, hf

UNET = "unet/diffusion_pytorch_model"


def refused(path, message):
    with pytest.raises(InputError, match=re.escape(message)) as info:
        catalog.find(str(path))
    assert str(path) in str(info.value)


def test_a_part_of_a_model_leads_to_the_whole(copied):
    folder = copied()
    refused(folder / "unet", f"unet is one part of a model: open the folder {folder}")
    refused(folder / "scheduler", f"open the folder {folder}")


def test_a_part_alone_is_called_by_its_class(copied, tmp_path):
    shutil.copytree(copied() / "unet", tmp_path / "alone")
    refused(tmp_path / "alone", "one part of a model alone, its UNet2DModel: give the folder that")


def test_a_folder_of_models_names_those_in_it(copied):
    folder = copied()
    refused(folder.parent, "is no model itself: open one of those in it, ddpm")


def test_the_hubs_own_cache_leads_to_its_snapshot(copied, tmp_path):
    home = tmp_path / "models--owner--name"
    shutil.copytree(copied(), home / "snapshots" / "abc")
    refused(home, "open one of those in it, snapshots/abc")


def test_a_folder_with_files_of_weights_names_them(tmp_path):
    save_file({"a": torch.ones(1)}, tmp_path / "sd.safetensors")
    refused(tmp_path, "is a folder without model_index.json: open a file in it, sd.safetensors")


def test_a_folder_of_anything_else_says_what_to_give(tmp_path):
    (tmp_path / "config.json").write_text("[]")
    refused(tmp_path, "is a folder without model_index.json (a diffusers model), recipe.json")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("lora_unet_mid_block_attn.lora_up.weight", "a LoRA: it changes the weights of a model"),
        ("unet.mid_block.attn1.to_q.lora_A.weight", "a LoRA"),
        ("unet.mid_block.attn1.processor.to_q_lora.up.weight", "a LoRA"),
        ("lycoris_mid.hada_w1_a", "a LoRA"),
        ("control_model.input_blocks.0.0.weight", "a ControlNet"),
        ("double_blocks.0.img_attn.proj.weight", "a Flux in one file"),
        ("model.diffusion_model.joint_blocks.0.x_block.weight", "a Stable Diffusion 3 in one"),
        ("down_blocks.0.resnets.0.conv1.weight", "a denoising network alone"),
        ("decoder.up_blocks.0.resnets.0.conv1.weight", "an autoencoder alone"),
        ("text_model.encoder.layers.0.mlp.fc1.weight", "a text encoder alone"),
        ("emb_params", "an embedding (textual inversion)"),
    ],
)
def test_a_file_that_cannot_be_run_alone_is_told_as_what_it_is(tmp_path, name, told):
    path = tmp_path / "file.safetensors"
    save_file({name: torch.ones(2, 2)}, path)
    refused(path, f"file.safetensors is {told}")


def test_a_file_of_unknown_tensors_still_asks_for_a_card(tmp_path):
    save_file({"layer.weight": torch.ones(2)}, tmp_path / "file.safetensors")
    refused(tmp_path / "file.safetensors", "carries no diffview model card")


@pytest.fixture
def pickles(copied):
    """A folder as diffusers wrote them before 2023."""
    folder = copied()
    torch.save(load_file(folder / f"{UNET}.safetensors"), folder / f"{UNET}.bin")
    (folder / f"{UNET}.safetensors").unlink()
    return folder


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.setattr(catalog, "models_folder", lambda: tmp_path / "models")
    return tmp_path / "models"


def test_a_folder_of_pickles_is_sent_to_the_command_that_takes_it(
    pickles, models, capsys, pipelines
):
    assert main(["models", str(pickles)]) == 2
    assert f"'diffview convert {pickles}'" in capsys.readouterr().err
    assert main(["convert", str(pickles)]) == 0
    made = models / "ddpm"
    assert capsys.readouterr().out.strip() == str(made)
    assert list(models.iterdir()) == [made]
    whole = pipelines("ddpm")[1]
    same(load_file(made / f"{UNET}.safetensors"), load_file(whole / f"{UNET}.safetensors"))
    assert hf.check(made) == ()
    assert main(["convert", str(pickles)]) == 2
    assert "is there already" in capsys.readouterr().err


def same(ours, theirs):
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_pickles_in_shards_become_shards(pickles, models, pipelines):
    tensors = torch.load(pickles / f"{UNET}.bin", weights_only=True)
    (pickles / f"{UNET}.bin").unlink()
    names, table = sorted(tensors), {}
    for k, own in enumerate((names[:9], names[9:]), 1):
        file = f"diffusion_pytorch_model-{k:05}-of-00002.bin"
        torch.save({name: tensors[name] for name in own}, pickles / "unet" / file)
        table |= dict.fromkeys(own, file)
    (pickles / f"{UNET}.bin.index.json").write_text(json.dumps({"weight_map": table}))
    made = hf.convert(pickles, models)
    first, second = (load_file(file) for file in sorted(made.glob("unet/*.safetensors")))
    same(first | second, load_file(pipelines("ddpm")[1] / f"{UNET}.safetensors"))
    assert hf.check(made) == ()


def test_a_disk_that_is_full_while_a_folder_is_converted_leaves_nothing(
    pickles, models, monkeypatch
):
    def full(*args, **kwargs):
        raise SafetensorError("Error while serializing: I/O error: No space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(DiffviewError, match=r"could not be written: .*No space left on device"):
        hf.convert(pickles, models)
    assert list(models.iterdir()) == []


class Evil:
    def __reduce__(self):
        import os

        return os.system, ("touch $MARKER",)


def test_a_folder_of_pickles_that_would_run_code_is_not_converted(pickles, models, untouched):
    torch.save({"conv_in.weight": Evil()}, pickles / f"{UNET}.bin")
    with pytest.raises(InputError, match=r"wants .*system.*, which can run code: it was not load"):
        hf.convert(pickles, models)
    assert list(models.iterdir()) == []


def test_a_folder_that_needs_no_conversion_says_so(copied, models):
    with pytest.raises(InputError, match="has no weights as pickles to convert: open it as it is"):
        hf.convert(copied(), models)
