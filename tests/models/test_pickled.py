"""Pickled checkpoints: their tensors, or nothing; no code in them runs."""

from __future__ import annotations

import argparse
import os
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from diffview.cli import main
from diffview.errors import InputError
from diffview.models import catalog, memory, pickled
from diffview.models.hf import single

WEIGHTS = {
    single.FIRST: torch.arange(36.0).reshape(4, 9).T.reshape(1, 4, 9),  # not contiguous
    "first_stage_model.a": torch.ones(3),
}


class Evil:
    def __reduce__(self):
        return os.system, ("touch $MARKER",)


@pytest.fixture
def models(tmp_path):
    return tmp_path / "models"


@pytest.fixture(autouse=True)
def no_marker(tmp_path, monkeypatch):
    monkeypatch.setenv("MARKER", str(tmp_path / "marker"))
    yield
    assert not (tmp_path / "marker").exists()


def saved(tmp_path, value, **more):
    torch.save(value, tmp_path / "sd.ckpt", **more)
    return tmp_path / "sd.ckpt"


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda weights: weights,
        lambda weights: {"state_dict": weights, "epoch": 3},
        lambda weights: {"model": {}, "ema": weights, "args": argparse.Namespace(lr=0.1)},
    ],
    ids=["plain", "lightning", "trainer"],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_the_tensors_of_a_checkpoint_become_a_file_of_their_own(tmp_path, models, wrapped, zipped):
    path = saved(tmp_path, wrapped(WEIGHTS), _use_new_zipfile_serialization=zipped)
    made = pickled.convert(path, models)
    assert made == models / "sd.safetensors"
    found = load_file(made)
    assert found.keys() == WEIGHTS.keys()
    assert all(torch.equal(found[name], WEIGHTS[name]) for name in WEIGHTS)


def test_tensors_that_share_memory_are_written_apart(tmp_path, models):
    whole = torch.arange(8.0)
    tensors = {single.FIRST: whole[:4], "a": whole[4:], "b": whole}
    found = load_file(pickled.convert(saved(tmp_path, tensors), models))
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_that_would_run_code_is_refused_with_what_it_wants(tmp_path, models, zipped):
    value = WEIGHTS | {"extra": Evil()}
    path = saved(tmp_path, value, _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError, match=r"sd.ckpt is a Python pickle that wants .*system"):
        pickled.convert(path, models)
    assert not models.exists()


@pytest.mark.parametrize("value", [np.float64(1.0), torch.nn.Linear(2, 2)])
def test_what_is_more_than_tensors_is_refused_and_never_loaded_otherwise(tmp_path, models, value):
    with pytest.raises(InputError, match="which can run code: it was not loaded"):
        pickled.convert(saved(tmp_path, WEIGHTS | {"extra": value}), models)


def test_weights_of_an_unknown_network_are_refused_with_the_way_out(tmp_path, models):
    with pytest.raises(InputError, match=r"holds no Stable Diffusion.*diffview.wrap"):
        pickled.convert(saved(tmp_path, {"conv.weight": torch.ones(2)}), models)


@pytest.mark.parametrize("content", [b"PK\x03\x04 cut", b"\x80\x02 cut", b"\x80"])
def test_a_damaged_checkpoint_is_refused_in_our_words(tmp_path, models, content):
    (tmp_path / "sd.ckpt").write_bytes(content)
    with pytest.raises(InputError, match=r"sd.ckpt is (incomplete|a Python pickle)"):
        pickled.convert(tmp_path / "sd.ckpt", models)


@pytest.fixture
def never_read(monkeypatch):
    def read(*args, **more):
        raise AssertionError("it was unpacked")

    monkeypatch.setattr(torch, "load", read)


def test_a_zip_bomb_is_not_unpacked(tmp_path, models, never_read):
    """50 MB of zeros in 50 kB."""
    path = repacked(saved(tmp_path, {single.FIRST: torch.zeros(12_500_000)}), zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    with pytest.raises(InputError, match=r"unpacks to 50.0 MB, as no checkpoint .*not unpacked"):
        pickled.convert(path, models)


def repacked(path, method, change=lambda name, content: content):
    """The same archive, packed by another method, its entries changed."""
    with zipfile.ZipFile(path) as file:
        entries = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in entries.items():
            file.writestr(name, change(name, content))
    return path


def test_a_record_that_is_too_short_gives_no_values_of_others(tmp_path, models):
    """Mapped, it would be filled up with what follows it in the archive."""
    tensors = {single.FIRST: torch.ones(1000), "a": torch.full((2000,), 7.0)}

    def cut(name, content):
        return content[:40] if name.endswith("data/0") else content

    path = repacked(saved(tmp_path, tensors), zipfile.ZIP_STORED, cut)
    with pytest.raises(InputError, match="is no readable checkpoint"):
        pickled.convert(path, models)


def test_a_tensor_that_says_it_is_far_larger_than_its_file_is_refused(tmp_path, models):
    path = saved(tmp_path, {single.FIRST: torch.ones(1).expand(2**40)})
    with pytest.raises(InputError, match=r"say they take 4398.0 GB, the file has .* kB"):
        pickled.convert(path, models)


@pytest.mark.parametrize(
    "tensor", [torch.ones(3).to_sparse(), torch.ones(3, device="meta")], ids=["sparse", "meta"]
)
def test_a_tensor_without_values_of_its_own_is_refused(tmp_path, models, tensor):
    with pytest.raises(InputError, match="'a' is sparse, quantised or has no values"):
        pickled.convert(saved(tmp_path, WEIGHTS | {"a": tensor}), models)


@pytest.mark.parametrize(
    "value", [torch.ones(3), [torch.ones(3)], (torch.ones(3),), 5, "x", None, {}, {1: 2},
              {"state_dict": [torch.ones(3)]}],
)  # fmt: skip
def test_what_holds_nothing_by_name_is_refused_in_our_words(tmp_path, models, value):
    with pytest.raises(InputError, match="holds no Stable Diffusion"):
        pickled.convert(saved(tmp_path, value), models)


def test_a_checkpoint_larger_than_what_is_free_is_refused_with_the_numbers(
    tmp_path, models, monkeypatch, never_read
):
    monkeypatch.setattr(memory, "host_free", lambda: 1000)
    with pytest.raises(InputError, match=r"takes .* kB of memory to convert, 1.0 kB are free"):
        pickled.convert(saved(tmp_path, WEIGHTS), models)


def test_a_model_that_is_there_is_not_replaced(tmp_path, models):
    path = saved(tmp_path, WEIGHTS)
    pickled.convert(path, models)
    with pytest.raises(InputError, match="is there already"):
        pickled.convert(path, models)


def test_the_command_line_says_how_to_convert_and_does_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(catalog, "models_folder", lambda: tmp_path / "models")
    path = saved(tmp_path, WEIGHTS)
    assert main(["models", str(path)]) == 2
    assert f"'diffview convert {path}'" in capsys.readouterr().err
    assert main(["convert", str(path)]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "models" / "sd.safetensors")
    assert main(["convert", str(tmp_path / "models" / "sd.safetensors")]) == 2


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("left", [0.01, 0.5, 0.99])
def test_a_checkpoint_that_is_cut_off_is_called_incomplete(tmp_path, models, zipped, left):
    weights = {single.FIRST: torch.ones(1000), "a": torch.ones(1000)}
    path = saved(tmp_path, weights, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(left * len(whole))])
    with pytest.raises(InputError, match=r"sd.ckpt is incomplete: .*fetch it again"):
        pickled.convert(path, models)


def test_the_command_line_tells_a_checkpoint_that_is_not_there_from_an_empty_one(tmp_path, capsys):
    assert main(["convert", str(tmp_path / "nope.ckpt")]) == 2
    assert "nope.ckpt does not exist: give a checkpoint" in capsys.readouterr().err
    (tmp_path / "sd.ckpt").touch()
    assert main(["convert", str(tmp_path / "sd.ckpt")]) == 2
    assert "sd.ckpt is empty: fetch it again" in capsys.readouterr().err


def test_a_pickle_of_a_newer_protocol_is_refused_without_a_raw_warning(tmp_path, models, recwarn):
    """torch warns of it on standard error before it refuses."""
    path = saved(tmp_path, WEIGHTS, pickle_protocol=4)
    with pytest.raises(InputError, match="of a newer protocol than torch writes"):
        pickled.convert(path, models)
    assert not recwarn.list


def test_a_lora_is_told_as_what_it_is(tmp_path, models):
    path = saved(tmp_path, {"lora_unet_mid.lora_up.weight": torch.ones(2)})
    with pytest.raises(InputError, match=r"sd.ckpt is a LoRA: it changes the weights of a model"):
        pickled.convert(path, models)
