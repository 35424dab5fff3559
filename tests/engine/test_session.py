"""Sessions: what is saved comes back equal, and what was damaged is refused, never half read."""

import errno
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffview import tensorfile
from diffview.engine import session
from diffview.engine.run import run
from diffview.engine.spec import Guidance, RunSpec
from diffview.engine.trajectory import Trajectory, estimated_nbytes
from diffview.errors import InputError

ABOUT = {"model": {"title": "plain", "weights_sha256": "ab" * 32}, "note": "γ = 3"}


@pytest.fixture(scope="module")
def make_run(plain_denoiser):
    import torch

    def recorded(*, guided=True, stride=1, upto=None, n_steps=5, seeds=(3, 1)):
        guidance = Guidance("cfg", 3.0) if guided else Guidance()
        spec = RunSpec("plain", "ddim", n_steps, guidance=guidance, seeds=seeds, condition=4)
        denoiser = plain_denoiser()
        trajectory = Trajectory(spec, denoiser.data_shape, stride)
        for record in run(denoiser, spec, torch.full((len(seeds),), 4)):
            if upto is not None and record.i > upto:
                break
            trajectory.append(record)
        return trajectory

    return recorded


def assert_equal(one, other, seconds=True):
    assert one.spec == other.spec
    assert one.data_shape == other.data_shape
    assert one.stride == other.stride
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert (a.i, a.level, a.move, a.nfe) == (b.i, b.level, b.move, b.nfe)
        assert a.seconds == b.seconds or not seconds
        assert a.arrays().keys() == b.arrays().keys()
        for name, array in a.arrays().items():
            assert array.dtype == b.arrays()[name].dtype
            np.testing.assert_array_equal(array, b.arrays()[name])


@pytest.mark.parametrize(
    "how",
    [{}, {"guided": False}, {"stride": 2}, {"upto": 3}, {"upto": 0}, {"n_steps": 1}],
    ids=["guided", "unguided", "thinned", "stopped early", "one record", "one step"],
)
def test_a_saved_run_loads_equal_in_every_number(make_run, tmp_path, how):
    trajectory = make_run(**how)
    path = tmp_path / "run.dvsession"
    session.save(trajectory, path, ABOUT)
    loaded, about = session.load(path)
    assert_equal(loaded, trajectory)
    assert about == ABOUT
    assert loaded.complete == trajectory.complete
    assert loaded.guided == trajectory.guided
    assert [p.name for p in tmp_path.iterdir()] == ["run.dvsession"]


def test_a_saved_run_can_be_saved_again_byte_for_byte(make_run, tmp_path):
    session.save(make_run(), tmp_path / "a", ABOUT)
    session.save(*[session.load(tmp_path / "a")[0], tmp_path / "b", ABOUT])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_other_programs_can_read_the_arrays(make_run, tmp_path):
    from safetensors.numpy import load_file

    trajectory = make_run()
    session.save(trajectory, tmp_path / "run.safetensors")
    arrays = load_file(tmp_path / "run.safetensors")
    np.testing.assert_array_equal(arrays["x_t"], trajectory.stack("x_t"))
    assert arrays["t"].tolist() == [record.level.t for record in trajectory]


def test_a_run_without_steps_is_not_saved(make_run, tmp_path):
    empty = Trajectory(make_run().spec, (1, 3, 3))
    with pytest.raises(InputError, match="no steps yet"):
        session.save(empty, tmp_path / "run.dvsession")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_session_whole(make_run, tmp_path, monkeypatch):
    path = tmp_path / "run.dvsession"
    session.save(make_run(), path)
    before = path.read_bytes()

    def full(self, content):
        with self.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(type(path), "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        session.save(make_run(n_steps=9), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["run.dvsession"]


@pytest.fixture(scope="module")
def saved(make_run, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "run.dvsession"
    session.save(make_run(n_steps=2, seeds=(3,)), path, ABOUT)
    return path


@pytest.fixture(scope="module")
def damaged(saved):
    """Load what `change` makes of the session's bytes."""

    def load(content):
        path = saved.with_name("damaged.dvsession")
        path.write_bytes(content)
        return session.load(path)

    return load


def loads_equal_or_is_refused(damaged, saved, content):
    try:
        trajectory, about = damaged(content)
    except InputError as error:
        assert "damaged.dvsession" in str(error)
        return
    assert_equal(trajectory, session.load(saved)[0])
    assert about == ABOUT


@settings(max_examples=400)
@given(data=st.data())
def test_a_flipped_byte_anywhere_is_refused_or_harmless(damaged, saved, data):
    content = bytearray(saved.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    loads_equal_or_is_refused(damaged, saved, bytes(content))


@settings(max_examples=200)
@given(data=st.data())
def test_a_flipped_byte_in_the_header_is_refused_or_harmless(damaged, saved, data):
    content = bytearray(saved.read_bytes())
    header = 8 + int.from_bytes(content[:8], "little")
    position = data.draw(st.integers(0, header - 1))
    content[position] = data.draw(st.sampled_from(b'0123456789"{}[]:,\x00-eE\\\xff'))
    loads_equal_or_is_refused(damaged, saved, bytes(content))


@given(data=st.data())
def test_a_cut_anywhere_is_refused(damaged, saved, data):
    content = saved.read_bytes()
    end = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(InputError, match=r"damaged\.dvsession"):
        damaged(content[:end])


def test_a_session_cut_in_its_data_is_called_incomplete(damaged, saved):
    with pytest.raises(InputError, match="incomplete: the last 10 bytes are missing"):
        damaged(saved.read_bytes()[:-10])


def test_a_changed_number_in_the_data_is_noticed(damaged, saved):
    content = bytearray(saved.read_bytes())
    content[-100] ^= 1
    with pytest.raises(InputError, match="damaged: its checksum"):
        damaged(bytes(content))


@pytest.mark.parametrize(("name", "step"), [("x_t", 0), ("x0_hat", 2), ("direction", 1)])
def test_the_step_and_the_tensor_that_were_damaged_are_named(damaged, saved, name, step):
    content = bytearray(saved.read_bytes())
    info = tensorfile.read_header(saved).tensors[name]
    data = 8 + int.from_bytes(content[:8], "little")
    content[data + info.start + step * (info.end - info.start) // 3 + 5] ^= 1
    with pytest.raises(InputError, match=rf"damaged.*{name} of step {step} \(t = .*not what was"):
        damaged(bytes(content))


def test_a_session_of_before_there_were_checksums_of_steps_is_read(make_run, rewritten):
    def without(document):
        assert document["steps"]
        return {k: v for k, v in document.items() if k != "steps"}

    loaded, about = rewritten(without)
    assert_equal(loaded, make_run(n_steps=2, seeds=(3,)), seconds=False)
    assert about == ABOUT


def test_a_missing_file_is_refused_with_its_name(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.dvsession cannot be read: No such file"):
        session.load(tmp_path / "nowhere.dvsession")


def test_tensors_that_are_no_session_are_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    tensorfile.write_numpy(path, {"weight": np.zeros(3, np.float32)}, {"format": "pt"})
    with pytest.raises(InputError, match=r"model\.safetensors holds no saved run"):
        session.load(path)


@pytest.fixture
def rewritten(saved, tmp_path):
    """The session with its document or its arrays changed, and its checksum made to fit."""

    def load(document=None, arrays=None):
        header = json.loads(tensorfile.read_header(saved).metadata[session.METADATA_KEY])
        tensors = tensorfile.read_numpy(saved)
        if document is not None:
            header = document(header)
        if arrays is not None:
            arrays(tensors)
        if isinstance(header, dict):
            header = session.with_checksum(header, tensors)
        path = tmp_path / "rewritten.dvsession"
        tensorfile.write_numpy(path, tensors, {session.METADATA_KEY: json.dumps(header)})
        return session.load(path)

    return load


def test_a_session_from_a_newer_version_is_refused_with_both_versions(rewritten):
    with pytest.raises(InputError, match="version 99, this diffview reads up to 1: update"):
        rewritten(lambda document: document | {"version": 99})


def test_a_recipe_from_a_newer_version_is_refused_and_names_the_file(rewritten):
    with pytest.raises(InputError, match=r"rewritten\.dvsession: the recipe has version 99"):
        rewritten(lambda document: document | {"spec": document["spec"] | {"version": 99}})


@pytest.mark.parametrize(
    "change",
    [
        {"stride": 0},
        {"stride": -1},
        {"stride": math.inf},
        {"stride": "two"},
        {"stride": None},
        {"data_shape": 5},
        {"data_shape": ["a"]},
        {"data_shape": [1, 3, 4]},
        {"data_shape": None},
        {"spec": []},
        {"spec": None},
        {"about": 5},
        {"about": ["ab", "c"]},
        {"version": None},
        {"version": "1"},
        {"version": True},
        {"version": -4},
    ],
    ids=str,
)
def test_a_document_with_a_nonsensical_part_is_refused_and_names_the_file(rewritten, change):
    with pytest.raises(InputError, match=r"rewritten\.dvsession"):
        rewritten(lambda document: document | change)


@pytest.mark.parametrize("key", ["version", "spec", "data_shape", "stride", "about"])
def test_a_document_with_a_part_missing_is_refused(rewritten, key):
    with pytest.raises(InputError, match=r"rewritten\.dvsession is damaged"):
        rewritten(lambda document: {k: v for k, v in document.items() if k != key})


@pytest.mark.parametrize("document", [None, 5, "text", [1]], ids=str)
def test_a_document_that_is_no_object_is_refused(rewritten, document):
    with pytest.raises(InputError, match=r"rewritten\.dvsession is damaged"):
        rewritten(lambda _: document)


def test_a_deeply_nested_document_is_refused(saved, tmp_path):
    path = tmp_path / "deep.dvsession"
    text = "[" * 100_000
    tensorfile.write_numpy(path, tensorfile.read_numpy(saved), {session.METADATA_KEY: text})
    with pytest.raises(InputError, match=r"deep\.dvsession is damaged"):
        session.load(path)


def replaced(name, make):
    def change(arrays):
        arrays[name] = make(arrays[name])

    return change


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("x_t", lambda a: a[..., :2]),
        ("x_t", lambda a: a[:2]),
        ("x_t", lambda a: a.astype(np.float64)),
        ("base", lambda a: a[:, :, :, 0]),
        ("step", lambda a: a[:2]),
        ("step", lambda a: a[:0]),
        ("step", lambda a: a.sum()),
        ("step", lambda a: a + np.inf),
        ("step", lambda a: a + 1),
        ("step", lambda a: a[::-1]),
        ("alpha", lambda a: a[:1]),
        ("sigma", lambda a: a * np.nan),
        ("t", lambda a: a + np.inf),
        ("alpha", lambda a: a - 2),
        ("nfe", lambda a: a[:, None].repeat(2, 1)),
        ("seconds", lambda a: a[:0]),
    ],
)
def test_arrays_that_do_not_fit_the_recipe_are_refused(rewritten, name, make):
    with pytest.raises(InputError, match=r"rewritten\.dvsession"):
        rewritten(arrays=replaced(name, make))


@pytest.mark.parametrize("name", ["x_t", "x0_hat", "base", "direction", "step", "t", "w0", "nfe"])
def test_a_session_without_one_of_its_arrays_is_refused(rewritten, name):
    with pytest.raises(InputError, match=rf"rewritten\.dvsession is damaged: it has no '{name}'"):
        rewritten(arrays=lambda arrays: arrays.pop(name))


def test_a_session_without_any_step_is_refused(rewritten):
    def empty(arrays):
        for name in arrays:
            arrays[name] = arrays[name][:0]

    with pytest.raises(InputError, match=r"rewritten\.dvsession.*no steps"):
        rewritten(arrays=empty)


def test_a_run_saved_while_it_grows_holds_whole_steps_only(make_run, tmp_path):
    """A sampler may append between two reads of the list; what is saved is one moment of it."""
    whole = make_run()
    growing = Trajectory(whole.spec, whole.data_shape)

    class Growing(list):
        def __iter__(self):
            yield from list(super().__iter__())
            if len(self) < len(whole):
                self.append(whole[len(self)])

    growing._records = Growing([whole[0], whole[1]])
    session.save(growing, tmp_path / "run.dvsession")
    loaded, _ = session.load(tmp_path / "run.dvsession")
    assert 2 <= len(loaded) < len(whole)


def test_what_eps_follows_is_kept_beside_the_clipped_estimate(plain_denoiser, tmp_path):
    options = (("clip", "clamp"), ("rederive_eps", False))
    spec = RunSpec("plain", "ddim", 4, seeds=(1, 2), options=options)
    trajectory = Trajectory(spec, plain_denoiser().data_shape)
    for record in run(plain_denoiser(), spec):
        trajectory.append(record)
    assert trajectory.nbytes == estimated_nbytes(spec, trajectory.data_shape)
    session.save(trajectory, tmp_path / "run.dvsession")
    assert_equal(session.load(tmp_path / "run.dvsession")[0], trajectory)
