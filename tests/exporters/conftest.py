"""Small runs made by hand, without torch: known numbers in every step."""

import numpy as np
import pytest

from diffview.engine.levels import CLEAN, NoiseLevel
from diffview.engine.spec import Guidance, RunSpec
from diffview.engine.trajectory import StepRecord, Trajectory
from diffview.exporters import every, job
from diffview.exporters.recipe import Recipe

ABOUT = {
    "model": {"id": "toy", "sha256": "ab" * 32, "classes": ["dog", "mäuschen ☃"]},
    "versions": {"diffview": "0.1.0"},
}


def run(n_steps=6, batch=4, shape=(1, 7, 5), guided=False, still=()):
    """A run of noise that turns into a picture; steps in `still` show what the one before did."""
    spec = RunSpec(
        "toy",
        n_steps=n_steps,
        guidance=Guidance("cfg", 3.0) if guided else Guidance(),
        condition="mäuschen ☃" if guided else None,
        seeds=tuple(range(batch)),
    )
    rng = np.random.default_rng(0)
    picture = np.tanh(rng.normal(size=(batch, *shape))).astype(np.float32)
    noise = rng.normal(size=(batch, *shape)).astype(np.float32)
    trajectory = Trajectory(spec, shape)
    for i in range(n_steps + 1):
        shown = i - 1 if i in still else i
        trajectory.append(_record(i, shown, n_steps, picture, noise, guided))
    return trajectory


def _record(i, shown, n_steps, picture, noise, guided):
    sigma = (n_steps - shown) / (n_steps + 1)
    alpha = (1 - sigma**2) ** 0.5
    estimate = (alpha * picture).astype(np.float32)
    return StepRecord(
        i=i,
        level=NoiseLevel(float(n_steps - i), alpha, sigma) if i < n_steps else CLEAN,
        x_t=(alpha * picture + sigma * noise).astype(np.float32),
        x0_hat=estimate,
        base=0.5 * estimate if guided else None,
        direction=estimate / 6 if guided else None,
        move=None,
        nfe=i,
        seconds=0.001,
    )


class Pictures:
    """Frames as a writer takes them, from an array (N, H, W, 3)."""

    def __init__(self, pictures):
        self.pictures = pictures
        self.steps = range(len(pictures))

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, index):
        return self.pictures[index]


@pytest.fixture
def make_run():
    return run


@pytest.fixture
def about():
    return ABOUT


@pytest.fixture
def recipe():
    return Recipe(run(1).spec, ABOUT)


@pytest.fixture
def colourful():
    """Five pictures of dense colour noise, 23 x 17 pixels, the third equal to the second."""
    pictures = np.random.default_rng(1).integers(0, 256, (5, 17, 23, 3), dtype=np.uint8)
    pictures[2] = pictures[1]
    return Pictures(pictures)


@pytest.fixture
def grey():
    """Five pictures of all 256 greys, 23 x 17 pixels, the third equal to the second."""
    levels = np.random.default_rng(2).permutation(5 * 17 * 23).reshape(5, 17, 23, 1) % 256
    pictures = np.repeat(levels, 3, axis=3).astype(np.uint8)
    pictures[2] = pictures[1]
    return Pictures(pictures)


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """A folder with a guided run of colour pictures in every format; not to be written to."""
    folder = tmp_path_factory.mktemp("exported") / "out"
    list(job.export(run(shape=(3, 7, 5), guided=True), ABOUT, folder, list(every())))
    return folder
