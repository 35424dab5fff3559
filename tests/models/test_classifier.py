"""The classifier: shapes, and that its head reads its own features."""

import torch

from diffview.models.classifier import Classifier, ClassifierConfig


@torch.no_grad()
def test_logits_are_the_heads_reading_of_the_features():
    torch.manual_seed(0)
    network = Classifier(ClassifierConfig(channels=1, classes=10, width=16)).eval()
    x = torch.randn(3, 1, 28, 28)
    features = network.features(x)
    assert features.shape == (3, 16)
    logits = network(x)
    assert logits.shape == (3, 10)
    torch.testing.assert_close(logits, features @ network.head.weight.T + network.head.bias)


@torch.no_grad()
def test_samples_of_a_batch_are_judged_each_on_its_own():
    torch.manual_seed(0)
    network = Classifier(ClassifierConfig(channels=3, classes=4, width=16)).eval()
    x = torch.randn(2, 3, 12, 12)
    torch.testing.assert_close(network(x)[1:], network(x[1:]), rtol=1e-5, atol=1e-6)


def test_a_configuration_is_its_keywords():
    config = ClassifierConfig(channels=1, classes=10)
    assert ClassifierConfig(**config.to_json()) == config
