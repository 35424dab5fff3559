"""One builder for each family: the smallest networks that have all of its parts."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import diffusers
import torch
import transformers
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    T5Config,
    T5EncoderModel,
)

BLOCKS = ("DownBlock2D", "AttnDownBlock2D")
SMALL = {"layers_per_block": 1, "norm_num_groups": 4}


def loud(module):
    """Weights large enough that a wrong one shows: fresh ones are nearly silent."""
    generator = torch.Generator().manual_seed(1)
    for name, parameter in module.named_parameters():
        if parameter.ndim > 1 and "norm" not in name:
            fan_in = parameter[0].numel()
            parameter.data.normal_(0, fan_in**-0.5, generator=generator)
        elif name.endswith("bias"):
            parameter.data.normal_(0, 0.05, generator=generator)
    return module.eval()


def unet2d(channels=3, size=16, **more):
    return loud(
        diffusers.UNet2DModel(
            sample_size=size, in_channels=channels, out_channels=channels,
            block_out_channels=(8, 16), down_block_types=BLOCKS,
            up_block_types=("AttnUpBlock2D", "UpBlock2D"), attention_head_dim=4,
            **SMALL, **more,
        )
    )  # fmt: skip


def unet2d_condition(cross, **more):
    return loud(
        diffusers.UNet2DConditionModel(
            sample_size=8, in_channels=4, out_channels=4, block_out_channels=(8, 16),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=cross, **SMALL, **{"attention_head_dim": 2, **more},
        )
    )  # fmt: skip


def kl(channels=4, **more):
    return loud(
        diffusers.AutoencoderKL(
            in_channels=3, out_channels=3, latent_channels=channels, block_out_channels=(8, 16),
            down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
            norm_num_groups=4, sample_size=16, **more,
        )
    )  # fmt: skip


def clip_tokenizer():
    """Bytes, their word ends, a few merges: about 520 entries, as CLIP's own begins."""
    letters = [chr(c) for c in (*range(33, 127), *range(161, 173), *range(174, 256))]
    letters += [chr(256 + n) for n in range(256 - len(letters))]
    merges = [("c", "a"), ("ca", "t</w>"), ("d", "o"), ("do", "g</w>")]
    words = [*letters, *(letter + "</w>" for letter in letters), *("".join(m) for m in merges)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "vocab.json").write_text(json.dumps({w: k for k, w in enumerate(words)}))
        text = "#version: 0.2\n" + "\n".join(" ".join(pair) for pair in merges) + "\n"
        (place / "merges.txt").write_text(text)
        (place / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 77}))
        return transformers.CLIPTokenizer.from_pretrained(folder)


def t5_tokenizer():
    """A unigram model of 100 pieces or so."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    pieces += [(chr(c), -5.0) for c in range(33, 127)]
    pieces += [("▁cat", -3.0), ("▁dog", -3.0), ("▁a", -3.0)]
    return transformers.T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=512)


def clip(tokenizer, width=16, projection=None):
    config = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=2 * width,
        num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=77,
        projection_dim=projection or width, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    cls = CLIPTextModel if projection is None else CLIPTextModelWithProjection
    return loud(cls(config))


def t5(tokenizer, width=16):
    config = T5Config(
        vocab_size=len(tokenizer), d_model=width, d_kv=8, d_ff=32, num_layers=1, num_heads=2,
        feed_forward_proj="gated-gelu",
    )  # fmt: skip
    return loud(T5EncoderModel(config))


def ddim(**more):
    settings = {"clip_sample": False, "set_alpha_to_one": True, "timestep_spacing": "trailing"}
    return diffusers.DDIMScheduler(**settings | more)


def latent_ddim(**more):
    ends = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    return ddim(**ends | more)


def make_ddpm():
    return diffusers.DDPMPipeline(unet2d(), diffusers.DDPMScheduler())


def make_ddim():
    return diffusers.DDIMPipeline(unet2d(), ddim())


def make_classes():
    return diffusers.DDIMPipeline(unet2d(num_class_embeds=5), ddim())


def make_ldm():
    vq = diffusers.VQModel(
        in_channels=3, out_channels=3, latent_channels=3, block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4, num_vq_embeddings=32, vq_embed_dim=3, sample_size=16,
    )  # fmt: skip
    return diffusers.LDMPipeline(loud(vq), unet2d(size=8), latent_ddim())


def dit_like(cls, **more):
    return loud(
        cls(
            num_attention_heads=2, attention_head_dim=8, in_channels=4, out_channels=8,
            num_layers=2, norm_num_groups=4, sample_size=8, patch_size=2, **more,
        )
    )  # fmt: skip


def make_dit():
    transformer = dit_like(
        diffusers.DiTTransformer2DModel, norm_type="ada_norm_zero", num_embeds_ada_norm=1000,
        activation_fn="gelu-approximate", norm_elementwise_affine=False,
    )  # fmt: skip
    return diffusers.DiTPipeline(transformer, kl(scaling_factor=0.18215), latent_ddim())


def make_sd(prediction="epsilon"):
    tokenizer = clip_tokenizer()
    return diffusers.StableDiffusionPipeline(
        vae=kl(scaling_factor=0.18215), text_encoder=clip(tokenizer), tokenizer=tokenizer,
        unet=unet2d_condition(16), scheduler=latent_ddim(prediction_type=prediction),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def make_sd2():
    return make_sd("v_prediction")


def make_sdxl():
    tokenizer, width = clip_tokenizer(), 12
    unet = unet2d_condition(
        16 + 24, addition_embed_type="text_time", addition_time_embed_dim=4,
        projection_class_embeddings_input_dim=6 * 4 + width,
    )  # fmt: skip
    return diffusers.StableDiffusionXLPipeline(
        vae=kl(scaling_factor=0.13025, force_upcast=True), text_encoder=clip(tokenizer),
        text_encoder_2=clip(tokenizer, 24, projection=width), tokenizer=tokenizer,
        tokenizer_2=tokenizer, unet=unet, scheduler=latent_ddim(), add_watermarker=False,
    )  # fmt: skip


def make_pixart(pipeline=diffusers.PixArtSigmaPipeline, **more):
    tokenizer = t5_tokenizer()
    transformer = dit_like(
        diffusers.PixArtTransformer2DModel, cross_attention_dim=16, caption_channels=16,
        norm_type="ada_norm_single", activation_fn="gelu-approximate",
        norm_elementwise_affine=False, use_additional_conditions=False, **more,
    )  # fmt: skip
    return pipeline(
        tokenizer=tokenizer, text_encoder=t5(tokenizer), vae=kl(scaling_factor=0.13025),
        transformer=transformer, scheduler=latent_ddim(),
    )  # fmt: skip


def make_pixart_alpha():
    return make_pixart(diffusers.PixArtAlphaPipeline)


def make_sd3(long_text=True):
    tokenizer, t5_words = clip_tokenizer(), t5_tokenizer()
    transformer = diffusers.SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, out_channels=4, num_layers=2,
        attention_head_dim=8, num_attention_heads=2, joint_attention_dim=48,
        caption_projection_dim=16, pooled_projection_dim=16 + 24, pos_embed_max_size=8,
    )  # fmt: skip
    return diffusers.StableDiffusion3Pipeline(
        transformer=loud(transformer),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=kl(scaling_factor=1.5305, shift_factor=0.0609),
        text_encoder=clip(tokenizer, 16, projection=16), tokenizer=tokenizer,
        text_encoder_2=clip(tokenizer, 24, projection=24), tokenizer_2=tokenizer,
        text_encoder_3=t5(t5_words, 48) if long_text else None,
        tokenizer_3=t5_words if long_text else None,
    )  # fmt: skip


def make_sd3_short():
    return make_sd3(long_text=False)


def make_flux(guidance_embeds=True):
    tokenizer, t5_words = clip_tokenizer(), t5_tokenizer()
    transformer = diffusers.FluxTransformer2DModel(
        patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=24, pooled_projection_dim=16,
        axes_dims_rope=(4, 4, 8), guidance_embeds=guidance_embeds,
    )  # fmt: skip
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(
        shift=3.0, use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15
    )
    return diffusers.FluxPipeline(
        scheduler=scheduler, vae=kl(scaling_factor=0.3611, shift_factor=0.1159),
        text_encoder=clip(tokenizer), tokenizer=tokenizer, text_encoder_2=t5(t5_words, 24),
        tokenizer_2=t5_words, transformer=loud(transformer),
    )  # fmt: skip


def make_schnell():
    return make_flux(guidance_embeds=False)


PIPELINES = {
    "ddpm": make_ddpm,
    "ddim": make_ddim,
    "classes": make_classes,
    "ldm": make_ldm,
    "dit": make_dit,
    "sd": make_sd,
    "sd2": make_sd2,
    "sdxl": make_sdxl,
    "pixart": make_pixart,
    "pixart_alpha": make_pixart_alpha,
    "sd3": make_sd3,
    "sd3_short": make_sd3_short,
    "flux": make_flux,
    "schnell": make_schnell,
}
