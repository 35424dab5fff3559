"""Damaged configurations: each refused at listing, with file, key, value and what is expected."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from diffview.cli import main
from diffview.errors import InputError
from diffview.models import catalog, hf

UNET, VAE = "unet/config.json", "vae/config.json"
TEXT, TRANSFORMER = "text_encoder/config.json", "transformer/config.json"
WEIGHTS = "unet/diffusion_pytorch_model.safetensors"

pytestmark = pytest.mark.usefixtures("untouched")


@pytest.mark.parametrize(
    ("name", "file", "key", "value", "expected"),
    [
        ("ddpm", UNET, "block_out_channels", "88", "a list of whole numbers above 0"),
        ("ddpm", UNET, "block_out_channels", [8, -16], "a list of whole numbers above 0"),
        ("ddpm", UNET, "norm_num_groups", 0, "a whole number above 0"),
        ("ddpm", UNET, "norm_num_groups", None, "a whole number above 0"),
        ("ddpm", UNET, "norm_num_groups", 3, "a divisor of every number in block_out_channels"),
        ("ddpm", UNET, "layers_per_block", -1, "a whole number above 0, or a list of them"),
        ("ddpm", UNET, "sample_size", 15, "a multiple of 2, as its 2 blocks halve it"),
        ("ddpm", UNET, "freq_shift", "a", "a number"),
        ("ddpm", UNET, "time_embedding_type", "sine", "positional or fourier or learned"),
        ("sd", VAE, "layers_per_block", -1, "a whole number above 0"),
        ("sd", VAE, "latent_channels", "4", "a whole number above 0"),
        ("sd", UNET, "cross_attention_dim", "16", "a whole number above 0"),
        ("sd", TEXT, "num_hidden_layers", "2", "a whole number above 0"),
        ("sd", TEXT, "num_hidden_layers", -1, "a whole number above 0"),
        ("dit", TRANSFORMER, "num_layers", -1, "a whole number above 0"),
        ("flux", TRANSFORMER, "axes_dims_rope", [4, 4], "three numbers that add up to"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_is_told_with_file_key_and_what_is_expected(
    edited, name, file, key, value, expected
):
    folder = edited(file, lambda v: v.update({key: value}), name)
    with pytest.raises(InputError) as info:
        catalog.find(str(folder))
    told = f"{folder / file}: {key} = {json.dumps(value)}, expected "
    assert str(info.value).startswith(told) and expected in str(info.value)


def test_a_value_that_only_its_library_knows_is_told_with_its_key(edited):
    folder = edited(TEXT, lambda v: v.update(hidden_act="swoosh"), "sd")
    with pytest.raises(InputError, match=r"no CLIPTextModel .*hidden_act = 'swoosh' is not known"):
        hf.check(folder)


def test_what_a_library_says_in_its_second_line_is_told_too(edited):
    folder = edited(TEXT, lambda v: v.update(num_attention_heads=3), "sd")
    with pytest.raises(InputError, match=r"\(16\) is not a multiple of .* heads \(3\)"):
        hf.check(folder)


def test_weights_of_whole_numbers_are_refused_before_they_are_read(copied):
    folder = copied()
    tensors = load_file(folder / WEIGHTS)
    tensors["conv_in.weight"] = tensors["conv_in.weight"].long()
    save_file(tensors, folder / WEIGHTS)
    with pytest.raises(InputError, match=r"'conv_in.weight' holds numbers of type I64, expected"):
        hf.check(folder)


@pytest.fixture
def published(copied):
    """A Stable Diffusion with its words in vocab.json and merges.txt, as they were published."""
    folder = copied("sd") / "tokenizer"
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    pairs = "\n".join(" ".join(pair) for pair in model["merges"])
    (folder / "merges.txt").write_text(f"#version: 0.2\n{pairs}\n")
    return folder.parent


def test_the_published_form_of_the_words_fits(published):
    assert hf.check(published) == ()


@pytest.mark.parametrize("names", [["vocab.json"], ["merges.txt"], ["vocab.json", "merges.txt"]])
def test_a_tokenizer_without_its_words_is_refused(published, names):
    """transformers makes one that knows no word."""
    for name in names:
        (published / "tokenizer" / name).unlink()
    with pytest.raises(
        InputError, match=r"tokenizer has no words: expected is tokenizer.json, or"
    ):
        hf.check(published)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda words: {k: n for k, n in words.items() if n < 400}, "vocab.json and merges.txt"),
        (lambda words: {k: n + 1000 for k, n in words.items()}, "go up to number 1517"),
        (lambda words: list(words), "vocab.json and merges.txt are damaged"),
    ],
)
def test_the_wrong_words_are_told_with_their_files(published, change, told):
    file = published / "tokenizer" / "vocab.json"
    file.write_text(json.dumps(change(json.loads(file.read_text()))))
    with pytest.raises(InputError, match=told):
        hf.check(published)


def test_a_model_that_lacks_a_tensor_is_not_listed_as_fine(copied, capsys):
    folder = copied()
    tensors = load_file(folder / WEIGHTS)
    shape = tensors.pop("conv_in.weight").shape
    save_file(tensors, folder / WEIGHTS)
    assert main(["models", str(folder)]) == 2
    assert f"{folder}/unet lacks tensor 'conv_in.weight'" in capsys.readouterr().err
    save_file(tensors | {"conv_in.weight": torch.zeros(8, 3, 5, 5)}, folder / WEIGHTS)
    assert main(["models", str(folder), "--json"]) == 2
    told = capsys.readouterr().err
    assert f"(8, 3, 5, 5), {folder}/unet/config.json asks for {tuple(shape)}" in told


def test_a_listed_model_tells_what_nothing_reads(edited, capsys):
    """A setting that is none, a tensor too many; not what begins with an underscore."""
    folder = edited(UNET, lambda v: v.update(clever=True, _odd=1))
    tensors = load_file(folder / WEIGHTS)
    save_file(tensors | {"stray": torch.zeros(2)}, folder / WEIGHTS)
    assert main(["models", str(folder)]) == 0
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note ")]
    assert len(notes) == 2
    assert "does not use: tensor 'stray'" in notes[0]
    assert notes[1].endswith("clever = true, which no UNet2DModel reads: no effect")


def test_without_the_packages_a_model_is_listed_with_a_word_about_it(copied, capsys, monkeypatch):
    monkeypatch.setattr(hf, "is_installed", lambda name: name != "diffusers")
    assert main(["models", str(copied())]) == 0
    assert "were not compared with its configuration" in capsys.readouterr().out


def test_every_family_fits_itself(pipelines):
    for name in ("classes", "ldm", "dit", "sdxl", "pixart", "sd3", "flux"):
        assert hf.check(pipelines(name)[1]) == ()


SCHEDULER = "scheduler/scheduler_config.json"


def test_a_scheduler_of_another_class_than_the_index_says_is_read_as_diffusers_does(edited):
    """Of one kind they take each other's files."""
    import diffusers

    def change(value):
        value |= {"_class_name": "PNDMScheduler", "beta_end": 0.01, "skip_prk_steps": True}

    folder = edited(SCHEDULER, change, "ddim")
    card = catalog.find(str(folder)).card
    [note] = [note for note in card.notes if "PNDMScheduler" in note]
    assert note.startswith("scheduler_config.json is of a PNDMScheduler, model_index.json says D")
    theirs = diffusers.DDIMScheduler.from_pretrained(folder / "scheduler").alphas_cumprod
    ours = [card.schedule.level(t).alphas_cumprod for t in (0, 500, 999)]
    assert ours == pytest.approx([float(theirs[t]) for t in (0, 500, 999)], rel=1e-5)
    assert hf.check(folder) == ()


@pytest.mark.parametrize(
    ("name", "cls"),
    [("ddim", "FlowMatchEulerDiscreteScheduler"), ("ddim", "EDMEulerScheduler"),
     ("sd3", "DDIMScheduler")],
)  # fmt: skip
def test_a_scheduler_of_another_kind_of_noise_than_the_index_says_is_refused(edited, name, cls):
    folder = edited(SCHEDULER, lambda v: v.update(_class_name=cls), name)
    with pytest.raises(
        InputError, match=f"is of a {cls}, model_index.json says .* no settings in"
    ):
        catalog.find(str(folder))


def test_a_setting_that_no_scheduler_knows_is_told_of(edited):
    folder = edited(SCHEDULER, lambda v: v.update(magic=1, skip_prk_steps=True, _odd=1), "ddim")
    [note] = hf.check(folder)
    assert "scheduler_config.json says magic = 1, which no DDIMScheduler reads" in note
