"""The exact models that ship: opened by id, sampled, saved as files, drawn by hand."""

import numpy as np
import pytest
import torch

from diffview.engine.run import run
from diffview.engine.spec import Guidance, RunSpec
from diffview.errors import InputError
from diffview.models import catalog, families
from diffview.models.exact.mixture import points
from diffview.models.exact.mixture_denoiser import MixtureDenoiser
from diffview.models.exact.toys import mixture_card, toys
from diffview.models.families.mixture import write


@pytest.mark.parametrize("name", toys())
def test_a_model_without_weights_is_opened_by_its_id(name):
    entry = catalog.find(name)
    model = families.load(entry)
    assert model.card == entry.card
    assert (entry.card.data_shape, entry.card.parameters) == ((2,), 0)
    assert len(entry.card.classes) > 1


@pytest.mark.parametrize("label", [None, 1])
def test_many_fine_steps_end_in_the_known_distribution(label):
    """DDIM of 300 steps from 4,000 seeds: mean and covariance of x_0 within sampling error."""
    model = families.load(catalog.find("mixture"))
    spec = RunSpec("mixture", "ddim", 300, "trailing", seeds=tuple(range(4000)))
    condition = None if label is None else torch.full((4000,), label)
    *_, last = run(model, spec, condition)
    data = model.mixture if label is None else model.mixture.of_label(label)
    mean, cov = data.moments()
    np.testing.assert_allclose(last.x_t.mean(0), mean, atol=0.025)
    np.testing.assert_allclose(np.cov(last.x_t.T), cov, atol=0.02)


def test_a_guided_run_at_gamma_one_is_the_conditional_run():
    model = families.load(catalog.find("moons"))
    plain = RunSpec("moons", "ddim", 20, "trailing", seeds=tuple(range(8)))
    labels = torch.zeros(8, dtype=torch.int64)
    *_, conditional = run(model, plain, labels)
    guided = RunSpec("moons", "ddim", 20, "trailing", Guidance("cfg", 1.0), 0, plain.seeds)
    *_, last = run(model, guided, labels)
    np.testing.assert_allclose(last.x_t, conditional.x_t, atol=1e-5)


def test_drawn_points_are_saved_as_a_file_and_opened_from_it(tmp_path):
    drawn = points([[0, 0], [0.5, 0.5], [-0.3, 0.7]], std=0.05, labels=[0, 1, 1])
    model = MixtureDenoiser(mixture_card(drawn, "drawn", "Drawn"), drawn)
    path = tmp_path / "drawn.safetensors"
    write(path, model)
    again = families.load(catalog.find(str(path)))
    assert again.card.classes == ("0", "1")
    level, x = model.schedule.level(300), torch.randn(5, 2)
    torch.testing.assert_close(again(x, level, None), model(x, level, None))


def test_a_mixture_that_is_not_the_cards_is_refused():
    drawn = points([[0, 0, 0]])
    card = mixture_card(points([[0, 0]]), "drawn", "Drawn")
    with pytest.raises(InputError, match="the card tells of samples"):
        MixtureDenoiser(card, drawn)
