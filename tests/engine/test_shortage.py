"""Want of memory: known in everybody's words, told with what was asked for and what to do."""

import weakref

import numpy as np
import pytest
import torch

from diffview.engine import recording, schedules, shortage
from diffview.errors import DiffviewError

WINDOWS = (
    "[enforce fail] . DefaultCPUAllocator: not enough memory: you tried to allocate 12 bytes."
)
CUDA = "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 7.79 GiB"
MPS = "MPS backend out of memory (MPS allocated: 9.06 GB). Tried to allocate 1.50 GB on private"


def raised(call):
    with pytest.raises(Exception) as info:
        call()
    return info.value


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (raised(lambda: torch.empty(2**50)), 4 * 2**50),
        (raised(lambda: np.empty(2**50)), 2**53),
        (raised(lambda: bytearray(2**60)), None),
        (torch.OutOfMemoryError(CUDA), 2.5 * 2**30),
        (RuntimeError(MPS), 1.5e9),
        (RuntimeError(WINDOWS), 12),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), None),
        (RuntimeError("could not create a primitive"), None),
    ],
    ids=["torch", "numpy", "python", "cuda", "mps", "windows", "cublas", "onednn"],
)
def test_a_want_of_memory_is_known_and_what_was_asked_for_is_told(error, asked):
    assert shortage.is_shortage(error)
    assert shortage.asked(error) == asked
    words = r"decoding failed: out of memory: .*fewer samples"
    with pytest.raises(DiffviewError, match=words), shortage.explained("decoding"):
        raise error


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("shapes differ"),
        ValueError("out of memory"),
        RuntimeError("could not create a primitive descriptor for a convolution"),
    ],
)
def test_other_errors_stay_what_they_are(error):
    assert not shortage.is_shortage(error)
    with pytest.raises(type(error), match=str(error)), shortage.explained("decoding"):
        raise error


LEVEL = schedules.named("linear").level(3)


@pytest.mark.parametrize(
    "wrapped",
    [lambda: shortage.explained("decoding"), lambda: recording.named(3, LEVEL)],
    ids=["explained", "named"],
)
def test_what_the_failed_step_held_is_let_go_before_the_reserve_is_given_back(
    wrapped, monkeypatch
):
    """The error's traceback holds its frames, and they its tensors."""
    held, alive = [], []
    monkeypatch.setattr(shortage, "release", lambda: alive.extend(ref() for ref in held))

    def step():
        activations = torch.zeros(4)
        held.append(weakref.ref(activations))
        raise torch.OutOfMemoryError(CUDA)

    with pytest.raises(DiffviewError, match="out of memory") as info, wrapped():
        step()
    assert alive == [None]
    assert info.value.__cause__ is None and info.value.__suppress_context__


def test_the_words_tell_the_size_of_the_request_and_suit_window_and_command_line():
    words = shortage.reason(torch.OutOfMemoryError(CUDA))
    assert "2,684 MB were asked for and are not free" in words
    assert "--" not in words
