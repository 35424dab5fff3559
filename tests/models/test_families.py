"""Loading weights: a sound file gives its model; any disagreement of file and card is refused."""

import json
import pkgutil
import resource
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diffview.engine.run import run
from diffview.engine.spec import Guidance, RunSpec
from diffview.errors import InputError
from diffview.models import catalog, families
from diffview.models.classifier import Classifier, ClassifierConfig
from diffview.models.unet import UNet, UNetConfig

FIRST, LAST = "embed_time.net.0.weight", "leave.2.bias"


def tiny_config(**changes):
    config = UNetConfig(channels=1, size=8, base=8, blocks=1, attention=(), classes=3)
    return config.to_json() | changes


def loaded(path):
    return families.load(catalog.entry(path))


def refused(path, message):
    with pytest.raises(InputError, match=message) as info:
        loaded(path)
    assert str(path) in str(info.value)
    assert "\n" not in str(info.value)


@torch.no_grad()
def test_a_loaded_model_is_the_saved_network(model_file):
    denoiser = loaded(model_file())
    torch.manual_seed(0)
    network = UNet(UNetConfig.from_json(tiny_config())).half().float()
    level = denoiser.schedule.level(500)
    x_t = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    label = torch.tensor([0, 2])
    v = network(x_t, torch.tensor([500, 500]), label)
    x0_hat = level.alpha * x_t - level.sigma * v
    torch.testing.assert_close(denoiser(x_t, level, label), x0_hat, rtol=1e-5, atol=1e-6)


def test_a_loaded_model_is_ready_to_be_sampled_with_guidance(model_file):
    denoiser = loaded(model_file())
    assert denoiser.null_condition(2).tolist() == [3, 3]
    spec = RunSpec("tiny", n_steps=2, guidance=Guidance("cfg", 2.0), seeds=(0, 1))
    records = list(run(denoiser, spec, torch.tensor([0, 2])))
    assert records[-1].x_t.shape == (2, 1, 8, 8)
    assert np.isfinite(records[-1].x_t).all()


def test_a_loaded_network_keeps_no_gradients_and_is_in_evaluation(model_file):
    network = families.build(
        catalog.entry(model_file()), lambda value: UNet(UNetConfig.from_json(value))
    )
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


def test_a_classifier_is_loaded_as_its_network(model_file, make_card):
    config = ClassifierConfig(channels=1, classes=3, width=16)
    torch.manual_seed(0)
    expected = Classifier(config).half().float()

    def replace(weights):
        weights.clear()
        weights.update({k: v.half() for k, v in expected.state_dict().items()})

    card = make_card(family="classifier", prediction="class")
    network = loaded(model_file(card=card, config=config.to_json(), tensors=replace))
    x = torch.randn(2, 1, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(network(x), expected(x))


def test_a_missing_tensor_is_refused_by_name(model_file):
    path = model_file(tensors=lambda weights: weights.pop(FIRST))
    refused(path, f"tensor '{FIRST}' is missing")


def test_an_extra_tensor_is_refused_by_name(model_file):
    path = model_file(tensors=lambda weights: weights.update(extra=torch.zeros(1)))
    refused(path, "tensor 'extra' does not belong to this network")


def test_a_misshapen_tensor_is_refused_with_both_shapes(model_file):
    path = model_file(tensors=lambda weights: weights.update({LAST: torch.zeros(7)}))
    refused(path, rf"tensor '{LAST}' has shape \(7,\), the configuration asks for \(4,\)")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_refused_by_name(model_file, value):
    def spoil(weights):
        weights[FIRST][0, 0] = value

    refused(model_file(tensors=spoil), f"tensor '{FIRST}' holds NaN or infinite values")


def test_weights_of_eight_bit_floats_are_read(model_file):
    def shorten(weights):
        weights[LAST] = weights[LAST].to(torch.float8_e4m3fn)

    assert loaded(model_file(tensors=shorten)).card.id == "tiny"


@pytest.mark.parametrize(
    "changes",
    [
        {"base": 2**20},
        {"base": 2**40},
        {"channels": 2**20},
        {"classes": 2**30},
        {"blocks": 10**9},
        {"multipliers": [1] * 10**5},
        {"multipliers": [2**20, 2**20]},
        {"size": 10**9, "attention": [1]},
    ],
    ids=lambda changes: str(changes)[:40],
)
def test_a_configuration_that_lies_about_its_size_costs_neither_memory_nor_time(
    model_file, changes
):
    path = model_file(config=tiny_config(**changes))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(path, r"configuration|is missing|does not belong")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200_000, "kilobytes"


@pytest.mark.parametrize(
    "changes",
    [
        {"base": 0},
        {"base": -8},
        {"base": 8.0},
        {"base": "8"},
        {"base": True},
        {"base": 10**30},
        {"channels": 0},
        {"size": -8},
        {"size": 7},
        {"patch": 0},
        {"patch": 3},
        {"blocks": 0},
        {"blocks": -1},
        {"classes": -1},
        {"multipliers": []},
        {"multipliers": [0]},
        {"multipliers": ["1"]},
        {"multipliers": 5},
        {"multipliers": None},
        {"multipliers": [1] * 5},
        {"attention": ["7"]},
        {"attention": None},
        {"surprise": 1},
    ],
    ids=str,
)
def test_a_configuration_with_a_nonsensical_part_is_refused(model_file, changes):
    refused(model_file(config=tiny_config(**changes)), "configuration is damaged")


@pytest.mark.parametrize("text", ["", "{", "5", "null", "[]", "[" * 100_000])
def test_a_configuration_that_is_no_object_is_refused(model_file, text):
    refused(model_file(metadata={"diffview.config": text}), "configuration is missing or damaged")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


@settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(data=st.data(), value=json_values)
def test_any_value_in_the_configuration_gives_a_model_or_an_input_error(model_file, data, value):
    config = tiny_config()
    config[data.draw(st.sampled_from(sorted(config)))] = value
    path = model_file(config=config)
    try:
        loaded(path)
    except InputError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data_shape": (3, 8, 8)}, r"card.*\(3, 8, 8\).*network.*\(1, 8, 8\)"),
        ({"data_shape": (1, 16, 16)}, r"card.*\(1, 16, 16\).*network.*\(1, 8, 8\)"),
        ({"classes": ("a", "b")}, "card.*2 classes.*network.*3"),
        ({"classes": ()}, "card.*0 classes.*network.*3"),
        ({"prediction": "score"}, "unknown prediction type 'score'"),
        ({"prediction": "class"}, "unknown prediction type 'class'"),
    ],
    ids=str,
)
def test_a_card_that_does_not_fit_its_network_is_refused_when_it_is_loaded(
    model_file, make_card, changes, message
):
    refused(model_file(card=make_card(**changes)), message)


def test_an_unknown_family_is_refused_with_the_known_ones(model_file, make_card):
    path = model_file(card=make_card(family="gan"))
    refused(path, "family 'gan' is not known here .known: classifier, .*pixel_unet.*; a newer")


def test_a_newer_card_is_refused(model_file, make_card):
    document = make_card().to_json() | {"version": 2}
    refused(
        model_file(metadata={"diffview.card": json.dumps(document)}),
        "version 2, this diffview reads up to 1: update",
    )


def test_every_file_of_the_folder_registers_exactly_one_family():
    files = {module.name for module in pkgutil.iter_modules(families.__path__)}
    homes = [load.__module__.rpartition(".")[2] for load in families._loaders().values()]
    assert sorted(homes) == sorted(files)


def test_opening_a_model_does_not_import_torchs_compiler(model_file):
    code = (
        "import sys\n"
        "from diffview.models import catalog, sampling\n"
        "sampling.open_model(catalog.find(sys.argv[1]), 'cpu')\n"
        "assert 'torch' in sys.modules and 'torch._dynamo' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(model_file())], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
