"""Attacks on a model folder: each refused with its own words; nothing runs, nothing is imported.

Every test also holds that no marker file appears, no socket is opened, no foreign module loaded.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from diffview.errors import InputError
from diffview.models import catalog, hashes, hf, sampling
from diffview.models.hf import build, cards

UNET = "unet/diffusion_pytorch_model.safetensors"


pytestmark = pytest.mark.usefixtures("untouched")


def refused(folder, message):
    """Described or loaded, the folder is refused with `message` and with where the fault is."""
    with pytest.raises(InputError, match=message) as info:
        sampling.open_model(catalog.find(str(folder)), "cpu")
    assert str(folder) in str(info.value)


EVIL = "import os\nopen(os.environ['MARKER'], 'w').close()\n"


def test_a_pipeline_class_of_the_folders_own_is_refused(edited):
    folder = edited("model_index.json", lambda v: v.update(_class_name=["my_pipe", "MyPipeline"]))
    (folder / "my_pipe.py").write_text(EVIL)
    refused(folder, r'pipeline \["my_pipe", "MyPipeline"\] is not known here; known are DDPM')


def test_an_unknown_pipeline_is_refused_with_the_known_ones(edited):
    folder = edited("model_index.json", lambda v: v.update(_class_name="ScoreSdeVePipeline"))
    refused(
        folder, 'pipeline "ScoreSdeVePipeline" is not known here; known are DDPMPipeline, DDIM'
    )


@pytest.mark.parametrize(
    "part",
    [["my_code", "UNet"], ["os", "system"], ["diffusers", "DiffusionPipeline"],
     ["diffusers.utils", "UNet2DModel"], ["transformers", "AutoModel"],
     ["transformers", "UNet2DModel"]],
)  # fmt: skip
def test_a_part_that_is_not_on_the_list_is_refused_without_import(edited, part):
    folder = edited("model_index.json", lambda v: v.update(unet=part))
    (folder / "my_code.py").write_text(EVIL)
    refused(folder, f"'unet' is of class {part[1]} of {part[0]}, which is not on the list")


def test_also_a_part_that_no_family_needs_must_be_on_the_list(edited):
    folder = edited("model_index.json", lambda v: v.update(extra=["my_code", "Evil"]))
    refused(folder, "'extra' is of class Evil of my_code, which is not on the list")


@pytest.mark.parametrize("part", [["diffusers"], [1, 2], ["a", "b", "c"], ["diffusers", None]])
def test_a_part_that_is_no_pair_is_refused(edited, part):
    refused(edited("model_index.json", lambda v: v.update(unet=part)), r"not \[library, class\]")


@pytest.mark.parametrize(
    ("key", "value"),
    [("auto_map", {"AutoModel": "modeling_evil.Evil"}), ("trust_remote_code", True),
     ("custom_pipeline", "my_pipe"), ("quantization_config", {"quant_method": "bnb"}),
     ("_module", "my_code")],
)  # fmt: skip
@pytest.mark.parametrize("file", ["model_index.json", "unet/config.json"])
def test_a_key_that_would_import_code_is_refused(edited, file, key, value):
    folder = edited(file, lambda v: v.update({key: value}))
    (folder / "unet" / "modeling_evil.py").write_text(EVIL)
    refused(folder, f"key '{key}' would make a library import code")


def test_a_key_deep_inside_is_found_too(edited):
    folder = edited("unet/config.json", lambda v: v.update(x=[{"y": {"auto_map": "a.B"}}]))
    refused(folder, "key 'auto_map' would make a library import code")


def test_an_attention_that_would_be_fetched_is_refused(edited):
    change = {"_attn_implementation": "kernels-community/evil"}
    folder = edited("text_encoder/config.json", lambda v: v.update(change), "sd")
    refused(folder, 'attn_implementation "kernels-community/evil" would fetch code')


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("vocab_file", "../../secret.json"),
        ("merges_file", "/etc/passwd"),
        ("fast_tokenizer_files", ["tokenizer.json", "../../secret.json"]),
    ],
)
def test_a_tokenizer_that_names_a_file_elsewhere_is_refused(edited, key, value):
    folder = edited("tokenizer/tokenizer_config.json", lambda v: v.update({key: value}), "sd")
    name = value[1] if isinstance(value, list) else value
    refused(folder, f"{key} '{name}' leads out of the folder")


@pytest.mark.parametrize("value", ["./special_tokens_map.json", "/home/author/map.json"])
def test_where_an_authors_own_file_lay_keeps_no_model_from_opening(edited, value):
    """As published with Stable Diffusion 1.5 and 2: no library reads that file there."""
    change = {"special_tokens_map_file": value}
    folder = edited("tokenizer/tokenizer_config.json", lambda v: v.update(change), "sd")
    assert hf.card(folder).family


def test_files_that_a_desktop_leaves_in_a_folder_do_no_harm(copied):
    folder = copied()
    for name in (".DS_Store", "config (1).json", "._config.json"):
        (folder / "unet" / name).write_bytes(b"")
    assert hf.card(folder).family


def test_a_configuration_of_another_class_is_refused(edited):
    folder = edited("unet/config.json", lambda v: v.update(_class_name="UNet3DModel"))
    refused(folder, "is of a UNet3DModel, model_index.json says UNet2DModel")


@pytest.mark.parametrize("name", ["../unet", "/etc", "..", "a/b", "a\\b", ".hidden", ""])
def test_a_part_whose_name_leaves_the_folder_is_refused(edited, name):
    change = {name: ["diffusers", "UNet2DModel"]}
    refused(edited("model_index.json", lambda v: v.update(change)), "is no name of a file or fold")


def test_a_shard_outside_the_folder_is_refused(copied):
    folder = copied()
    (folder / UNET).unlink()
    index = {"weight_map": {"conv_in.weight": "../../etc/passwd"}}
    (folder / f"{UNET}.index.json").write_text(json.dumps(index))
    refused(folder, "'../../etc/passwd' is no name of a file or folder in it")


def test_a_link_out_of_the_folder_is_refused(copied, tmp_path):
    folder = copied()
    (folder / UNET).rename(tmp_path / "elsewhere.safetensors")
    (folder / UNET).symlink_to(tmp_path / "elsewhere.safetensors")
    refused(folder, "is a link that leads out of the model's folder")


@pytest.mark.parametrize(
    ("name", "file"),
    [("ddpm", "unet/config.json"), ("ddpm", "scheduler/scheduler_config.json"),
     ("ddpm", UNET), ("sd", "tokenizer/vocab.json")],
)  # fmt: skip
def test_a_pipe_in_place_of_a_file_is_refused_unopened(copied, name, file):
    """Opened, it would wait for a writer for ever."""
    folder = copied(name)
    (folder / file).unlink(missing_ok=True)
    os.mkfifo(folder / file)
    refused(folder, f"{file} is not a regular file")


def test_a_pipe_called_like_a_model_is_refused_unopened(tmp_path):
    for name in ("a.safetensors", "a.ckpt"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(InputError, match=f"{name} is not a regular file"):
            catalog.find(str(tmp_path / name))


@pytest.mark.parametrize("file", [UNET, "unet/config.json", "unet"])
def test_a_link_to_itself_is_refused_with_its_name(copied, file):
    folder = copied()
    (folder / file).rename(folder / "before")
    (folder / file).symlink_to((folder / file).name)
    refused(folder, f"{file} is a link that leads back to itself: put the file")


@pytest.mark.parametrize("value", ["long", [77], True, 0, -1])
def test_a_length_of_prompts_that_is_none_is_refused(edited, value):
    file = "tokenizer/tokenizer_config.json"
    folder = edited(file, lambda v: v.update(model_max_length=value), "sd")
    refused(folder, f"{file}: model_max_length = .* is no number of tokens: mend it, or fetch")


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"model": 3}'])
def test_words_that_are_damaged_are_refused_in_our_words(copied, text):
    folder = copied("sd")
    (folder / "tokenizer" / "tokenizer.json").write_text(text)
    refused(folder, "tokenizer holds no readable tokenizer: ")


def test_the_index_of_a_folder_opens_the_folder(copied):
    folder = copied()
    assert catalog.find(str(folder / "model_index.json")) == catalog.find(str(folder))


def test_a_linked_part_is_refused(copied, tmp_path):
    folder = copied()
    (folder / "unet").rename(tmp_path / "elsewhere")
    (folder / "unet").symlink_to(tmp_path / "elsewhere")
    refused(folder, "is a link that leads out of the model's folder")


def test_the_links_of_the_hubs_own_cache_are_followed(copied, tmp_path):
    made = copied()
    model = tmp_path / "models--somebody--tiny"
    folder = model / "snapshots" / "0123abcd"
    folder.parent.mkdir(parents=True)
    (model / "blobs").mkdir()
    made.rename(folder)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    for file in [p for p in folder.rglob("*") if p.is_file()]:
        blob = model / "blobs" / str(abs(hash(str(file))))
        file.rename(blob)
        file.symlink_to(os.path.relpath(blob, file.parent))
    card = catalog.find(str(folder)).card
    assert (card.title, card.licence) == ("somebody/tiny", "apache-2.0")


@pytest.mark.parametrize("text", ["", "{", "[1]", '"x"', "\x00", "{" * 100_000])
@pytest.mark.parametrize("file", ["model_index.json", "unet/config.json",
                                  "scheduler/scheduler_config.json"])  # fmt: skip
def test_broken_json_is_refused_with_the_file(copied, file, text):
    folder = copied()
    (folder / file).write_text(text)
    refused(folder, f"{file.split('/')[-1]} is (damaged|not a JSON object)")


def test_a_missing_index_says_what_to_give(copied):
    folder = copied()
    (folder / "model_index.json").unlink()
    with pytest.raises(InputError, match="folder"):
        catalog.find(str(folder))


def test_a_missing_part_is_named(edited):
    refused(edited("model_index.json", lambda v: v.pop("unet")), "has no 'unet', which a DDPMPip")


def test_an_unknown_scheduler_is_refused_with_the_known_ones(edited):
    change = {"scheduler": ["diffusers", "MadeUpScheduler"]}
    folder = edited("model_index.json", lambda v: v.update(change))
    refused(folder, "scheduler MadeUpScheduler is not known here; known are DDPMScheduler, DDIM")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prediction_type": "magic"}, "prediction_type 'magic' is not known; known are epsilon"),
        ({"beta_schedule": "magic"}, "beta_schedule 'magic' is not known; known are linear"),
        ({"beta_start": "x"}, "beta_start = 'x' is not a number"),
        ({"beta_start": 0.5, "beta_end": 0.1}, "are no betas"),
        ({"num_train_timesteps": 0}, "are no betas"),
        ({"num_train_timesteps": 1.5}, "is not a whole number"),
        ({"timestep_spacing": "magic"}, "timestep_spacing 'magic' is not known"),
    ],
)
def test_a_scheduler_of_impossible_facts_is_refused(edited, change, message):
    refused(edited("scheduler/scheduler_config.json", lambda v: v.update(change)), message)


class Evil:
    def __reduce__(self):
        return os.system, ("touch $MARKER",)


def test_a_folder_of_pickles_alone_is_refused_unread(copied):
    folder = copied()
    (folder / UNET).unlink()
    torch.save({"conv_in.weight": Evil()}, folder / "unet/diffusion_pytorch_model.bin")
    refused(
        folder,
        r"as a Python pickle .*which can run code: fetch the .safetensors, or let .diffview conv",
    )


def test_python_files_in_the_folder_are_mentioned_and_never_run(copied):
    folder = copied()
    (folder / "my_pipe.py").write_text(EVIL)
    card = catalog.find(str(folder)).card
    assert "my_pipe.py is never run" in card.notes


def test_a_file_that_shrinks_after_it_was_opened_does_not_kill_the_process(copied):
    folder = copied()
    model = sampling.open_model(catalog.find(str(folder)), "cpu")
    os.truncate(folder / UNET, 10)
    spec = sampling.spec_for(model.card, steps=1)
    records = list(sampling.sample_into(sampling.trajectory_for(model.card, spec), model))
    assert np.isfinite(records[-1].x_t).all()


def test_without_the_extra_the_one_command_is_named(copied, monkeypatch):
    from diffview.models import hf

    monkeypatch.setattr(hf, "is_installed", lambda name: name != "transformers")
    refused_for = "need transformers, not installed here: python -m pip install 'diffview.hf.'"
    refused(copied(), refused_for)


@pytest.mark.parametrize(
    ("name", "found", "words"),
    [("diffusers", "0.37.1", r"diffusers 0.37.1 is installed here, .* diffusers>=0.38,<0.44"),
     ("diffusers", "0.44.0", r"diffusers>=0.38,<0.44: python -m pip install .* --upgrade"),
     ("transformers", "5.5.9", r"need transformers>=5.6:")],
)  # fmt: skip
def test_a_package_too_old_or_too_new_is_told_with_the_releases_that_do(
    copied, monkeypatch, name, found, words
):
    known = hf.version
    monkeypatch.setattr(hf, "version", lambda of: found if of == name else known(of))
    refused(copied(), words)


def test_the_releases_that_do_are_those_of_the_extra():
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    asked = project["project"]["optional-dependencies"]["hf"]
    for name, (oldest, beyond) in hf.NEEDED.items():
        least = f">={hf._dotted(oldest)}" if oldest else ""
        assert name + least + (f",<{hf._dotted(beyond)}" if beyond else "") in asked


def test_gigabytes_that_are_read_for_their_hashes_are_told_of(copied, monkeypatch, caplog):
    folder = copied()
    hf.card(folder)
    assert "read once for their hashes" not in caplog.text
    monkeypatch.setattr(hashes, "SMALL", 0)
    monkeypatch.setattr(cards, "LONG_READ", 1)
    hf.card(folder)
    assert "of weights are read once for their hashes, which takes a while (1 fil" in caplog.text
    caplog.clear()
    hf.card(folder)
    assert not caplog.text


def test_a_card_is_read_without_torch_and_diffusers(pipelines):
    import subprocess

    folder = pipelines("sd")[1]
    code = (
        "import sys; from diffview.models import catalog;"
        f"card = catalog.find({str(folder)!r}).card; print(card.family, card.parameters);"
        "assert not {'torch', 'diffusers', 'transformers'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("diffusers")


def test_the_card_says_what_the_folder_says(pipelines):
    pipeline, folder = pipelines("sd2")
    (folder / "README.md").write_text("---\nlicense: openrail++\ntags:\n- x\n---\n# Tiny\n")
    card = catalog.find(str(folder)).card
    assert card.prediction == "v"
    assert (card.data_shape, card.picture_shape) == ((4, 8, 8), (3, 16, 16))
    assert card.takes_text and card.text_tokens == 77
    assert card.licence == "openrail++"
    parts = (pipeline.unet, pipeline.vae, pipeline.text_encoder)
    assert card.parameters == sum(p.numel() for part in parts for p in part.parameters())
    acp = pipeline.scheduler.alphas_cumprod
    assert card.schedule.T == 1000 and card.schedule.name == "scaled_linear"
    np.testing.assert_allclose(card.schedule.level(500).alphas_cumprod, acp[500], rtol=1e-5)
    assert len(card.weights_sha256) == 64


def test_the_command_line_says_all_that_was_read(pipelines, capsys):
    from diffview.cli import main

    assert main(["models", str(pipelines("flux")[1])]) == 0
    told = capsys.readouterr().out
    for words in ("FluxPipeline", "4x8x8 latents, decoded to 3x16x16", "predicts    flow",
                  "a prompt of up to 512 tokens", "flow, continuous", "distilled", "shift",
                  "transformer: FluxTransformer2DModel", "not stated", "an empty prompt",
                  "AutoencoderKL of z / 0.3611 + 0.1159",
                  "transformer/diffusion_pytorch_model.safetensors"):  # fmt: skip
        assert words in told


@pytest.mark.parametrize(
    ("name", "null"),
    [("ddpm", ""), ("classes", "none: it always needs a class"), ("ldm", ""),
     ("dit", "class 1000, the one after the last"), ("sd", "CLIP's states of an empty prompt"),
     ("sdxl", "zeros, not an empty prompt"),
     ("pixart", "T5's states of an empty prompt, and its mask")],
)  # fmt: skip
def test_what_stands_for_no_condition_is_told(pipelines, name, null):
    assert catalog.find(str(pipelines(name)[1])).card.null_condition == null


def test_every_file_of_weights_is_told_with_its_own_hash(pipelines):
    folder = pipelines("sd")[1]
    told = {name: (size, sha256) for name, size, sha256 in hf.files(folder)}
    held = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*.safetensors")}
    assert told == {
        name: (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        for name, path in held.items()
    }


@pytest.mark.parametrize(
    ("scale", "message"),
    [("much", 'scaling_factor = "much", expected is a number'), (0, "scaling_factor is 0"),
     (float("nan"), "scaling_factor = NaN, expected is a number")],
)  # fmt: skip
def test_a_scale_of_latents_that_is_none_is_refused(edited, scale, message):
    refused(edited("vae/config.json", lambda v: v.update(scaling_factor=scale), "sd"), message)


def test_a_tokenizer_of_more_words_than_the_text_model_knows_is_refused(copied):
    folder = copied("sd")
    words = json.loads((folder / "tokenizer/tokenizer.json").read_text())
    words["model"]["vocab"]["dragon</w>"] = len(words["model"]["vocab"])
    (folder / "tokenizer/tokenizer.json").write_text(json.dumps(words))
    refused(folder, r"vocab_size = 518, but the words of .*tokenizer go up to number 518: they do")


def test_words_in_sentencepieces_form_alone_need_its_package(copied, monkeypatch):
    folder = copied("pixart")
    (folder / "tokenizer/tokenizer.json").rename(folder / "tokenizer/spiece.model")
    monkeypatch.setattr(hf, "is_installed", lambda name: name != "sentencepiece")
    refused(folder, r"needs sentencepiece, not installed here: .*'diffview\[hf\]'")


def test_words_in_sentencepieces_form_are_read_as_it_reads_them(copied, monkeypatch, tmp_path):
    sentencepiece = pytest.importorskip("sentencepiece")
    text = tmp_path / "text.txt"
    text.write_text("a cat and a dog sat on the mat while the moon rose\n" * 20)
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(tmp_path / "spiece"), vocab_size=40, pad_id=0,
        eos_id=1, unk_id=2, bos_id=-1, hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    folder = copied("pixart")
    (folder / "tokenizer/tokenizer.json").unlink()
    (tmp_path / "spiece.model").rename(folder / "tokenizer/spiece.model")
    own = sentencepiece.SentencePieceProcessor(str(folder / "tokenizer/spiece.model"))
    part = hf.folder.read(folder, hf.FAMILIES).part("tokenizer")
    found = build.tokenizer(part)("a cat on the moon").input_ids
    assert found == [*own.encode("a cat on the moon"), own.eos_id()]


PNDM = {
    "_class_name": "PNDMScheduler", "_diffusers_version": "0.6.0", "beta_start": 0.00085,
    "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000,
    "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1,
    "trained_betas": None, "clip_sample": False,
}  # fmt: skip


def test_a_folder_as_stable_diffusion_1_was_published_opens(copied):
    """PNDM, a safety checker, an autoencoder that tells no scale, weights in half precision."""
    folder = copied("sd")
    index = json.loads((folder / "model_index.json").read_text())
    index["scheduler"] = ["diffusers", "PNDMScheduler"]
    index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    index["feature_extractor"] = ["transformers", "CLIPFeatureExtractor"]
    (folder / "model_index.json").write_text(json.dumps(index))
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(PNDM))
    for file in folder.rglob("*.safetensors"):
        half = {name: tensor.half() for name, tensor in load_file(file).items()}
        file.unlink()
        save_file(half, file.with_name(file.name.replace(".safe", ".fp16.safe")))
    model = sampling.open_model(catalog.find(str(folder)), "cpu")
    card = model.card
    assert (card.prediction, card.schedule.name, card.schedule.T) == ("eps", "scaled_linear", 1000)
    told = "; ".join(card.notes)
    for words in ("PNDMScheduler has no counterpart here: DDIM is offered on its noise schedule",
                  "safety_checker (StableDiffusionSafetyChecker) is not loaded",
                  "set_alpha_to_one is off", "unet: only the fp16 weights are here"):  # fmt: skip
        assert words in told
    spec = sampling.spec_for(card, steps=2, prompt="a cat")
    assert (spec.sampler, spec.spacing) == ("ddim", "leading")
    run = sampling.trajectory_for(card, spec)
    for _ in sampling.sample_into(run, model):
        pass
    assert np.isfinite(run[2].x_t).all()
