"""The loop: the rate's shape, the order of the data, and a resumed training's every bit."""

import errno
import functools
import itertools
import math
import operator
from dataclasses import dataclass, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from diffview.errors import DiffviewError, InputError
from diffview.training.loop import Progress, Trainer, TrainSettings, generator_key, read_settings
from diffview.training.recipes.fashion import stratified_times

torch.set_num_threads(1)

SETTINGS = TrainSettings(samples=200, batch=8, warmup_steps=4, seed=0)


@dataclass
class Line:
    """Fit y = w x to noisy points of y = 3 x; notes which samples and what noise it was given."""

    name: str = "line"
    count: int = 20
    width: int = 1
    spoil_at: int | None = None

    def __post_init__(self):
        self.seen, self.noise = [], []

    def __len__(self):
        return self.count

    def network(self):
        return nn.Sequential(nn.Linear(self.width, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))

    def loss(self, network, indices, generator):
        noise = torch.randn(len(indices), 1, generator=generator)
        self.seen.append(indices.tolist())
        self.noise.append(noise.flatten().tolist())
        x = (indices.float() / self.count).view(-1, 1).expand(-1, self.width)
        loss = (network(x) - 3 * x[:, :1] + 0.1 * noise).square().mean()
        return loss * float("nan") if len(self.seen) - 1 == self.spoil_at else loss


def trained(steps, task=None, given=SETTINGS):
    trainer = Trainer(task or Line(), given)
    for _ in range(steps):
        trainer.train_step()
    return trainer


def state(trainer):
    return {
        "network": trainer.network.state_dict(),
        "averaged": trainer.averaged.state_dict(),
        "optimiser": trainer.optimiser.state_dict()["state"],
    }


def assert_same_bits(one, other):
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same_bits(one[key], other[key])
    else:
        assert one == other


@pytest.mark.parametrize("killed_after", [1, 2, 3, 13, 24])
def test_a_training_killed_and_resumed_equals_one_that_never_stopped(tmp_path, killed_after):
    path = tmp_path / "line.ckpt"
    whole_task = Line()
    whole = trained(25, whole_task)
    trained(killed_after).save(path)
    torch.manual_seed(123)  # a fresh process has another global generator
    task = Line()
    resumed = Trainer(task, SETTINGS)
    resumed.resume(path)
    assert resumed.step == killed_after
    progress = list(resumed.run())
    assert_same_bits(state(resumed), state(whole))
    assert task.seen == whole_task.seen[killed_after:]
    assert task.noise == whole_task.noise[killed_after:]
    assert [p.step for p in progress] == list(range(killed_after + 1, 26))


def test_global_random_numbers_have_no_part_in_a_training():
    one = trained(0)
    other = trained(0)
    torch.manual_seed(1)
    for _ in range(5):
        one.train_step()
    torch.manual_seed(2)
    for _ in range(5):
        other.train_step()
    assert_same_bits(state(one), state(other))


def test_another_seed_gives_another_start_another_order_and_other_noise():
    tasks = [Line() for _ in range(3)]
    trainers = [
        trained(5, task, replace(SETTINGS, seed=seed))
        for task, seed in zip(tasks, (0, 1, 7), strict=False)
    ]
    for k in (1, 2):
        assert tasks[k].seen != tasks[0].seen
        assert tasks[k].noise != tasks[0].noise
        weights = [t.network.state_dict()["0.weight"] for t in (trainers[0], trainers[k])]
        assert not torch.equal(*weights)


def test_no_two_seeds_share_any_noise_within_a_long_training():
    # Keys of step k under seed s that met would give two trainings the same random numbers.
    keys = {generator_key(seed, step) for seed in range(100) for step in range(0, 10**6, 997)}
    assert len(keys) == 100 * len(range(0, 10**6, 997))
    starts = sorted(generator_key(seed, 0) for seed in range(100))
    gaps = [b - a for a, b in itertools.pairwise(starts)] + [2**32 - starts[-1] + starts[0]]
    assert min(gaps) > 10**6
    assert all(0 <= key < 2**32 for key in keys), "torch's CPU generator keeps 32 bits of a seed"


def test_every_sample_is_seen_once_an_epoch_and_no_two_epochs_have_one_order():
    task = Line(count=24)
    trained(9, task)
    epochs = [functools.reduce(operator.iadd, task.seen[k : k + 3], []) for k in (0, 3, 6)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(24))
    assert epochs[0] != epochs[1] != epochs[2]


def test_the_odd_rest_of_an_epoch_is_left_out():
    task = Line(count=20)
    trained(2, task)
    assert len({index for batch in task.seen for index in batch}) == 16


def test_fewer_samples_than_a_batch_are_refused_before_the_first_step():
    with pytest.raises(InputError, match="5 samples do not fill one batch of 8"):
        Trainer(Line(count=5), SETTINGS)


def test_steps_cover_all_samples():
    assert TrainSettings(samples=200, batch=8).steps == 25
    assert TrainSettings(samples=201, batch=8).steps == 26
    assert TrainSettings(samples=1, batch=8).steps == 1


def test_the_rate_rises_linearly_then_falls_as_half_a_cosine_to_its_end():
    rates = TrainSettings(
        samples=10_000, batch=10, learning_rate=0.5, final_rate=0.1, warmup_steps=100
    )
    assert rates.steps == 1000
    # At step k of the warm-up (k + 1) / 100 of the cosine, which is 1 at 0, 0.55 at the middle.
    assert rates.rate_at(0) == pytest.approx(0.5 * 0.01)
    cosine = 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * 0.049))
    assert rates.rate_at(49) == pytest.approx(0.5 * 0.5 * cosine)
    assert rates.rate_at(500) == pytest.approx(0.5 * 0.55)
    assert rates.rate_at(1000) == pytest.approx(0.5 * 0.1)
    after = [rates.rate_at(step) for step in range(100, 1000)]
    assert all(a > b for a, b in itertools.pairwise(after))
    assert max(rates.rate_at(step) for step in range(1000)) <= 0.5


def test_the_rate_is_what_the_optimiser_uses():
    trainer = trained(3)
    assert trainer.optimiser.param_groups[0]["lr"] == SETTINGS.rate_at(2)


def test_the_average_follows_the_weights_as_an_exponential_mean_does():
    # mean' = keep mean + (1 - keep) now, keep = min(ema, (1 + k) / (10 + k)) at step k.
    trainer = Trainer(Line(), SETTINGS)
    expected = trainer.network.state_dict()["0.weight"].clone().double()
    for step in range(1, 8):
        trainer.train_step()
        keep = min(SETTINGS.ema, (1 + step) / (10 + step))
        now = trainer.network.state_dict()["0.weight"].double()
        expected = keep * expected + (1 - keep) * now
    found = trainer.averaged.state_dict()["0.weight"].double()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert not any(parameter.requires_grad for parameter in trainer.averaged.parameters())


def test_training_learns():
    losses = [
        p.loss for p in Trainer(Line(), replace(SETTINGS, samples=2000, learning_rate=0.05)).run()
    ]
    assert sum(losses[-50:]) < 0.5 * sum(losses[:50])


def test_progress_tells_step_samples_and_a_remaining_time_that_is_never_negative():
    records = list(Trainer(Line(), SETTINGS).run())
    assert [p.step for p in records] == list(range(1, 26))
    assert [p.samples for p in records] == [8 * k for k in range(1, 26)]
    assert all(p.steps == 25 and math.isfinite(p.loss) for p in records)
    assert all(p.seconds_left >= 0 for p in records)
    assert records[-1].seconds_left == 0


def test_remaining_time_is_the_rest_at_the_present_speed():
    progress = Progress(step=10, steps=40, samples=80, loss=1.0, samples_per_second=4.0)
    assert progress.seconds_left == pytest.approx(30 * 8 / 4)


def test_a_loss_that_is_not_finite_ends_the_training_and_leaves_the_weights():
    task = Line(spoil_at=3)
    trainer = trained(3, task)
    before = {k: v.clone() for k, v in trainer.averaged.state_dict().items()}
    weights = [p.detach().clone() for p in trainer.network.parameters()]
    with pytest.raises(DiffviewError, match="loss became nan at step 3"):
        trainer.train_step()
    assert trainer.step == 3
    assert_same_bits(trainer.averaged.state_dict(), before)
    for parameter, kept in zip(trainer.network.parameters(), weights, strict=True):
        assert torch.equal(parameter, kept)


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "folder" / "line.ckpt"
    trained(3).save(path)
    return path


def test_a_checkpoint_that_cannot_be_written_leaves_the_last_good_one(checkpoint, monkeypatch):
    before = checkpoint.read_bytes()

    def full(self, content):
        with self.open("wb") as file:
            file.write(bytes(content)[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(type(checkpoint), "write_bytes", full)
    trainer = trained(5)
    with pytest.raises(OSError, match="No space left"):
        trainer.save(checkpoint)
    assert checkpoint.read_bytes() == before
    assert [path.name for path in checkpoint.parent.iterdir()] == ["line.ckpt"]
    monkeypatch.undo()
    trainer.save(checkpoint)
    resumed = Trainer(Line(), SETTINGS)
    resumed.resume(checkpoint)
    assert resumed.step == 5


def test_a_checkpoint_says_how_it_was_made(checkpoint):
    assert read_settings(checkpoint) == SETTINGS


def refused(path, message, task=None, given=SETTINGS):
    trainer = Trainer(task or Line(), given)
    before = {k: v.clone() for k, v in trainer.network.state_dict().items()}
    with pytest.raises(InputError, match=message) as info:
        trainer.resume(path)
    assert str(path) in str(info.value)
    assert "\n" not in str(info.value)
    assert trainer.step == 0
    assert_same_bits(trainer.network.state_dict(), before)


def test_a_checkpoint_of_another_task_is_refused_with_both_names(checkpoint):
    refused(checkpoint, "is a checkpoint of 'line', not 'curve'", Line(name="curve"))


def test_a_checkpoint_of_another_network_is_refused(checkpoint):
    refused(checkpoint, "is a checkpoint of another network", Line(width=2))


@pytest.mark.parametrize(
    "change", [{"batch": 4}, {"seed": 1}, {"learning_rate": 1e-2}, {"ema": 0.9}], ids=str
)
def test_a_checkpoint_made_with_other_settings_is_refused_and_names_them(checkpoint, change):
    refused(
        checkpoint,
        f"was made with other settings.*{next(iter(change))}",
        None,
        replace(SETTINGS, **change),
    )


def test_a_training_may_be_resumed_to_become_longer(checkpoint):
    trainer = Trainer(Line(), replace(SETTINGS, samples=400))
    trainer.resume(checkpoint)
    assert (trainer.step, trainer.settings.steps) == (3, 50)


@pytest.mark.parametrize("cut", [0, 10, 1000, -100])
def test_a_cut_checkpoint_is_refused(checkpoint, cut):
    checkpoint.write_bytes(checkpoint.read_bytes()[:cut])
    refused(checkpoint, "is not a whole checkpoint.*delete it to start again")


@settings(max_examples=40, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_checkpoint_with_a_changed_byte_is_refused_or_loads(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "fuzzed.ckpt"
    trained(1).save(path)
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        Trainer(Line(), SETTINGS).resume(path)
    except InputError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize(
    "state", [{}, [1, 2], {"task": "line"}, {"task": "line", "step": 3, "network": 5}], ids=str
)
def test_what_is_no_checkpoint_is_refused(tmp_path, state):
    path = tmp_path / "other.ckpt"
    torch.save(state, path)
    refused(path, "checkpoint")
    with pytest.raises(InputError, match="checkpoint"):
        read_settings(path)


def test_a_checkpoint_that_would_run_code_is_refused_and_runs_none(tmp_path):
    marker = tmp_path / "ran"

    class Attack:
        def __reduce__(self):
            return (open, (str(marker), "w"))

    path = tmp_path / "evil.ckpt"
    torch.save({"task": Attack()}, path)
    refused(path, "is not a whole checkpoint")
    assert not marker.exists()


def test_a_missing_checkpoint_is_refused(tmp_path):
    refused(tmp_path / "none.ckpt", "is not a whole checkpoint.*No such file")


@given(batch=st.integers(1, 300), T=st.integers(1, 2000), seed=st.integers(0, 2**31))
@settings(deadline=None, derandomize=True)
def test_times_fall_one_into_each_of_equal_strata(batch, T, seed):
    times = stratified_times(batch, T, torch.Generator().manual_seed(seed))
    assert times.dtype == torch.int64
    for k, t in enumerate(times.tolist()):
        # A rounding of float32 may carry a time that lies on a border across it.
        assert math.floor(k * T / batch) <= t <= min(T - 1, math.floor((k + 1) * T / batch + 1e-3))


def test_every_time_is_equally_likely():
    generator = torch.Generator().manual_seed(0)
    drawn = torch.cat([stratified_times(4, 10, generator) for _ in range(5000)])
    counts = torch.bincount(drawn, minlength=10)
    # 2,000 each; five standard errors of a binomial count.
    assert (counts - 2000).abs().max() < 5 * math.sqrt(2000 * 0.9)
