"""Edits of a recorded state: new noise around the same estimate, in a part or everywhere."""

import numpy as np
import pytest

from diffview.engine.levels import NoiseLevel
from diffview.engine.noise import initial_noise
from diffview.engine.trajectory import StepRecord
from diffview.errors import InputError
from diffview.models import editing

LEVEL = NoiseLevel(500.0, 0.6, 0.8)


def record(shape=(2, 3, 8, 6), seed=0):
    draw = np.random.default_rng(seed)
    x_t, x0 = (draw.standard_normal(shape).astype(np.float32) for _ in range(2))
    return StepRecord(1, LEVEL, x_t, x0, None, None, None, 1, 0.0)


def test_new_noise_is_that_of_the_forward_process_from_the_estimate():
    made = record()
    z = initial_noise((7, 9), (3, 8, 6)).numpy()
    edited = editing.renoised(made, (7, 9))
    np.testing.assert_allclose(edited, 0.6 * made.x0_hat + 0.8 * z, atol=1e-6)
    assert edited.dtype == np.float32
    assert np.array_equal(edited, editing.renoised(made, (7, 9)))


@pytest.mark.parametrize(
    ("part", "inside", "share"),
    [("left", (0, 0), 1 / 2), ("right", (7, 5), 1 / 2), ("upper", (0, 5), 1 / 2),
     ("lower", (7, 0), 1 / 2), ("middle", (4, 3), 4 * 4 / 48)],
)  # fmt: skip
def test_in_a_part_the_rest_stays_as_it_was(part, inside, share):
    made = record()
    changed = editing.renoised(made, (7, 9), part) != made.x_t
    assert changed[(0, 0, *inside)] and changed.mean() == pytest.approx(share)


def test_what_cannot_be_edited_is_refused():
    with pytest.raises(InputError, match="no pictures"):
        editing.renoised(record((2, 2)), (1, 2), "left")
    with pytest.raises(InputError, match="unknown part"):
        editing.renoised(record(), (1, 2), "corner")
    with pytest.raises(InputError, match="1 seeds were given for 2 samples"):
        editing.renoised(record(), (1,))
