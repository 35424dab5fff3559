"""Where a folder's networks go, and as which numbers."""

import pytest
import torch

from diffview.errors import DiffviewError, InputError
from diffview.models import catalog, hf, memory, sampling
from diffview.models.hf import weights
from diffview.models.hf.build import Place
from diffview.models.memory import Room


def estimate(model):
    x = torch.randn(2, *model.card.data_shape, generator=torch.Generator().manual_seed(0))
    return model(x, model.schedule.level(500), model.encode(["a cat", "a dog"]))


@pytest.fixture
def entry(pipelines):
    return catalog.find(str(pipelines("sd")[1]))


def test_half_precision_is_float32_to_its_own_eight_bits(entry):
    whole = estimate(sampling.open_model(entry, "cpu"))
    half = estimate(sampling.open_model(entry, "cpu", "bfloat16"))
    assert half.dtype == torch.float32
    spread = (whole - half).abs().max() / whole.abs().max()
    assert 0 < spread < 0.1


def test_an_unknown_number_type_is_refused(entry):
    with pytest.raises(InputError, match="number type 'int4'; known are auto, float32"):
        sampling.open_model(entry, "cpu", "int4")


def test_a_small_model_of_ours_has_no_choice_of_numbers(model_file):
    with pytest.raises(InputError, match="its number type cannot be chosen"):
        sampling.open_model(catalog.find(str(model_file())), "cpu", "bfloat16")


def test_little_memory_makes_it_bfloat16_and_says_so(entry, monkeypatch, caplog):
    bytes_whole = 4 * entry.card.parameters
    monkeypatch.setattr(memory, "free", lambda device: int(1.5 * bytes_whole))
    model = sampling.open_model(entry, "cpu")
    assert model._decoder.dtype == torch.bfloat16
    assert "held as bfloat16" in caplog.text


def test_too_little_memory_is_refused_before_anything_is_read(entry, monkeypatch):
    monkeypatch.setattr(memory, "free", lambda device: entry.card.parameters)
    with pytest.raises(InputError, match=r"needs .* weights on cpu, .* are free"):
        sampling.open_model(entry, "cpu")


def test_offloaded_parts_compute_the_same(entry):
    here = sampling.open_model(entry, "cpu")
    read = hf.folder.read(entry.path, hf.FAMILIES)
    place = Place(torch.device("cpu"), torch.float32, offload=True)
    away = hf._family(read).load(read, entry.card, place)
    assert torch.equal(estimate(away), estimate(here))
    latents = torch.randn(1, *entry.card.data_shape)
    assert torch.equal(away.decode(latents), here.decode(latents))


def test_a_large_models_batch_is_fitted_to_what_is_free(entry, monkeypatch):
    monkeypatch.setattr(memory, "LARGE", 0)
    whole = sampling.open_model(entry, "cpu")
    x, level = torch.randn(1, 4, 8, 8), whole.schedule.level(500)
    null = whole.null_condition(1)
    need = memory.peak(lambda given: whole(given, level, null), ((1, 4, 8, 8), x.dtype, x.device))
    weights = 4 * entry.card.parameters
    monkeypatch.setattr(memory, "free", lambda device: 2 * weights + 3 * need)
    model = sampling.open_model(entry, "cpu")
    assert model.rows_at_once == int(0.9 * (2 * weights + 3 * need) // need)
    assert torch.equal(estimate(model), estimate(whole))


LATENT = torch.zeros(1, 4, 8, 8)


def activations(network, call):
    """Bytes that call() takes in and out of one layer at most, and of all layers together."""
    seen = []

    def note(layer, given, out):
        seen.append(given[0].nbytes + out.nbytes)

    leaves = [layer for layer in network.modules() if not list(layer.children())]
    hooks = [leaf.register_forward_hook(note) for leaf in leaves]
    call()
    for hook in hooks:
        hook.remove()
    return max(seen), sum(seen)


def test_what_decoding_takes_is_foreseen_and_refused_before_it_is_tried(
    entry, monkeypatch, caplog
):
    monkeypatch.setattr(memory, "LARGE", 0)
    whole = sampling.open_model(entry, "cpu")
    need = whole.room.decode
    widest = 4 * 16 * 16 * 16  # the decoder's 16 channels once they are as wide as the picture
    largest, everything = activations(whole.decoder.network, lambda: whole.decode(LATENT))
    assert largest == 2 * widest, "of its largest convolution, what goes in and what comes out"
    assert largest <= need < everything
    assert f"{memory.gigabytes(need)} for decoding a picture" in str(whole.room)
    short = Room(0, 1, free=need, decode=need)
    monkeypatch.setattr(hf, "_room", lambda model, place: short)
    model = sampling.open_model(entry, "cpu")
    assert "pictures of 'sd' will not fit into memory" in caplog.text
    monkeypatch.setattr(memory, "free", lambda device: need)
    with pytest.raises(DiffviewError, match="decoding a picture of model 'sd' does not fit into"):
        model.decode(torch.zeros(1, 4, 8, 8))
    monkeypatch.setattr(memory, "free", lambda device: 2 * need)
    assert model.decode(torch.zeros(1, 4, 8, 8)).shape == (1, 3, 16, 16)


def enormous(*args, **more):
    return torch.empty(2**50)


def test_memory_that_runs_out_while_loading_is_told_with_what_was_asked_for(entry, monkeypatch):
    monkeypatch.setattr(weights, "fill", enormous)
    with pytest.raises(DiffviewError, match=r"loading model 'sd' on cpu failed: out of memory: "
                       r"4,503,599,627 MB were asked for and are not free"):  # fmt: skip
        sampling.open_model(entry, "cpu")


def test_memory_that_runs_out_while_decoding_is_told(entry, monkeypatch):
    model = sampling.open_model(entry, "cpu")
    monkeypatch.setattr(model.decoder.network, "decode", enormous)
    with pytest.raises(DiffviewError, match="decoding a picture of 3x16x16 failed: out of memory"):
        model.decode(torch.zeros(1, 4, 8, 8))


def test_memory_that_runs_out_in_a_step_leaves_the_steps_before(entry, monkeypatch):
    model = sampling.open_model(entry, "cpu")
    network, asked = model.network, []

    def short_of_memory(*given):
        asked.append(given)
        return network(*given) if len(asked) < 3 else enormous()

    monkeypatch.setattr(model, "_network", short_of_memory)
    run = sampling.trajectory_for(model.card, sampling.spec_for(model.card, steps=4, prompt="a"))
    with pytest.raises(DiffviewError, match=r"failed at step 2 .*: out of memory: .*fewer"):
        for _ in sampling.sample_into(run, model):
            pass
    assert len(run) == 2


def test_the_command_line_tells_what_a_large_models_weights_take(
    entry, monkeypatch, capsys, tmp_path
):
    from diffview.cli import main

    asked = [
        "sample",
        "--model",
        str(entry.path),
        "--prompt",
        "a",
        "--steps",
        "1",
        "--device",
        "cpu",
    ]
    assert main([*asked, "--session", str(tmp_path / "a.dvs")]) == 0
    assert "Weights" not in capsys.readouterr().err
    monkeypatch.setattr(memory, "LARGE", entry.card.parameters)
    assert main([*asked, "--session", str(tmp_path / "b.dvs")]) == 0
    told = capsys.readouterr().err
    assert f"Weights {memory.gigabytes(4 * entry.card.parameters)} as float32" in told
