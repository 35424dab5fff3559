"""Autoencoders of pipelines in half precision: what overflows is done again in float32."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from diffview.cli import main
from diffview.models import hf
from diffview.models.hf import build, decoders, folder


@pytest.fixture
def make(pipelines):
    """Of a number type, the autoencoder of a tiny Stable Diffusion that is not raised to more."""
    vae = folder.read(pipelines("sd")[1], hf.FAMILIES).part("vae")
    vae = replace(vae, config={**vae.config, "force_upcast": False})
    return lambda dtype: decoders.Autoencoder(vae, build.Place(torch.device("cpu"), dtype))


@pytest.mark.parametrize("way", ["decode", "encode"])
def test_what_overflows_in_half_precision_is_done_again_in_float32(make, way):
    """Beyond 65504 float16 has infinity only."""
    torch.manual_seed(0)
    ours, whole = make(torch.float16), make(torch.float32)
    given = torch.rand(1, *((4, 8, 8) if way == "decode" else (3, 16, 16))) * 1e6
    assert not bool(getattr(ours, f"{way}d")(given).isfinite().all())
    find = "__call__" if way == "decode" else "encode"
    found = getattr(ours, find)(given)
    assert ours.dtype == torch.float32 and bool(found.isfinite().all())
    expected = getattr(whole, find)(given)
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02 * float(expected.abs().max()))


def test_a_decoder_that_gives_no_numbers_is_an_error_that_names_step_and_part(
    copied, tmp_path, capsys
):
    folder, out = copied("sd"), tmp_path / "out"
    file = folder / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    tensors["decoder.conv_out.bias"] *= float("nan")
    save_file(tensors, file)
    asked = ["--model", str(folder), "--prompt", "a cat", "--steps", "2", "--out", str(out)]
    assert main(["sample", *asked]) == 1
    told = capsys.readouterr().err
    assert "step 0 (t = 999): the decoder (AutoencoderKL) of model 'sd' gave NaN" in told
    assert "guidance" not in told
    assert not out.exists()


def test_a_network_that_gives_no_numbers_is_not_blamed_on_guidance(copied, tmp_path, capsys):
    folder = copied("sd")
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    tensors["conv_out.bias"] *= float("nan")
    save_file(tensors, file)
    asked = ["--model", str(folder), "--prompt", "a", "--steps", "2", "--session", "s.dvsession"]
    assert main(["sample", *asked[:-1], str(tmp_path / asked[-1])]) == 1
    told = capsys.readouterr().err
    assert "infinite at step 0" in told and "guidance" not in told
