"""Memory foreseen: sums known by hand, refusals with numbers, and a batch taken in parts."""

import numpy as np
import pytest
import torch

from diffview.engine import shortage
from diffview.errors import DiffviewError, InputError
from diffview.models import memory, sampling
from diffview.models.memory import Room
from diffview.models.network import NetworkDenoiser

CPU = torch.device("cpu")
N = (10, 100)  # 4000 bytes of float32


def peak(call):
    return memory.peak(call, (N, torch.float32, CPU))


@pytest.mark.parametrize(
    ("call", "arrays"),
    [
        (lambda x: x + 1, 1),
        (lambda x: ((x + 1) + 1) + 1, 2),  # the one before, and the new one
        (lambda x: (x + 1) + (x + 2), 3),
        (lambda x: (x + 1).view(-1)[:5], 1),  # views take nothing
        (lambda x: x.view(-1), 0),
        (lambda x: torch.cat([x + 1, x + 2]), 4),
        (lambda x: (x + 1).add_(1), 1),
    ],
)
def test_what_lives_at_once_is_added_up(call, arrays):
    assert peak(call) == arrays * 4000


def test_an_enormous_network_is_measured_without_its_memory():
    side = 1_000_000  # 4 TB for the product
    found = memory.peak(lambda x: x[:, None] * x, ((side,), torch.float32, CPU))
    assert found == side * side * 4


def test_what_depends_on_values_cannot_be_foreseen():
    assert peak(lambda x: 1 if x.sum() > 0 else 2) is None


def test_as_many_samples_go_at_once_as_fit_beside_the_weights():
    assert Room(weights=500, per_sample=100, free=1000).samples == 4  # 0.9 * 1000 - 500
    assert memory.check_samples(Room(0, 100, 1000), "m") == 9


def test_a_sample_that_does_not_fit_is_refused_with_the_numbers():
    room = Room(4 * 10**9, 3 * 10**9, 6 * 10**9)
    with pytest.raises(
        InputError, match=r"one sample of model 'big' does not fit.*4.0 GB, 3.0 GB"
    ):
        memory.check_samples(room, "big")


def test_weights_that_do_not_fit_are_refused_with_the_numbers(monkeypatch):
    monkeypatch.setattr(memory, "free", lambda device: 4 * 10**9)
    with pytest.raises(InputError, match=r"4.8 GB for its 1.20 billion weights on cpu, 4.0 GB are "
                       r"free; in half precision 2.4 GB"):  # fmt: skip
        memory.check_weights(1_200_000_000, 4, CPU, "big")
    memory.check_weights(1_200_000_000, 2, CPU, "big")


def test_free_memory_is_no_more_than_there_is():
    import os

    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < memory.free(CPU) <= whole


@pytest.mark.parametrize(("rows", "calls"), [(None, [5]), (5, [5]), (2, [2, 2, 1]), (1, [1] * 5)])
def test_a_batch_is_taken_in_parts_and_its_rows_stay_what_they_are(make_card, rows, calls):
    sizes = []

    def network(x, t, label):
        sizes.append(len(x))
        return x * label[:, None, None, None] + t[:, None, None, None]

    model = NetworkDenoiser(make_card(prediction="x0"), network, null=3)
    model.rows_at_once = rows
    x, labels = torch.randn(5, 1, 8, 8), torch.tensor([0, 1, 2, 3, 1])
    out = model(x, model.schedule.level(500), labels)
    assert torch.equal(out, x * labels[:, None, None, None] + 500)
    assert sizes == calls


WANT = (
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: "
    "you tried to allocate 3000000000 bytes. Error code 12 (Cannot allocate memory)"
)
"""What torch says on the CPU."""


@pytest.fixture
def short(make_card):
    """A model whose network has memory for `fits` rows, and the sizes it was asked for."""

    def make(fits):
        sizes = []

        def network(x, t, label):
            sizes.append(len(x))
            if len(x) > fits:
                raise RuntimeError(WANT)
            return 0.1 * x * (1 + label[:, None, None, None])

        return NetworkDenoiser(make_card(prediction="x0"), network, null=3), sizes

    return make


def test_a_batch_that_does_not_fit_is_split_and_gives_the_same_samples(short, caplog):
    (model, sizes), (whole, _) = short(2), short(100)
    runs = []
    for one in (model, whole):
        spec = sampling.spec_for(one.card, sampler="ddim", steps=3, label=1, seeds=range(5))
        runs.append([record.x_t for record in sampling.records(one, spec)])
    for ours, theirs in zip(*runs, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert sizes[:4] == [10, 5, 3, 2], "halved until it fits"
    assert max(sizes[4:]) == 2, "and tried no larger again"
    assert model.rows_at_once == 2
    [told] = caplog.records
    assert "10 evaluations at once do not fit into memory: it goes on with 2 at" in told.message


def test_a_single_sample_that_does_not_fit_is_refused_with_the_numbers(short):
    model, _ = short(0)
    spec = sampling.spec_for(model.card, sampler="ddim", steps=3, label=1, seeds=range(2))
    with pytest.raises(DiffviewError, match=r"step 0 .*: out of memory: 3,000 MB were asked for"):
        list(sampling.records(model, spec))
    assert model.rows_at_once is None, "where memory is free again all are asked for again"


@pytest.mark.parametrize(
    ("free", "dtype", "words"),
    [
        (32e9, "auto", "Weights 4.0 GB as float32, 32.0 GB of memory are free"),
        (7e9, "auto", "Weights 2.0 GB as bfloat16, 7.0 GB of memory are free"),
        (7e9, "float16", "Weights 2.0 GB as float16, 7.0 GB of memory are free"),
        (None, "auto", "Weights 4.0 GB as float32"),
    ],
)
def test_what_weights_will_take_is_told_before_they_are_read(monkeypatch, free, dtype, words):
    """Of a billion numbers; auto is what loading would choose: half of the memory at most."""
    monkeypatch.setattr(memory, "host_free", lambda: free and int(free))
    assert memory.foreseen(10**9, dtype) == words


@pytest.mark.parametrize(
    ("nbytes", "words"), [(600, "0.6 kB"), (250_000, "0.2 MB"), (5_135_149_760, "5.1 GB")]
)
def test_a_size_is_told_in_the_unit_a_person_would_take(nbytes, words):
    assert memory.gigabytes(nbytes) == words


def test_what_is_free_is_told_of_the_device_that_is_chosen(monkeypatch):
    monkeypatch.setattr(memory, "free", lambda device: 24 * 10**9 if device.type == "cuda" else 1)
    told = memory.foreseen(10**9, "auto", torch.device("cuda", 0))
    assert told == "Weights 4.0 GB as float32, 24.0 GB on cuda:0 are free"


@pytest.mark.parametrize(
    ("choice", "awake", "found"),
    [("cpu", True, None), ("mps", True, None), ("auto", False, None), ("cuda", False, None),
     ("auto", True, torch.device("cuda")), ("cuda:1", True, torch.device("cuda", 1))],
)  # fmt: skip
def test_a_gpu_is_asked_what_it_has_free_only_where_it_is_in_use(
    monkeypatch, choice, awake, found
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: awake)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert memory.device_of(choice) == found


@pytest.mark.parametrize("choice", ["cuda:9", "cuda:x", "cuda:"])
def test_a_gpu_that_is_not_there_has_no_memory_to_tell_of(monkeypatch, choice):
    """torch raises for it, which in a slot of the window would end the program."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert memory.device_of(choice) is None


def test_a_driver_that_sleeps_is_not_woken_to_be_asked(monkeypatch):
    def woken():
        raise AssertionError("is_available asks the driver")

    monkeypatch.setattr(torch.cuda, "is_available", woken)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    assert memory.device_of("auto") is None
    shortage.release()


def test_a_picture_is_decoded_once_there_is_room_again(monkeypatch):
    room = Room(0, per_sample=1, free=10**9, decode=10**9)  # measured while there was little
    monkeypatch.setattr(memory, "free", lambda device: 10**9)
    with pytest.raises(DiffviewError, match=r"1.0 GB for decoding a picture, 1.0 GB free"):
        memory.check_decode(room, "m", CPU)
    monkeypatch.setattr(memory, "free", lambda device: 2 * 10**9)
    memory.check_decode(room, "m", CPU)
    monkeypatch.setattr(memory, "free", lambda device: None)
    memory.check_decode(room, "m", CPU)


def test_what_torch_keeps_for_itself_on_a_gpu_is_free_too(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (3, 10))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 5)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 1)
    assert memory.free(torch.device("cuda")) == 3 + (5 - 1)
