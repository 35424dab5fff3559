"""The tokenizer's recipe: the codes follow the encoder, and only the tokenizer is shipped."""

from dataclasses import replace

import numpy as np
import torch

from diffview.models.tokenizer import Quantised, TokenizerConfig
from diffview.training.loop import Trainer, TrainSettings
from diffview.training.recipes.emoji_vq import CODE_DECAY, EmojiVq, Learning, VqTask

TINY = TokenizerConfig(size=16, codes=8, depth=2, narrow=4, wide=8, blocks=1)


def chosen_by(indices):
    return Quantised(indices, torch.zeros(0), torch.zeros(0))


def test_a_code_that_is_chosen_moves_towards_the_mean_of_its_vectors():
    learning = Learning(TINY)
    learning.counts.fill_(2.0)
    learning.sums.zero_()  # all codes at 0, each with the weight of two vectors
    z = torch.tensor([[3.0, 5.0], [1.0, 3.0]]).view(1, 2, 1, 2)  # vectors (3, 1) and (5, 3)
    learning.follow(z, chosen_by(torch.tensor([[[4, 4]]])), torch.Generator().manual_seed(0))
    # N <- d 2 + (1 - d) 2,  m <- (1 - d) (8, 4):  eq. (6) to (8) of arXiv 1711.00937, appendix A.1
    expected = (1 - CODE_DECAY) * np.array([8, 4]) / 2
    np.testing.assert_allclose(learning.tokenizer.codebook[4], expected, rtol=1e-5)
    assert torch.all(learning.tokenizer.codebook[3] == 0)


def test_a_code_that_nothing_chooses_is_moved_onto_a_vector():
    learning = Learning(TINY)
    learning.counts.fill_(1.0)
    learning.counts[5] = 0.0
    z = torch.tensor([[3.0, 5.0], [1.0, 3.0]]).view(1, 2, 1, 2)
    learning.follow(z, chosen_by(torch.tensor([[[4, 4]]])), torch.Generator().manual_seed(0))
    assert tuple(learning.tokenizer.codebook[5].tolist()) in {(3, 1), (5, 3)}


def task():
    pictures = torch.randint(0, 256, (16, 3, 16, 16), dtype=torch.uint8)
    return VqTask(pictures, config=TINY)


def test_training_lowers_the_loss_and_judging_moves_no_code():
    trainer = Trainer(task(), TrainSettings(samples=480, batch=8, warmup_steps=2))
    losses = [progress.loss for progress in trainer.run()]
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:5])
    before = trainer.network.tokenizer.codebook.clone()
    with torch.no_grad():
        trainer.task.loss(trainer.network, torch.arange(8), torch.Generator().manual_seed(0))
    assert torch.equal(trainer.network.tokenizer.codebook, before)


def test_a_stopped_and_resumed_training_equals_one_that_was_not_stopped(tmp_path):
    settings = TrainSettings(samples=96, batch=8, warmup_steps=2)
    torch.manual_seed(0)
    data = task()
    whole, first, second = (Trainer(data, settings) for _ in range(3))
    for _ in whole.run():
        pass
    for _ in range(5):
        first.train_step()
    first.save(tmp_path / "t.ckpt")
    second.resume(tmp_path / "t.ckpt")
    for _ in second.run():
        pass
    expected = whole.network.state_dict()
    assert all(torch.equal(v, expected[k]) for k, v in second.network.state_dict().items())


def test_what_only_learning_needs_is_not_shipped():
    recipe = replace(EmojiVq(), network=TINY)
    names = set(recipe.shipped(Learning(TINY)).state_dict())
    assert "codebook" in names and not {"counts", "sums"} & names
