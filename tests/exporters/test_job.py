"""Exports from beginning to end, and what becomes of them when something goes wrong."""

import contextlib
import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffview.engine import session
from diffview.errors import DiffviewError, InputError
from diffview.exporters import every, job, recipe
from diffview.exporters.job import Progress
from diffview.exporters.sequence import Selection, Sheets

FORMATS = tuple(every())


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_an_export_makes_one_folder_of_all_formats(make_run, about, tmp_path):
    run = make_run(n_steps=3)
    list(job.export(run, about, tmp_path / "out", FORMATS))
    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == [
        "frame_0000.png", "frame_0001.png", "frame_0002.png", "frame_0003.png", "recipe.json",
        "run.apng", "run.gif", "run.mp4", "run.webp", "trajectory.safetensors",
    ]  # fmt: skip
    assert session.load(tmp_path / "out" / "trajectory.safetensors")[0].spec == run.spec


def test_exported_pictures_are_the_selected_sheets_bit_for_bit(make_run, about, tmp_path):
    run = make_run(n_steps=7, guided=True, shape=(3, 7, 5))
    selection = Selection(("xt", "x0cond"), every=3, sample=2, scale=4, caption=True)
    list(job.export(run, about, tmp_path / "out", ["png", "webp"], selection))
    sheets = Sheets(run, selection)
    with Image.open(tmp_path / "out" / "run.webp") as animation:
        for k in range(4):
            animation.seek(k)
            assert np.array_equal(np.asarray(animation.convert("RGB")), sheets[k])
            path = tmp_path / "out" / f"frame_{k:04d}.png"
            with Image.open(path) as picture:
                assert np.array_equal(np.asarray(picture), sheets[k])
            assert recipe.read(path).step == (0, 3, 6, 7)[k]


def test_progress_counts_frames_over_all_formats_and_ends_with_the_folder(
    make_run, about, tmp_path
):
    out = tmp_path / "out"
    seen = list(job.export(make_run(n_steps=2), about, out, ["png", "gif", "safetensors"]))
    done = [progress.done for progress in seen]
    assert done == sorted(done) and set(done) == {*range(1, 8), 3}
    assert {progress.total for progress in seen} == {7}
    assert seen[-1] == Progress(7, 7, out)
    assert seen[-2] == Progress(7, 7, out / "trajectory.safetensors")


def test_nothing_is_written_before_the_first_step_of_the_job(make_run, about, tmp_path):
    job.export(make_run(), about, tmp_path / "out", ["png"])
    assert not names(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"formats": []}, "no format is given: choose from apng"),
        ({"formats": ["bmp"]}, "unknown format 'bmp'"),
        ({"fps": 0.0}, "0 frames/s is outside"),
        ({"fps": float("nan")}, "nan frames/s is outside"),
        ({"fps": 60.0}, "gif plays at most 50"),
        ({"hold": -1}, "holding the last picture for -1 frames"),
        ({"hold": 1000}, "give 0 to 719"),
        ({"options": {"mp4": {}}}, "options for mp4 are given, which is not among the formats"),
        ({"options": {"gif": {"a": 1}}}, "gif has no option 'a'"),
    ],
)
def test_bad_requests_are_refused_before_a_run_is_sampled_and_before_anything_is_written(
    make_run, about, tmp_path, arguments, message
):
    arguments = {"formats": ["gif"], **arguments}
    with pytest.raises(InputError, match=message):
        job.check(tmp_path / "out", **arguments)
    with pytest.raises(InputError, match=message):
        list(job.export(make_run(), about, tmp_path / "out", **arguments))
    assert not names(tmp_path)


def test_a_folder_that_is_not_ours_is_never_touched(make_run, about, tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    for overwrite in (False, True):
        with pytest.raises(InputError, match=r"holds what no export wrote \(such as 'thesis.tex'"):
            list(job.export(make_run(), about, tmp_path, ["png"], overwrite=overwrite))
    assert names(tmp_path) == ["thesis.tex"]


def test_an_older_export_is_replaced_as_a_whole_and_only_when_asked(make_run, about, tmp_path):
    out = tmp_path / "out"
    list(job.export(make_run(9), about, out, ["png"]))
    with pytest.raises(InputError, match=r"holds an earlier export: .* or replace it"):
        list(job.export(make_run(2), about, out, ["gif"]))
    assert recipe.read(out).spec.n_steps == 9
    list(job.export(make_run(2), about, out, ["gif"], overwrite=True))
    assert names(out) == ["recipe.json", "run.gif"] and names(tmp_path) == ["out"]


def test_an_older_export_with_a_file_of_the_persons_own_in_it_is_not_replaced(
    make_run, about, tmp_path
):
    out = tmp_path / "out"
    list(job.export(make_run(), about, out, ["png"]))
    (out / "notes.txt").write_text("precious")
    with pytest.raises(InputError, match=r"such as 'notes.txt'"):
        list(job.export(make_run(), about, out, ["png"], overwrite=True))
    assert (out / "notes.txt").read_text() == "precious"


@pytest.mark.parametrize("format", FORMATS)
def test_a_cancelled_export_leaves_nothing_and_keeps_the_older_one(
    make_run, about, tmp_path, format
):
    out = tmp_path / "out"
    list(job.export(make_run(4), about, out, ["png"]))
    before = {name: (out / name).read_bytes() for name in names(out)}
    export = job.export(make_run(9), about, out, ["png", format], overwrite=True)
    while next(export).done < 10 + (format not in ("png", "safetensors")) * 2:
        if format == "png":
            break
    assert (tmp_path / "out.partial").is_dir()
    export.close()
    assert names(tmp_path) == ["out"]
    assert {name: (out / name).read_bytes() for name in names(out)} == before


def test_cancelling_while_a_gif_counts_colours_leaves_nothing(make_run, about, tmp_path):
    export = job.export(make_run(), about, tmp_path / "out", ["gif"])
    assert next(export).done == 0
    export.close()
    assert not names(tmp_path)


def test_two_exports_into_one_folder_do_not_mix(make_run, about, tmp_path):
    out = tmp_path / "out"
    first = job.export(make_run(), about, out, ["png"])
    next(first)
    with pytest.raises(InputError, match="another export is being written to"):
        next(job.export(make_run(), about, out, ["gif"]))
    assert list(first)[-1].path == out
    assert "frame_0006.png" in names(out)


def test_unicode_names_work(make_run, about, tmp_path):
    out = tmp_path / "Übung 猫 ☃"
    list(job.export(make_run(2), about, out, FORMATS))
    assert recipe.read(out / "run.mp4") == recipe.read(out / "run.webp") == recipe.read(out)


@pytest.mark.parametrize("format", FORMATS)
def test_a_full_disk_says_how_far_it_came_and_leaves_nothing(make_run, about, small_disk, format):
    run = make_run(n_steps=30, batch=16, shape=(3, 28, 28))
    with pytest.raises(DiffviewError) as caught:
        list(job.export(run, about, small_disk / "out", [format], Selection(scale=2)))
    total = 1 if format == "safetensors" else 31
    assert "the disk is full" in str(caught.value)
    assert f"of {total} frames were written and removed again" in str(caught.value)
    assert str(small_disk / "out") in str(caught.value)
    assert not isinstance(caught.value, InputError)
    assert not names(small_disk)


@pytest.fixture
def small_disk(tmp_path, monkeypatch):
    """A disk of 256 kB: a real one where mounting is allowed, else one that is imitated."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    with contextlib.suppress(OSError):
        if subprocess.run(mount, capture_output=True).returncode == 0:
            yield disk
            subprocess.run(["umount", str(disk)], check=True)
            return
    _imitate_a_full_disk(monkeypatch)
    yield disk


def _imitate_a_full_disk(monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    monkeypatch.setattr("pathlib.Path.write_bytes", full)


WITH_LIMITED_FILES = """
import resource, signal, sys
from pathlib import Path
from diffview.engine import session
from diffview.errors import DiffviewError
from diffview.exporters import job
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
run, about = session.load(Path(sys.argv[1]))
try:
    list(job.export(run, about, Path(sys.argv[2]), [sys.argv[3]]))
except DiffviewError as error:
    print(error)
"""

KILLED_AT_FRAME_3 = """
import os, signal, sys
from pathlib import Path
from diffview.engine import session
from diffview.exporters import job
run, about = session.load(Path(sys.argv[1]))
for progress in job.export(run, about, Path(sys.argv[2]), [sys.argv[3]], overwrite=True):
    if progress.done == 3:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def in_a_process(code, run, about, tmp_path, format):
    session.save(run, tmp_path / "run.dvsession", about)
    arguments = [str(tmp_path / "run.dvsession"), str(tmp_path / "here" / "out"), format]
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of a file's size")
@pytest.mark.parametrize("format", FORMATS)
def test_a_file_that_may_not_grow_leaves_nothing(make_run, about, tmp_path, format):
    run = make_run(n_steps=20, batch=16, shape=(3, 28, 28))
    done = in_a_process(WITH_LIMITED_FILES, run, about, tmp_path, format)
    assert "File too large" in done.stdout and "frames were written" in done.stdout, done
    assert not (tmp_path / "here").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("format", ["png", "gif", "mp4"])
def test_a_killed_export_leaves_only_a_partial_that_the_next_one_replaces(
    make_run, about, tmp_path, format
):
    here = tmp_path / "here"
    done = in_a_process(KILLED_AT_FRAME_3, make_run(), about, tmp_path, format)
    assert done.returncode == -9, done.stderr
    assert names(here) == ["out.partial"]
    list(job.export(make_run(2), about, here / "out", ["webp"]))
    assert names(here) == ["out"] and names(here / "out") == ["recipe.json", "run.webp"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_an_export_killed_while_overwriting_keeps_the_older_one(make_run, about, tmp_path):
    here = tmp_path / "here"
    list(job.export(make_run(4), about, here / "out", ["gif"]))
    in_a_process(KILLED_AT_FRAME_3, make_run(9), about, tmp_path, "png")
    assert names(here) == ["out", "out.partial"]
    assert recipe.read(here / "out" / "run.gif").spec.n_steps == 4


def test_exporting_a_run_that_still_grows_takes_the_steps_that_are_there(
    make_run, about, tmp_path
):
    from diffview.engine.trajectory import Trajectory

    whole = make_run(9)
    growing = Trajectory(whole.spec, whole.data_shape)
    for record in list(whole)[:4]:
        growing.append(record)
    export = job.export(growing, about, tmp_path / "out", ["png", "gif"])
    next(export)
    growing.append(whole[4])
    assert list(export)[-1].total == 8


def test_an_export_loads_neither_torch_nor_qt(make_run, about, tmp_path):
    session.save(make_run(2), tmp_path / "run.dvsession", about)
    code = KILLED_AT_FRAME_3.replace("== 3", "< 0") + (
        "\nassert not {'torch', 'PySide6'} & {name.split('.')[0] for name in sys.modules}"
    )
    arguments = [str(tmp_path / "run.dvsession"), str(tmp_path / "out"), "png"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert Path(tmp_path / "out" / "frame_0002.png").exists()
