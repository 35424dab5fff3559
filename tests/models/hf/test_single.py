"""One file of a whole Stable Diffusion: diffusers' own converters read what we read of it.

The files have the parts and the names of the real ones and tiny networks; CLIP's tokenizer is
the real one.
"""

from __future__ import annotations

import json
from dataclasses import replace

import diffusers
import pytest
import torch
import transformers
from diffusers.loaders import single_file_utils as theirs
from safetensors.torch import load_file, save_file

from diffview.errors import InputError
from diffview.models import catalog, hashes, sampling
from diffview.models.hf import clip_tokenizer, single, weights

BLOCKS = {
    "block_out_channels": [8, 16],
    "norm_num_groups": 4,
    "layers_per_block": 1,
    "sample_size": 8,
}
UNET = {
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
    "attention_head_dim": 2,
}
VAE = {
    "down_block_types": ["DownEncoderBlock2D"] * 2,
    "up_block_types": ["UpDecoderBlock2D"] * 2,
    "sample_size": 16,
}
XL = {
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
    "transformer_layers_per_block": [1, 2],
    "attention_head_dim": [2, 2],
    "addition_time_embed_dim": 4,
    "projection_class_embeddings_input_dim": 6 * 4 + 24,
}


def text(width):
    return {"hidden_size": width, "intermediate_size": 2 * width, "projection_dim": width,
            "num_hidden_layers": 2, "num_attention_heads": 2}  # fmt: skip


SMALL = {
    "1": {"unet": UNET | {"cross_attention_dim": 16}, "text_encoder": text(16)},
    "2": {"unet": UNET | {"cross_attention_dim": 24}, "text_encoder": text(24)},
    "xl": {
        "unet": UNET | XL | {"cross_attention_dim": 40},
        "text_encoder": text(16),
        "text_encoder_2": text(24),
    },
}
REAL = {version: kind.configs["unet"] for version, kind in single.KINDS.items()}
METADATA = {"2": {"modelspec.prediction_type": "v", "modelspec.license": "a licence"}}


@pytest.fixture(scope="module")
def tiny():
    """The three versions with tiny sizes in their configurations."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(single, "WIDTHS", {16: "1", 24: "2"})
        for name, kind in single.KINDS.items():
            sizes = {**SMALL[name], "vae": VAE | BLOCKS}
            sizes["unet"] = sizes["unet"] | BLOCKS
            configs = {part: {**config, **sizes[part]} for part, config in kind.configs.items()}
            patch.setitem(single.KINDS, name, replace(kind, configs=configs))
        yield


@pytest.fixture(scope="module")
def written(tiny, builders, tmp_path_factory):
    """version -> (its networks, the file that holds them), made at first use."""
    made = {}

    def get(version):
        if version not in made:
            path = tmp_path_factory.mktemp("single") / f"sd{version}.safetensors"
            networks = _networks(single.KINDS[version], builders.loud)
            save_file(_stored(version, networks), path, METADATA.get(version))
            made[version] = networks, path
        return made[version]

    return get


def _networks(kind, loud):
    torch.manual_seed(0)
    configs = kind.configs
    networks = {
        "unet": diffusers.UNet2DConditionModel.from_config(configs["unet"]),
        "vae": diffusers.AutoencoderKL.from_config(configs["vae"]),
    }
    for part, (cls, _, _) in kind.texts.items():
        config = transformers.CLIPTextConfig(**configs[part])
        networks[part] = getattr(transformers, cls)(config)
    return {part: loud(network) for part, network in networks.items()}


def _stored(version, networks):
    """The tensors under the names, and as the matrices, of such a file."""
    kind, tensors, pieces = single.KINDS[version], {}, {}
    for part, network in networks.items():
        for name, tensor in network.state_dict().items():
            known = single.stored_as(kind, part, name)
            if known.parts > 1:
                pieces.setdefault(known.name, {})[known.part] = tensor
            else:
                tensors[known.name] = tensor.T.contiguous() if known.transposed else tensor
    for name, found in pieces.items():
        tensors[name] = torch.cat([found[k] for k in sorted(found)])
    for name, tensor in tensors.items():  # attention of the first autoencoders was a convolution
        if ".attn_1." in name and tensor.ndim == 2:
            tensors[name] = tensor[..., None, None]
    return tensors


def pipeline_of(version, networks):
    kind = single.KINDS[version]
    words = {
        name: clip_tokenizer.make(transformers.CLIPTokenizer, pad)
        for name, pad in kind.pads.items()
    }
    prediction = "v_prediction" if version == "2" else "epsilon"
    settings = {k: v for k, v in single.SCHEDULER.items() if k != "steps_offset"}
    scheduler = diffusers.DDIMScheduler(
        **settings | {"prediction_type": prediction, "timestep_spacing": "trailing"}
    )
    if version == "xl":
        more = {"add_watermarker": False}
    else:
        more = {"safety_checker": None, "feature_extractor": None,
                "requires_safety_checker": False}  # fmt: skip
    pipeline = getattr(diffusers, kind.pipeline)(**networks, **words, scheduler=scheduler, **more)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


VERSIONS = ["1", "2", "xl"]


@pytest.mark.parametrize("version", VERSIONS)
def test_diffusers_own_converters_find_every_tensor_where_we_do(written, version):
    networks, path = written(version)
    held, kind = load_file(path), single.KINDS[version]
    found = {
        "unet": theirs.convert_ldm_unet_checkpoint(dict(held), networks["unet"].config),
        "vae": theirs.convert_ldm_vae_checkpoint(dict(held), networks["vae"].config),
    }
    for part, (_, prefix, is_open) in kind.texts.items():
        if is_open:
            names = theirs.convert_open_clip_checkpoint(networks[part], dict(held), prefix)
        else:
            names = theirs.convert_ldm_clip_checkpoint(dict(held), remove_prefix=prefix)
        found[part] = {n: t for n, t in names.items() if "position_ids" not in n}
    for part, network in networks.items():
        plain = {n.removeprefix("text_model."): t for n, t in found[part].items()}
        expected = {n.removeprefix("text_model."): t for n, t in network.state_dict().items()}
        assert plain.keys() == expected.keys(), part
        assert all(torch.equal(plain[n].flatten(), t.flatten()) for n, t in expected.items())


@pytest.mark.parametrize("version", VERSIONS)
def test_a_single_file_denoises_as_the_pipeline_of_its_parts(written, version):
    networks, path = written(version)
    model = sampling.open_model(catalog.find(str(path)), "cpu")
    start = torch.randn((1, *model.card.data_shape), generator=torch.manual_seed(3))
    side = model.card.picture_shape[-1]
    expected = pipeline_of(version, networks)(
        "a cat on mars", negative_prompt="dog", num_inference_steps=4, guidance_scale=3.0,
        latents=start.clone(), output_type="latent", height=side, width=side,
    ).images  # fmt: skip
    spec = sampling.spec_for(
        model.card, steps=4, seeds=(0,), sampler="ddim", spacing="trailing", guidable=True,
        prompt="a cat on mars", negative_prompt="dog", guidance=3.0, options={},
    )  # fmt: skip
    run = sampling.trajectory_for(model.card, spec)
    for _ in sampling.sample_into(run, model, start.numpy()):
        pass
    assert abs(torch.tensor(run[4].x_t) - expected).max() <= 1e-5 * max(1, expected.abs().max())


def test_the_card_says_what_the_file_says(written):
    networks, path = written("2")
    card = catalog.find(str(path)).card
    assert (card.id, card.prediction, card.licence) == ("sd2", "v", "a licence")
    assert card.weights_sha256 == hashes.sha256(path)
    assert card.parameters == sum(
        tensor.numel() for net in networks.values() for tensor in net.state_dict().values()
    )
    assert "a single file of Stable Diffusion 2: its configuration is the usual one" in card.notes


def test_a_version_2_that_does_not_say_what_it_predicts_asks_for_it(written, tmp_path):
    _, source = written("2")
    path = tmp_path / "unknown.safetensors"
    save_file(load_file(source), path)
    with pytest.raises(InputError, match=r'beside it {"prediction_type": "v_pre'):
        catalog.find(str(path))
    path.with_suffix(".json").write_text(json.dumps({"prediction_type": "epsilon"}))
    card = catalog.find(str(path)).card
    assert card.prediction == "eps"
    assert "unknown.json beside it says prediction_type" in card.notes


def test_a_json_beside_that_says_otherwise_than_the_file_holds_and_is_told(written, tmp_path):
    path = tmp_path / "both.safetensors"
    tensors = load_file(written("1")[1]) | {"v_pred": torch.zeros(1), "ztsnr": torch.zeros(1)}
    save_file(tensors, path)
    assert catalog.find(str(path)).card.prediction == "v"
    path.with_suffix(".json").write_text(json.dumps({"prediction_type": "epsilon"}))
    card = catalog.find(str(path)).card
    assert card.prediction == "eps"
    assert card.schedule.level(999).alpha == 0, "what the JSON is silent of, the file says"
    assert "both.json says prediction_type = 'epsilon', the file itself 'v_prediction'" in (
        "; ".join(card.notes)
    )


def test_a_json_of_another_programs_is_left_alone(written, tmp_path):
    path = tmp_path / "sd.safetensors"
    save_file(load_file(written("1")[1]), path)
    expected = catalog.find(str(path)).card
    other = {"description": "a model", "sd version": "SD1", "preferred weight": 10**12}
    path.with_suffix(".json").write_text(json.dumps(other))
    assert catalog.find(str(path)).card == expected


NOTES_OF_OTHERS = {
    "a list": b'[{"prediction_type": "v_prediction"}]',
    "no JSON": b"prediction_type: v_prediction",
    "not UTF-8": '{"author": "Jos\u00e9"}'.encode("latin-1"),
    "over 16 MB": b'{"preview": "' + b"x" * 2**24 + b'"}',
}


@pytest.mark.parametrize("content", NOTES_OF_OTHERS.values(), ids=NOTES_OF_OTHERS)
def test_a_json_that_is_none_of_ours_is_as_if_it_were_not_there_and_told(
    written, tmp_path, content
):
    path = tmp_path / "sd.safetensors"
    save_file(load_file(written("1")[1]), path)
    expected = catalog.find(str(path)).card
    path.with_suffix(".json").write_bytes(content)
    card = catalog.find(str(path)).card
    assert replace(card, notes=()) == replace(expected, notes=())
    [note] = set(card.notes) - set(expected.notes)
    assert note.startswith("sd.json beside it is ") and note.endswith(": it is not read")


def test_what_would_be_a_way_to_code_in_a_folder_is_nothing_beside_a_file(written, tmp_path):
    path = tmp_path / "sd.safetensors"
    save_file(load_file(written("1")[1]), path)
    other = {"preview_file": "../a picture.png", "auto_map": "x", "prediction_type": "epsilon"}
    path.with_suffix(".json").write_text(json.dumps(other))
    assert "sd.json beside it says prediction_type" in catalog.find(str(path)).card.notes


def test_a_bad_value_of_a_key_that_is_read_beside_a_file_is_refused(written, tmp_path):
    path = tmp_path / "sd.safetensors"
    save_file(load_file(written("1")[1]), path)
    path.with_suffix(".json").write_text(json.dumps({"prediction_type": "speed"}))
    with pytest.raises(InputError, match="prediction_type 'speed' is not known"):
        catalog.find(str(path))


def test_a_version_2_beside_a_damaged_json_says_that_it_was_not_read(written, tmp_path):
    path = tmp_path / "unknown.safetensors"
    save_file(load_file(written("2")[1]), path)
    path.with_suffix(".json").write_text('{"prediction_type": "epsilon",}')
    with pytest.raises(
        InputError,
        match=r"does not say what it predicts.*; unknown.json beside it is damaged.*not read",
    ):
        catalog.find(str(path))


def changed(written, tmp_path, change):
    tensors = load_file(written("1")[1])
    change(tensors)
    path = tmp_path / "changed.safetensors"
    save_file(tensors, path)
    return path


def without(prefix):
    return lambda held: [held.pop(name) for name in list(held) if name.startswith(prefix)]


@pytest.mark.parametrize(
    ("prefix", "part"), [("first_stage_model.", "vae"), ("cond_stage_model.", "text_encoder")]
)
def test_a_file_without_one_of_its_parts_is_refused_by_its_name(written, tmp_path, prefix, part):
    path = changed(written, tmp_path, without(prefix))
    with pytest.raises(InputError, match=f"has no {part} .*needs all of"):
        catalog.find(str(path))


def test_a_missing_tensor_is_refused_by_its_name_in_the_file(written, tmp_path):
    path = changed(written, tmp_path, without("model.diffusion_model.out.2.bias"))
    with pytest.raises(InputError, match=r"lacks tensor 'conv_out.bias'"):
        sampling.open_model(catalog.find(str(path)), "cpu")


def test_a_file_for_inpainting_is_refused(written, tmp_path):
    def widen(held):
        held[single.FIRST] = torch.zeros(8, 9, 3, 3)

    with pytest.raises(InputError, match=r"takes 9 channels: models for inpainting"):
        catalog.find(str(changed(written, tmp_path, widen)))


@pytest.mark.parametrize("version", VERSIONS)
def test_the_real_configurations_make_the_published_sizes(version):
    """Parameters of the U-Nets of 1.5, 2.1 and XL: 860 M, 866 M and 2,567 M (table 1 of XL)."""
    from accelerate import init_empty_weights

    with init_empty_weights():
        unet = diffusers.UNet2DConditionModel.from_config(REAL[version])
    published = {"1": 860, "2": 866, "xl": 2567}[version]
    assert round(unet.num_parameters() / 1e6) == published


def test_the_tokenizer_is_clips_own():
    """The numbers that CLIP's code gives for its own example's words."""
    tokenizer = clip_tokenizer.make(transformers.CLIPTokenizer, "<|endoftext|>")
    assert len(tokenizer) == 49408
    assert tokenizer("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]


def test_what_a_part_holds_is_found_by_its_prefix(written):
    _, path = written("1")
    vae = single.read(path).parts["vae"]
    assert all(name.startswith("first_stage_model.") for name in weights.find(vae).tensors)
