"""A training: what it refuses, what it writes, and that nothing is lost on the way."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from diffview import tensorfile
from diffview.cli import train
from diffview.errors import InputError
from diffview.models import catalog
from diffview.training.job import Job, Plan, Saved
from diffview.training.loop import Progress

# A training in a process of its own: settings as in the fixture `tiny_recipe`.
TRAIN = """
import json, sys
from pathlib import Path
import torch
from diffview.models.unet import UNetConfig
from diffview.cli import train
from diffview.training.job import Job, Plan
from diffview.training.loop import TrainSettings
from diffview.training.recipes.fashion import Fashion
from diffview.errors import DiffviewError

torch.set_num_threads(1)
given = json.loads(sys.argv[1])
network = UNetConfig.from_json(given["network"])
settings = TrainSettings(samples=given["samples"], batch=16, warmup_steps=5)
folder = Path(given["folder"])
plan = Plan(
    out=folder / "m.safetensors", checkpoint=folder / "m.ckpt", resume=given["resume"],
    device="cpu", checkpoint_seconds=given["every"],
)
try:
    job = Job(Fashion(settings, network, Path(given["data"])), plan)
    if given["limit"]:
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (given["limit"],) * 2)
    sys.exit(train.drive(job, "diffview train again --resume", judge=False, as_json=True))
except DiffviewError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""


@pytest.fixture
def start(tiny_recipe, tiny_fashion):
    """start(folder, ...) -> the running process; whatever still runs at the end is killed."""
    running = []

    def begin(folder, *, resume=False, every=1e9, samples=480, limit=0):
        folder.mkdir(exist_ok=True)
        given = {
            "folder": str(folder),
            "data": str(tiny_fashion),
            "network": tiny_recipe.network.to_json(),
            "resume": resume,
            "every": every,
            "samples": samples,
            "limit": limit,
        }
        words = [sys.executable, "-c", TRAIN, json.dumps(given)]
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def plan(tmp_path):
    """plan(**changes): a plan for files in this test's own folder."""

    def make(**changes):
        files = {"out": tmp_path / "m.safetensors", "checkpoint": tmp_path / "m.ckpt"}
        return Plan(**{**files, "device": "cpu", **changes})

    return make


def test_a_training_that_was_killed_and_resumed_ends_in_the_same_bits(start, tmp_path):
    whole = start(tmp_path / "whole")
    killed = start(tmp_path / "killed", every=0.0)
    first = json.loads(killed.stdout.readline())
    assert first["event"] == "checkpoint"
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed" / "m.safetensors").exists()
    resumed = start(tmp_path / "killed", resume=True)
    for process in (whole, resumed):
        _, err = process.communicate(timeout=100)
        assert process.returncode == 0, err
    one, other = (content(tmp_path / name / "m.safetensors") for name in ("whole", "killed"))
    assert one == other
    one, other = (flat_state(tmp_path / name / "m.ckpt") for name in ("whole", "killed"))
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def content(path):
    """Metadata and the bytes of every tensor: their order in a file is chance."""
    tensors = {name: array.tobytes() for name, array in tensorfile.read_numpy(path).items()}
    return tensorfile.read_header(path).metadata, tensors


def flat_state(path):
    """Every tensor of a checkpoint, the optimiser's too."""
    state = torch.load(path, weights_only=True)
    moments = {
        f"{number} {name}": tensor
        for number, group in state["optimiser"]["state"].items()
        for name, tensor in group.items()
    }
    return {**state["network"], **moments, "step": torch.tensor(state["step"])}


def test_an_interrupt_saves_and_says_how_to_go_on(start, tmp_path):
    process = start(tmp_path / "run", every=0.0, samples=10**9)
    first = json.loads(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 130, err
    assert "stopping after this step" in err and "--resume" in err
    assert json.loads(out.splitlines()[-1])["step"] >= first["step"]
    assert json.loads(out.splitlines()[-1])["sheet"] is None, "nobody waits for a picture"
    assert not (tmp_path / "run" / "m.safetensors").exists()
    state = torch.load(tmp_path / "run" / "m.ckpt", weights_only=True)
    assert state["step"] == json.loads(out.splitlines()[-1])["step"]


def test_a_full_disk_keeps_the_last_good_checkpoint_and_says_so(start, tmp_path):
    folder = tmp_path / "run"
    process = start(folder, samples=64)
    assert process.wait(timeout=240) == 0
    (folder / "m.safetensors").unlink()
    good = (folder / "m.ckpt").read_bytes()
    process = start(folder, resume=True, every=0.0, limit=len(good) // 2)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 1
    assert "could not be written" in err and "last good checkpoint" in err and "--resume" in err
    assert "Traceback" not in err
    assert (folder / "m.ckpt").read_bytes() == good
    assert not list(folder.glob("*.partial"))


def test_a_job_yields_progress_and_checkpoints_and_writes_a_model(tiny_recipe, plan, tmp_path):
    job = Job(tiny_recipe, plan())
    events = list(job.run())
    assert [event.step for event in events if isinstance(event, Progress)] == list(range(1, 31))
    assert isinstance(events[-1], Saved)
    assert events[-1].sheet == tmp_path / "m-sheets" / "step_000030.png"
    assert events[-1].sheet.is_file()
    assert job.publish().samples == 480
    assert catalog.entry(tmp_path / "m.safetensors").card.id == "fashion"


def test_minutes_end_a_training_early_and_the_card_says_how_much_it_saw(
    tiny_recipe, plan, tmp_path
):
    job = Job(tiny_recipe, plan(minutes=1e-6))
    list(job.run())
    job.publish()
    assert job.trainer.step == 1
    assert "16 samples, 3% of the 480" in catalog.entry(plan().out).card.description


def test_zero_minutes_publish_a_checkpoint_as_it_is(tiny_recipe, plan):
    first = Job(tiny_recipe, plan(minutes=1e-6))
    list(first.run())
    again = Job(tiny_recipe, plan(resume=True, minutes=0))
    list(again.run())
    assert again.publish().samples == 16


def test_a_resumed_training_keeps_its_own_settings_unless_told(tiny_recipe, plan):
    list(Job(tiny_recipe, plan(samples=160, minutes=1e-6)).run())
    assert Job(tiny_recipe, plan(resume=True)).trainer.settings.samples == 160
    assert Job(tiny_recipe, plan(resume=True, samples=320)).trainer.settings.samples == 320


def test_the_classifier_s_test_accuracy_enters_its_card(tiny_classifier, plan, capsys):
    job = Job(tiny_classifier, plan())
    assert train.drive(job, "again", judge=True, as_json=True) == 0
    figures = catalog.entry(plan().out).card.figures
    assert 0 <= figures["test accuracy"] <= 1
    assert figures["test pictures"] == 64
    out, err = capsys.readouterr()
    assert json.loads(out.splitlines()[-1])["figures"] == figures
    assert "\x1b" not in err and "\r" not in err


def test_a_checkpoint_in_the_way_is_kept_and_named(tiny_recipe, plan):
    plan().checkpoint.write_bytes(b"precious")
    with pytest.raises(InputError, match=r"m\.ckpt.*--resume, or delete"):
        Job(tiny_recipe, plan())
    assert plan().checkpoint.read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"resume": True}, "no checkpoint"),
        ({"minutes": -1.0}, "--minutes -1"),
        ({"minutes": float("nan")}, "--minutes nan"),
        ({"samples": 0}, "--samples 0"),
    ],
)
def test_what_cannot_be_done_is_refused_before_training(tiny_recipe, plan, changes, message):
    with pytest.raises(InputError, match=message):
        Job(tiny_recipe, plan(**changes))


def test_an_existing_model_is_replaced_only_when_asked(tiny_recipe, plan):
    plan().out.write_bytes(b"precious")
    with pytest.raises(InputError, match="--overwrite"):
        Job(tiny_recipe, plan())
    Job(tiny_recipe, plan(overwrite=True))
    assert plan().out.read_bytes() == b"precious"


def test_a_folder_that_cannot_be_written_is_found_out_at_once(tiny_recipe, plan, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be written to"):
        Job(tiny_recipe, plan(out=tmp_path / "file" / "m.safetensors"))


def test_missing_data_say_what_to_install(tiny_recipe, plan, tmp_path):
    with pytest.raises(InputError, match="dataset-fashion-mnist"):
        Job(replace(tiny_recipe, folder=tmp_path / "nowhere"), plan())


def test_a_missing_test_set_is_found_out_before_training(
    tiny_recipe, plan, tiny_fashion, tmp_path
):
    half = tmp_path / "half"
    half.mkdir()
    for path in tiny_fashion.glob("train-*"):
        (half / path.name).write_bytes(path.read_bytes())
    with pytest.raises(InputError, match="t10k-images"):
        Job(replace(tiny_recipe, folder=half), plan())


def test_another_recipe_s_checkpoint_is_refused(tiny_recipe, tiny_classifier, plan):
    list(Job(tiny_classifier, plan(minutes=1e-6)).run())
    with pytest.raises(InputError, match="fashion-classifier-clean"):
        Job(tiny_recipe, plan(resume=True))


def test_a_checkpoint_of_another_network_is_refused_in_one_line(tiny_recipe, plan):
    list(Job(tiny_recipe, plan(minutes=1e-6)).run())
    wider = replace(tiny_recipe, network=replace(tiny_recipe.network, base=24))
    with pytest.raises(InputError, match="another network") as refused:
        Job(wider, plan(resume=True))
    assert "\n" not in str(refused.value)
