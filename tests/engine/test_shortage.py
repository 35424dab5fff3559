"""Want of memory: known in everybody's words, told with what was asked for and what to do."""

import numpy as np
import pytest
import torch

from diffview.engine import shortage
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
    ],
    ids=["torch", "numpy", "python", "cuda", "mps", "windows", "cublas"],
)
def test_a_want_of_memory_is_known_and_what_was_asked_for_is_told(error, asked):
    assert shortage.is_shortage(error)
    assert shortage.asked(error) == asked
    words = r"decoding failed: out of memory: .*fewer samples"
    with pytest.raises(DiffviewError, match=words), shortage.told("decoding"):
        raise error


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), ValueError("out of memory")])
def test_other_errors_stay_what_they_are(error):
    assert not shortage.is_shortage(error)
    with pytest.raises(type(error), match=str(error)), shortage.told("decoding"):
        raise error
