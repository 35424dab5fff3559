"""The shipped models are as good as their cards say, measured from the shipped files."""

import pytest
import torch

from diffview.models import catalog, families
from diffview.training.data import FASHION_FOLDER, fashion_mnist, scaled
from diffview.training.evaluate import Draw, accuracy, draw, features, frechet


@pytest.fixture(scope="module")
def fashion():
    return families.load(catalog.find("fashion"))


@pytest.fixture(scope="module")
def judge():
    return families.load(catalog.find("fashion-classifier-clean"))


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize(("scale", "n", "least"), [(1.0, 100, 0.85), (2.0, 60, 0.97)])
def test_fashion_makes_what_it_is_asked_for_in_50_ddim_steps(fashion, judge, scale, n, least):
    # Fixed seeds, as many of each class; the card's own figures are of 500. Guided pictures cost
    # twice as much, and their classes are surer.
    pictures = torch.cat(list(draw(fashion, Draw(n, scale))))
    found = accuracy(judge, pictures, torch.arange(n) % 10)
    assert found >= least


def test_the_fashion_card_reports_figures_beside_those_of_real_pictures():
    figures = catalog.find("fashion").card.figures
    assert figures["accuracy"]["1"] >= 0.85
    assert figures["accuracy"]["2"] >= 0.97
    distances = figures["frechet"]
    assert distances["real"] < distances["2"] < distances["real + noise 0.2"]
    assert distances["2"] < distances["0"]


@pytest.mark.skipif(not FASHION_FOLDER.is_dir(), reason="dataset-fashion-mnist is not installed")
def test_the_shipped_classifier_is_right_on_at_least_nine_of_ten_test_pictures(judge):
    test = fashion_mnist("test")
    pictures = scaled(torch.from_numpy(test.pictures.copy()))
    found = accuracy(judge, pictures, torch.from_numpy(test.labels))
    assert found >= 0.9
    card = catalog.find("fashion-classifier-clean").card
    assert found == pytest.approx(card.figures["test accuracy"], abs=5e-4)


@pytest.mark.skipif(not FASHION_FOLDER.is_dir(), reason="dataset-fashion-mnist is not installed")
def test_the_classifier_s_features_tell_noisy_pictures_from_real_ones(judge):
    test = fashion_mnist("test")
    real = scaled(torch.from_numpy(test.pictures[:4000].copy()))
    noise = torch.randn((300, 1, 28, 28), generator=torch.Generator().manual_seed(0))
    reference = features(judge, real[300:])
    noisy = features(judge, (real[:300] + 0.2 * noise).clamp(-1, 1))
    assert frechet(features(judge, real[:300]), reference) < 0.5 * frechet(noisy, reference)


@pytest.mark.parametrize("name", ["fashion", "fashion-classifier-clean"])
def test_a_shipped_file_is_small_and_names_its_licences(name):
    entry = catalog.find(name)
    assert entry.path.stat().st_size < 8e6
    assert entry.card.licence == "MIT"
    assert "Zalando" in entry.card.data_licence
