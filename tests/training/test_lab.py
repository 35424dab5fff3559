"""The lab: a training that is watched, paused, kept and resumed is the same training."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from diffview import tensorfile
from diffview.engine import schedules
from diffview.errors import DiffviewError, InputError
from diffview.models import catalog, families
from diffview.training import lab as labs
from diffview.training import watching
from diffview.training.events import (
    Begun,
    Kept,
    Looked,
    NotKept,
    Published,
    Trained,
    moving_mean,
)
from diffview.training.kept import (
    KeptTraining,
    Order,
    fresh_folder,
    kept_trainings,
    order_from_json,
    read,
)
from diffview.training.lab import Lab
from diffview.training.loop import Trainer


@pytest.fixture(autouse=True)
def few_looks(monkeypatch):
    monkeypatch.setattr(labs, "LOOKS", 3)
    monkeypatch.setattr(labs, "SHEETS", 2)
    monkeypatch.setattr(watching, "LEVELS", 4)
    monkeypatch.setattr(watching, "PICTURE_STEPS", 2)


@pytest.fixture
def make_lab(tiny_recipe, tmp_path):
    """A lab of the tiny recipe in tmp_path / "t", new or resumed."""

    def make(order=None, *, resumed=False, recipe=tiny_recipe, folder=tmp_path / "t"):
        kept = KeptTraining(folder, order or Order("fashion"), 0, 0)
        return Lab(recipe, read(folder) if resumed else kept, "Tiny", resumed=resumed)

    return make


def weights(lab):
    return {k: v.clone() for k, v in lab.trainer.averaged.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def until(events, kind):
    return next(event for event in events if isinstance(event, kind))


def test_a_watched_training_is_the_unwatched_one_to_the_last_bit(make_lab, tiny_recipe):
    lab = make_lab()
    events = list(lab.train())
    bare = Trainer(tiny_recipe.task("cpu"), tiny_recipe.settings)
    losses = [progress.loss for progress in bare.run()]
    assert same(weights(lab), bare.averaged.state_dict())
    told = np.concatenate([e.losses for e in events if isinstance(e, Trained)])
    np.testing.assert_array_equal(told, np.array(losses, np.float32))


def test_pausing_and_resuming_from_the_disk_change_no_bit(make_lab):
    whole = make_lab(folder=make_lab().kept.folder.with_name("whole"))
    assert isinstance(list(whole.train())[-1], Kept)
    lab = make_lab()
    events = lab.train()
    until(events, Looked)
    for _ in range(2):
        until(events, Trained)
    events.close()  # a pause
    assert 0 < lab.trainer.step < 30
    until(lab.train(), Trained)  # gone on, and paused again
    assert isinstance(lab.keep(), Kept)
    again = make_lab(resumed=True)
    begun = again.begun()
    assert begun.step == lab.trainer.step and begun.first == 0
    np.testing.assert_array_equal(begun.losses, lab.begun().losses)
    assert [s.step for s in begun.snapshots] == [s.step for s in lab.begun().snapshots]
    list(again.train())
    assert same(weights(again), weights(whole))


def test_a_pause_tells_of_the_steps_that_were_not_told_yet(make_lab, monkeypatch):
    monkeypatch.setattr(labs, "TELL_SECONDS", math.inf)
    lab = make_lab()
    events = lab.train()
    while lab.trainer.step == 0:
        next(events)
    events.close()  # in the middle of a look
    steps = lab.trainer.step
    first, *_, looked = lab.look_now()
    assert (first.step, len(first.losses), looked.snapshot.step) == (steps, steps, steps)
    assert list(lab.look_now()) == []


def test_the_first_and_the_last_step_are_looked_at(make_lab):
    looked = [e.snapshot for e in make_lab().train() if isinstance(e, Looked)]
    assert looked[0].step == 0 and looked[-1].step == 30
    for snapshot in looked:
        assert snapshot.samples.shape == (16, 1, 28, 28)
        assert np.isfinite(snapshot.losses).all()


def test_a_fresh_network_predicts_zero_so_its_loss_is_the_mean_square_of_v(make_lab):
    lab = make_lab()
    begun = lab.begun()
    snapshot = until(lab.train(), Looked).snapshot
    watched = begun.watched
    assert watched.target == "v" and len(watched.levels) == len(snapshot.losses)
    for j, level in enumerate(watched.levels):
        # The last convolution begins at zero: v_hat = 0 and so x0_hat = alpha x_t.
        for k in range(len(watched.x_0)):
            expected = level.alpha * watched.x_t(k, j)
            np.testing.assert_allclose(snapshot.x0_hat[k, j], expected, atol=2e-3)
            eps_hat = watched.eps_hat(k, j, expected)
            np.testing.assert_allclose(eps_hat, level.sigma * watched.x_t(k, j), atol=1e-4)
    # v = alpha eps - sigma x_0: at the noisiest level it is about -x_0, at the cleanest eps.
    assert snapshot.losses[-1] == pytest.approx(1, abs=0.1)
    assert snapshot.losses.argmax() == len(snapshot.losses) - 1 or snapshot.losses.max() < 1.2


def test_watched_pictures_are_held_out_ones_of_all_classes(make_lab, tiny_recipe, tiny_fashion):
    from diffview.training.data import fashion_mnist, scaled

    test = fashion_mnist("test", tiny_fashion)
    x_0, labels = tiny_recipe.clean(12, "cpu")
    assert labels.tolist() == [*range(10), 0, 1]
    assert torch.equal(x_0, scaled(torch.from_numpy(test.pictures[:12].copy())))


@pytest.mark.parametrize("steps,looks", [(30, 80), (6000, 80), (1, 16), (20_000, 16)])
def test_looks_are_early_and_never_more_than_asked(steps, looks):
    chosen = watching.moments(steps, looks)
    assert chosen[0] == 0 and chosen[-1] == steps
    assert len(chosen) == len(set(chosen)) <= looks + 1
    gaps = np.diff(chosen)
    assert (np.diff(gaps) >= -1).all(), "rarer and rarer, up to rounding"


def test_levels_are_the_middles_of_even_bins_noisiest_first():
    levels = watching.bin_levels(schedules.discrete("cosine"), 20)
    assert [level.t for level in levels] == [975 - 50 * k for k in range(20)]


def test_the_moving_mean_is_a_mean_of_the_last_steps():
    losses = np.arange(10, dtype=np.float32)
    expected = [np.mean(losses[max(0, k - 3) : k + 1]) for k in range(10)]
    np.testing.assert_allclose(moving_mean(losses, 4), expected)
    np.testing.assert_array_equal(moving_mean(losses, 1), losses)
    assert len(moving_mean(losses[:0], 4)) == 0


# -- what a training begins with --------------------------------------------------------------


def test_weights_of_a_model_are_begun_with(make_lab, tmp_path):
    first = make_lab()
    list(first.train())
    path = tmp_path / "models" / "first.safetensors"
    list(first.publish(path, "First"))
    lab = make_lab(Order("fashion", begin=path), folder=tmp_path / "u")
    for name, tensor in weights(first).items():
        torch.testing.assert_close(weights(lab)[name], tensor, atol=1e-4, rtol=1e-3)  # fp16
    assert lab.trainer.settings.learning_rate == pytest.approx(0.2 * 1e-3)
    list(lab.publish(tmp_path / "models" / "second.safetensors", "Second"))
    card = catalog.entry(tmp_path / "models" / "second.safetensors").card
    assert "weights of first" in card.description


def test_weights_of_another_network_are_refused(make_lab, tmp_path):
    other = tmp_path / "other.safetensors"
    tensorfile.write_numpy(other, {"a": np.zeros(3, np.float32)}, {})
    with pytest.raises(InputError, match=r"other\.safetensors holds the weights of another"):
        make_lab(Order("fashion", begin=other))


def test_what_was_ordered_holds_and_of_a_resumed_one_only_the_length(make_lab):
    lab = make_lab(Order("fashion", samples=320, learning_rate=5e-4, seed=3))
    settings = lab.trainer.settings
    assert (settings.steps, settings.learning_rate, settings.seed) == (20, 5e-4, 3)
    list(lab.train())
    kept = read(lab.kept.folder)
    longer = replace(kept, order=replace(kept.order, samples=480, learning_rate=1.0))
    again = Lab(lab.recipe, longer, "Tiny", resumed=True)
    assert again.trainer.settings.steps == 30
    assert again.trainer.settings.learning_rate == 5e-4


# -- on the disk ------------------------------------------------------------------------------


def test_kept_trainings_are_listed_newest_first(make_lab, tmp_path):
    for name in ("a", "b"):
        lab = make_lab(folder=tmp_path / name)
        until(lab.train(), Trained)
        lab.keep()
    (tmp_path / "no-checkpoint").mkdir()
    (tmp_path / "no-checkpoint" / "order.json").write_text("{}")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "order.json").write_text('{"order": 3}')
    (broken / "checkpoint.ckpt").write_bytes(b"")
    assert [kept.folder.name for kept in kept_trainings(tmp_path)] == ["b", "a"]
    kept = kept_trainings(tmp_path)[0]
    assert kept.step == lab.trainer.step and kept.steps == 30
    kept.delete()
    assert [kept.folder.name for kept in kept_trainings(tmp_path)] == ["a"]
    assert fresh_folder("a", tmp_path).name == "a-1"
    assert kept_trainings(tmp_path / "nowhere") == ()


def test_an_order_survives_json(tmp_path):
    order = Order("fashion", tmp_path, tmp_path / "m.safetensors", 100, 1e-4, 7)
    assert order_from_json(json.loads(json.dumps(order.to_json()))) == order
    assert order_from_json(Order("folder").to_json()) == Order("folder")
    with pytest.raises(TypeError):
        order_from_json({"recipe": 3})


def test_a_damaged_history_loses_the_curve_and_not_the_training(make_lab):
    lab = make_lab()
    until(lab.train(), Trained)
    lab.keep()
    lab.kept.history.write_bytes(b"nothing")
    begun = make_lab(resumed=True).begun()
    assert begun.first == begun.step == lab.trainer.step
    assert not len(begun.losses) and not begun.snapshots


def test_a_disk_that_refuses_is_told_of_and_the_last_good_checkpoint_stays(make_lab, monkeypatch):
    lab = make_lab()
    events = lab.train()
    until(events, Trained)
    assert isinstance(lab.keep(), Kept)
    good, step = lab.kept.checkpoint.read_bytes(), lab.trainer.step
    until(events, Trained)

    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    said = lab.keep()
    assert isinstance(said, NotKept)
    assert "No space left on device" in said.text and f"of step {step}, stays" in said.text
    assert lab.kept.checkpoint.read_bytes() == good
    assert not list(lab.kept.folder.glob("*.partial"))
    assert isinstance(list(events)[-1], NotKept), "it trains to its end all the same"
    monkeypatch.undo()
    assert make_lab(resumed=True).trainer.step == step


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(make_lab, monkeypatch):
    lab = make_lab()
    until(lab.train(), Trained)
    lab.keep()
    step = lab.trainer.step
    loss = type(lab.trainer.task).loss
    monkeypatch.setattr(type(lab.trainer.task), "loss", lambda *given: loss(*given) * float("nan"))
    with pytest.raises(DiffviewError, match="the loss became nan at step"):
        list(lab.train())
    monkeypatch.undo()
    again = make_lab(resumed=True)
    assert again.trainer.step == step
    assert all(bool(torch.isfinite(w).all()) for w in weights(again).values())


# -- a model of it ----------------------------------------------------------------------------


def test_a_published_model_is_the_averaged_network_under_its_own_name(make_lab, tmp_path):
    lab = make_lab()
    list(lab.train())
    path = tmp_path / "models" / "my-clothes.safetensors"
    (published,) = lab.publish(path, "My clothes")
    assert isinstance(published, Published)
    card = published.entry.card
    assert (card.id, card.title) == ("my-clothes", "My clothes")
    assert "It saw 480 samples" in card.description
    model = families.load(published.entry, "cpu")
    own = lab.recipe.denoiser(lab.trainer.averaged, "cpu")
    level = card.schedule.level(500)
    x_t, label = torch.randn(4, 1, 28, 28), torch.tensor([0, 3, 9, 10])
    with torch.no_grad():
        torch.testing.assert_close(
            model(x_t, level, label), own(x_t, level, label), atol=5e-3, rtol=0
        )
    with pytest.raises(InputError, match="exists: choose another name"):
        list(lab.publish(path, "Again"))


def test_a_disk_that_refuses_a_model_is_named(make_lab, tmp_path):
    lab = make_lab()
    (tmp_path / "models").write_text("a file in place of the folder")
    with pytest.raises(DiffviewError, match="could not be written"):
        list(lab.publish(tmp_path / "models" / "m.safetensors", "M"))


# -- bad input --------------------------------------------------------------------------------


def test_missing_data_say_what_to_install_in_the_words_of_the_window(tmp_path):
    (tmp_path / "empty").mkdir()
    order = Order("fashion", data=tmp_path / "empty")
    with pytest.raises(InputError, match=r"dataset-fashion-mnist.*“Data folder…”"):
        list(labs.start(order, tmp_path / "t"))


def test_pictures_without_labels_are_refused_by_a_recipe_of_classes(tmp_path):
    from PIL import Image

    pictures = tmp_path / "cats"
    pictures.mkdir()
    Image.new("RGB", (40, 40)).save(pictures / "a.png")
    with pytest.raises(InputError, match=r"cats is a folder of pictures.*recipe “Your own folder"):
        list(labs.start(Order("fashion", data=pictures), tmp_path / "t"))


def test_an_unknown_recipe_of_a_kept_training_is_named(tmp_path):
    with pytest.raises(InputError, match="unknown recipe 'gone'"):
        list(labs.resume(KeptTraining(tmp_path, Order("gone"), 1, 2)))


def test_a_recipe_without_levels_is_watched_by_its_sheet(make_lab, tiny_classifier):
    lab = make_lab(Order("fashion-classifier-clean"), recipe=tiny_classifier)
    assert lab.begun().watched is None
    events = list(lab.train())
    assert isinstance(events[-1], Kept) and isinstance(events[0], Begun)
    assert math.isfinite(lab.begun().losses[-1])
    again = make_lab(resumed=True, recipe=tiny_classifier)
    assert again.begun().step == 30 and again.begun().moments == ()
