"""diffview from Python: names load lazily, a run has the tensors it promises, and right ones."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from torch import nn

import diffview
from diffview.errors import InputError

SHAPE = (2, 6, 6)


class SmallNetwork(nn.Module):
    """Random weights; the answer depends on picture, time and label."""

    def __init__(self, classes=0):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.conv = nn.Conv2d(2, 2, 3, padding=1)
        self.labels = nn.Parameter(torch.zeros(classes + 1, 2))
        for parameter in self.parameters():
            with torch.no_grad():
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))

    def forward(self, x_t, t, label=None):
        waves = torch.sin(t.float() / 100)[:, None, None, None]
        shift = 0 if label is None else self.labels[label][:, :, None, None]
        return torch.tanh(self.conv(x_t) + waves + shift)


@pytest.fixture(autouse=True)
def one_thread():
    """Threads only wait for each other on networks this small, worst where others work too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def network():
    return SmallNetwork()


@pytest.fixture
def model(network):
    return diffview.wrap(network, shape=SHAPE, schedule="linear", prediction="eps")


@pytest.fixture
def conditional():
    return diffview.wrap(SmallNetwork(classes=4), shape=SHAPE, classes=4, null=4)


def ddim_of_diffusers(network, x, steps):
    """x_t before each step and at the end, by diffusers."""
    scheduler = DDIMScheduler(
        1000, 1e-4, 0.02, "linear", clip_sample=False, timestep_spacing="leading"
    )
    scheduler.set_timesteps(steps)
    states = [x]
    for t in scheduler.timesteps:
        eps = network(x, t.repeat(len(x)))
        x = scheduler.step(eps, t, x).prev_sample
        states.append(x)
    return torch.stack(states)


def test_importing_the_package_loads_nothing_and_its_names_are_listed():
    code = (
        "import diffview, json, sys\n"
        "print(json.dumps([dir(diffview), sorted({m.split('.')[0] for m in sys.modules})]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    names, loaded = json.loads(done.stdout)
    assert {"open", "wrap", "sample", "load", "explore", "Run"} <= set(names)
    assert not {"torch", "numpy", "PySide6"} & set(loaded)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'smaple'"):
        diffview.smaple  # noqa: B018


@torch.no_grad()
def test_three_lines_give_what_diffusers_gives(network):
    model = diffview.wrap(network, shape=SHAPE, schedule="linear", prediction="eps")
    run = diffview.sample(model, sampler="ddim", steps=20, spacing="leading", seeds=range(3))
    theirs = ddim_of_diffusers(network, run.x_t[0], 20)
    assert torch.allclose(run.x_t, theirs, atol=2e-4, rtol=1e-4)
    assert torch.allclose(run.x0_hat[-1], theirs[-1], atol=2e-4, rtol=1e-4)


def test_a_run_has_tensors_of_every_step(model):
    run = diffview.sample(model, steps=7, seeds="0-3")
    assert run.x_t.shape == run.x0_hat.shape == (8, 4, *SHAPE)
    assert run.x_t.dtype == run.x0_hat.dtype == torch.float32
    assert run.t.shape == run.alpha.shape == run.sigma.shape == (8,)
    assert run.t.dtype == run.alpha.dtype == run.sigma.dtype == torch.float64
    assert torch.allclose(run.alpha**2 + run.sigma**2, torch.ones(8, dtype=torch.float64))
    assert (run.alpha[-1], run.sigma[-1]) == (1, 0)
    assert run.nfe == 7
    assert run.base is run.direction is None
    assert torch.equal(run.x_t[-1], run.x0_hat[-1])
    assert "7" in repr(run)


def test_the_start_is_what_a_notebook_draws_from_the_same_seed(model):
    run = diffview.sample(model, steps=1, seeds=[7, 3])
    for row, seed in zip(run.x_t[0], (7, 3), strict=True):
        drawn = torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))
        assert torch.equal(row, drawn)


def test_a_sample_depends_on_its_own_seed_alone(model):
    options = {"eta": 1.0}
    together = diffview.sample(model, steps=5, seeds=[1, 2, 3], options=options)
    alone = diffview.sample(model, steps=5, seeds=2, options=options)
    assert torch.allclose(together.x_t[:, 1:2], alone.x_t, atol=1e-5)


@pytest.mark.parametrize("seeds", [range(2), [0, 1], "0-1", np.arange(2), torch.arange(2)])
def test_seeds_can_be_said_in_many_ways(model, seeds):
    assert diffview.sample(model, steps=1, seeds=seeds).spec.seeds == (0, 1)


def test_given_noise_starts_the_run_and_counts_the_samples(model):
    noise = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(1))
    run = diffview.sample(model, steps=2, init_noise=noise)
    assert torch.equal(run.x_t[0], noise)
    assert run.spec.seeds == (0, 1, 2)
    again = diffview.sample(model, steps=2, init_noise=noise.double().numpy())
    assert torch.equal(run.x_t, again.x_t)
    assert run.about["init_noise"] == "given"


def test_guidance_keeps_both_terms_so_any_scale_can_be_had_without_the_network(conditional):
    run = diffview.sample(conditional, steps=4, guidance=2.5, label=1, seeds=range(2))
    assert run.nfe == 8
    assert torch.allclose(run.base + 2.5 * run.direction, run.x0_hat, atol=1e-5)
    plain = diffview.sample(conditional, steps=1, seeds=range(2))
    assert torch.allclose(run.base[0], plain.x0_hat[0], atol=1e-4, rtol=1e-4)


def test_a_label_alone_takes_the_default_guidance(conditional):
    spec = diffview.sample(conditional, steps=1, label=1).spec
    assert (spec.guidance.kind, spec.guidance.scale) == ("cfg", 3.0)


def test_one_label_for_each_sample(conditional):
    both = diffview.sample(conditional, steps=3, label=[0, 2], seeds=[5, 5])
    first = diffview.sample(conditional, steps=3, label=0, seeds=5)
    assert torch.allclose(both.x_t[:, :1], first.x_t, atol=1e-5)
    assert not torch.allclose(both.x_t[-1, 0], both.x_t[-1, 1])


def test_a_network_without_a_null_label_is_conditional_but_not_guided():
    model = diffview.wrap(SmallNetwork(classes=4), shape=SHAPE, classes=4)
    run = diffview.sample(model, steps=2, label=1)
    assert (run.spec.guidance.kind, run.nfe, run.base) == ("none", 2, None)
    with pytest.raises(InputError, match="name that label with wrap"):
        diffview.sample(model, steps=2, label=1, guidance=2)
    with pytest.raises(InputError, match="cannot do without a label: choose one of 0, 1, 2, 3"):
        diffview.sample(model, steps=2)


def test_one_wrapped_network_guides_another_but_never_itself():
    strong, weak = (
        diffview.wrap(lambda x, t, a=a: a * x, shape=(2,), prediction="x0") for a in (0.5, 0.2)
    )
    run = diffview.sample(strong, guide=weak, guidance=2.0, steps=2)
    torch.testing.assert_close(run.x0_hat[0], 0.8 * run.x_t[0])  # 0.2 + 2 (0.5 - 0.2)
    with pytest.raises(InputError, match="not weaker than itself"):
        diffview.sample(strong, guide=strong, guidance=2.0, steps=2)


def test_a_wrapped_network_is_never_clipped_unless_asked():
    far = diffview.wrap(lambda x, t: 5 + 0 * x, shape=SHAPE, prediction="x0")
    assert (diffview.sample(far, steps=2).x_t[-1] == 5).all()
    clipped = diffview.sample(far, steps=2, options={"clip": "clamp"})
    assert (clipped.x_t[-1] == 1).all()


def test_a_schedule_shorter_than_the_default_takes_all_its_steps():
    model = diffview.wrap(lambda x, t: 0 * x, shape=SHAPE, schedule=np.linspace(0.1, 0.5, 10))
    assert diffview.sample(model).spec.n_steps == 10


def test_a_saved_run_is_loaded_equal(conditional, tmp_path):
    run = diffview.sample(conditional, steps=3, label=2, seeds=range(2))
    run.save(tmp_path / "run.dvsession")
    again = diffview.load(str(tmp_path / "run.dvsession"))
    assert again.spec == run.spec
    for name in ("x_t", "x0_hat", "base", "direction", "t", "alpha", "sigma"):
        assert torch.equal(getattr(again, name), getattr(run, name)), name
    assert again.nfe == run.nfe
    assert again.about == run.about


def test_a_saved_run_replaces_no_file_unless_asked(model, tmp_path):
    file = tmp_path / "run.dvsession"
    diffview.sample(model, steps=1, seeds=1).save(file)
    before = file.read_bytes()
    other = diffview.sample(model, steps=2, seeds=2)
    with pytest.raises(InputError, match=r"run\.dvsession is there already.*overwrite=True"):
        other.save(file)
    assert file.read_bytes() == before
    other.save(file, overwrite=True)
    assert diffview.load(file).spec == other.spec


@pytest.mark.parametrize("steps", [np.int64(2), torch.tensor(2)])
def test_whole_numbers_of_any_kind_are_taken(conditional, steps):
    run = diffview.sample(conditional, steps=steps, label=torch.tensor([1, 2]), seeds=[0, 1],
                          guidance=np.float32(2))  # fmt: skip
    assert (run.spec.n_steps, run.spec.condition) == (2, (1, 2))
    assert run.spec.guidance.scale == 2.0


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ({"eta": 0.5}, r"'eta': it is an option, give options=\{'eta': \.\.\.\}"),
        ({"n_steps": 4}, "'n_steps': did you mean 'steps'"),
        ({"guidance_scale": 4}, "'guidance_scale': did you mean 'guidance'"),
        ({"zzz": 4}, "'zzz'; it has model, sampler, steps"),
    ],
)
def test_an_argument_that_is_not_there_is_refused_with_what_to_write_instead(
    model, argument, said
):
    with pytest.raises(TypeError, match=said):
        diffview.sample(model, **argument)


def test_progress_is_told_after_each_step(model):
    told = []
    diffview.sample(model, steps=3, progress=lambda done, steps: told.append((done, steps)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_small_budget_keeps_fewer_steps_with_a_warning(model):
    one_step = 2 * 4 * int(np.prod(SHAPE))
    with pytest.warns(UserWarning, match="one step in 2 is kept"):
        run = diffview.sample(model, steps=8, budget=5 * one_step)
    assert run.t.tolist() == [999, 749, 499, 249, 0]


def test_a_network_that_fails_leaves_the_steps_before_in_the_error(network):
    def fails_later(x_t, t):
        if t[0] < 500:
            raise ValueError("too clean")
        return network(x_t, t)

    model = diffview.wrap(fails_later, shape=SHAPE)
    with pytest.raises(diffview.SamplingError, match="ValueError: too clean") as caught:
        diffview.sample(model, steps=10)
    assert len(caught.value.run.x_t) == 5


def test_an_interrupt_passes_through_and_the_next_run_is_whole(model, network):
    def interrupt(done, steps):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        diffview.sample(model, steps=5, progress=interrupt)
    assert torch.is_grad_enabled()
    assert len(diffview.sample(model, steps=5).x_t) == 6


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"steps": 0}, "choose at least 1"),
        ({"sampler": "magic"}, "unknown sampler"),
        ({"label": 9}, "out of range"),
        ({"label": [0, 1]}, "2 labels were given for 1 samples"),
        ({"guidance": 2.0}, "needs a label"),
        ({"seeds": []}, "0 samples"),
        ({"seeds": -1}, "seed -1"),
        ({"device": "tpu"}, "unknown device"),
        ({"options": {"eta": 3}}, "eta = 3"),
        ({"steps": 2.5}, r"steps = 2\.5 is not a whole number"),
        ({"steps": "5"}, "steps = '5' is not a whole number"),
        ({"steps": True}, "steps = True is not a whole number"),
        ({"guidance": "3"}, "guidance = '3' is not a number"),
        ({"label": 1.5}, r"label = 1\.5 is not a whole number"),
        ({"seeds": 2.5}, r"seeds = 2\.5 is not a whole number"),
        ({"seeds": [1, 2.5]}, r"seeds = 2\.5 is not a whole number"),
        ({"budget": "1 GB"}, "budget = '1 GB' is not a whole number"),
        ({"options": [0.5]}, "must be values by name"),
        ({"device": 0}, "is not a name such as 'cpu'"),
        ({"init_noise": "noise"}, "must be numbers"),
        ({"init_noise": torch.zeros(2, 6, 6)}, "shape"),
        ({"init_noise": torch.full((1, *SHAPE), torch.nan)}, "NaN"),
    ],
)
def test_what_cannot_be_run_is_an_input_error(conditional, settings, said):
    with pytest.raises(InputError, match=said):
        diffview.sample(conditional, **settings)


def test_what_is_no_model_is_told_about_wrap(network):
    with pytest.raises(InputError, match=r"diffview\.wrap"):
        diffview.sample(network)


def test_an_unknown_id_is_an_input_error_that_names_the_known_ones():
    with pytest.raises(InputError, match="unknown model 'nosuch'"):
        diffview.open("nosuch")


@pytest.mark.parametrize("name", ["here/model.safetensors", "model.safetensors", "~/gone"])
def test_a_file_that_is_not_there_is_called_that(name):
    with pytest.raises(InputError, match=f"{name.removeprefix('~')} does not exist.*or one of"):
        diffview.open(name)


def test_explore_hands_a_model_or_a_run_to_the_window(model, monkeypatch):
    shown = []
    app = type(sys)("diffview.ui.app")
    app.main = lambda **what: shown.append(what) or 0
    monkeypatch.setitem(sys.modules, "diffview.ui.app", app)
    run = diffview.sample(model, steps=1)
    assert diffview.explore(model) == diffview.explore(run) == 0
    assert shown == [{"model": model}, {"model": model, "run": run}]


@pytest.mark.parametrize("times", ["900, 500, 100", [900, 500, 100], (900, 500, 100.0)])
def test_times_are_a_text_or_numbers_of_any_sequence(model, times):
    run = diffview.sample(model, spacing="list", options={"times": times})
    assert run.t.tolist() == [900, 500, 100, 0]


@pytest.mark.parametrize("interval", [(0.2, 1.5), [0.2, 1.5], np.array([0.2, 1.5])])
def test_an_interval_is_two_numbers_of_any_sequence(conditional, interval):
    for more in ({"interval": interval}, {"options": {"interval": interval}}):
        run = diffview.sample(conditional, label=1, steps=2, **more)
        assert run.spec.option("interval") == "0.20000000000000001, 1.5"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"interval": (1,)}, "interval = (1,) is not two numbers"),
        ({"interval": 3}, "interval = 3 is not two numbers"),
        ({"interval": (1, "x")}, "interval = 1, x: x is not a number"),
        ({"options": {"interval": [1]}}, "interval = [1] has 1 number; it takes 2"),
        ({"options": {"interval": [0, 1]}, "interval": (0, 1)}, "say the same"),
        ({"curve": [(0,)]}, "curve = [(0,)] is no guidance curve"),
        ({"curve": 3}, "curve = 3 is no guidance curve"),
        ({"options": {"eta": None}}, "eta = None is not a number"),
        ({"options": {"eta": [0, 1]}}, "eta = [0, 1] is a list; it takes"),
        (
            {"options": {"times": [900, None]}, "spacing": "list"},
            "times = 900, None: None is not a number",
        ),
        ({"sampler": ""}, "unknown sampler ''"),
        ({"spacing": ""}, "unknown spacing ''"),
        ({"seeds": ""}, "seeds '' cannot be read"),
    ],
)
def test_an_argument_of_the_wrong_form_is_refused_by_its_name(conditional, wrong, told):
    with pytest.raises(InputError) as refused:
        diffview.sample(conditional, label=1, steps=2, **wrong)
    assert told in str(refused.value)


def test_a_run_that_cannot_be_saved_says_where_and_what_to_do(model, tmp_path):
    run = diffview.sample(model, steps=1)
    with pytest.raises(InputError, match=r"nowhere.*cannot be written.*choose a folder"):
        run.save(tmp_path / "nowhere" / "x.dvsession")
