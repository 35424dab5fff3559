"""The contest: each loss moves its own player only, and only the tokenizer is shipped."""

import pytest
import torch

from diffview.models.tokenizer import Tokenizer, TokenizerConfig
from diffview.training.loop import Trainer, TrainSettings
from diffview.training.recipes import emoji_vqgan
from diffview.training.recipes.emoji_vqgan import Contest, ContestTask, EmojiVqGan

TINY = TokenizerConfig(size=16, codes=8, depth=2, narrow=4, wide=8, blocks=1)


@pytest.fixture
def start():
    torch.manual_seed(0)
    tokenizer = Tokenizer(TINY)
    tokenizer.codebook.normal_()
    return tokenizer.eval().requires_grad_(False)


@pytest.fixture
def task(start):
    pictures = torch.randint(0, 256, (16, 3, 16, 16), dtype=torch.uint8)
    return ContestTask(pictures, start)


def test_encoder_and_codebook_stay_and_the_decoder_learns(task, start):
    trainer = Trainer(task, TrainSettings(samples=160, batch=8, warmup_steps=1))
    for _ in trainer.run():
        pass
    before, after = start.state_dict(), trainer.network.tokenizer.state_dict()
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert {name for name in before if not name.startswith("decoder")} <= same
    assert len(same) < len(before)
    assert trainer.network.tokenizer.codebook_sha256 == start.codebook_sha256


def test_the_decoder_s_loss_does_not_reach_the_discriminator_nor_the_other_way_round(
    task, monkeypatch
):
    network = task.network()
    monkeypatch.setattr(emoji_vqgan, "BEGIN", 0)
    indices, generator = torch.arange(8), torch.Generator().manual_seed(0)
    task.loss(network, indices, generator).backward()
    both = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
    network.zero_grad()
    monkeypatch.setattr(emoji_vqgan, "BEGIN", 10**6)
    task.loss(network, indices, torch.Generator().manual_seed(0)).backward()
    alone = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    assert set(alone) == set(both)
    for name, gradient in alone.items():
        if name.startswith("discriminator"):  # the decoder's part of the loss added nothing
            torch.testing.assert_close(gradient, both[name], rtol=1e-4, atol=1e-6)
    assert all(name.startswith(("tokenizer.decoder", "discriminator")) for name in alone)
    assert not torch.equal(alone["tokenizer.decoder.0.weight"], both["tokenizer.decoder.0.weight"])


def test_judging_is_about_reconstruction_alone_and_counts_no_step(task):
    network = task.network()
    with torch.no_grad():
        task.loss(network, torch.arange(8), torch.Generator().manual_seed(0))
    assert int(network.steps) == 0


def test_only_the_tokenizer_is_shipped(start):
    assert isinstance(EmojiVqGan().shipped(Contest(start)), Tokenizer)
