"""`diffview sample --from`: a saved run resumed, branched and completed, and verified again."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from diffview.cli import main
from diffview.engine import session


@pytest.fixture
def saved(tiny, tmp_path, monkeypatch, capsys):
    """The folder of a guided, stochastic run of the tiny model, saved as a.dvsession."""
    monkeypatch.chdir(tmp_path)
    words = "--label 1 --guidance 2 --sampler ddpm --steps 5 --seeds 4-6 --session a.dvsession"
    assert main(["sample", "--model", tiny, *words.split()]) == 0
    capsys.readouterr()
    return tmp_path


@pytest.fixture
def go_on(saved, tiny):
    """Runs `sample --from a.dvsession --session b.dvsession` with more words."""

    def run(words):
        told = ["--from", "a.dvsession", "--model", tiny, "--session", "b.dvsession"]
        return main(["sample", *told, *words.split()])

    return run


def loaded(name):
    return session.load(Path(name))[0]


def test_without_changes_a_run_is_made_again_from_the_step_on(go_on):
    assert go_on("--step 3") == 0
    one, other = loaded("a.dvsession"), loaded("b.dvsession")
    assert one.spec == other.spec
    np.testing.assert_array_equal(one.stack("x_t"), other.stack("x_t"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--guidance 4", {"scale": 4.0}),
        ("--label 2", {"condition": 2}),
        ("--sampler dpmpp_2m", {"sampler": "dpmpp_2m"}),
        ("--seeds 7-9", {"seeds": (7, 8, 9)}),
        ("--option variance=large", {"options": (("variance", "large"),)}),
        ("--x-t edited.safetensors", {}),
    ],
)
def test_a_branch_is_saved_with_its_parent_and_verified(words, says, go_on, tiny, capsys):
    parent = loaded("a.dvsession")
    save_file({"x": parent[2].x_t + np.float32(0.5)}, "edited.safetensors")
    assert go_on(f"--step 2 {words}") == 0
    branch = loaded("b.dvsession")
    assert (branch.spec.origin.parent, branch.spec.origin.step) == (parent.spec, 2)
    told = {"scale": branch.spec.guidance.scale} | {
        name: getattr(branch.spec, name) for name in ("condition", "sampler", "seeds", "options")
    }
    assert told == {
        "scale": 2.0,
        "condition": 1,
        "sampler": "ddpm",
        "seeds": (4, 5, 6),
        "options": (),
        **says,
    }
    np.testing.assert_array_equal(branch.stack("x_t")[:2], parent.stack("x_t")[:2])
    assert not np.array_equal(branch[-1].x_t, parent[-1].x_t)
    capsys.readouterr()
    assert main(["verify", "b.dvsession", "--model", tiny]) == 0
    assert capsys.readouterr().out == "equal: all 6 recorded steps replay to the last bit\n"


def test_a_branch_is_exported_and_branched_again(go_on, tiny):
    assert go_on("--step 1 --guidance 4") == 0
    words = "--from b.dvsession --step 3 --label 0 --out out --format png,safetensors"
    assert main(["sample", "--model", tiny, *words.split()]) == 0
    assert main(["verify", "out/trajectory.safetensors", "--model", tiny]) == 0
    recipe = json.loads(Path("out/recipe.json").read_text())
    assert recipe["spec"]["origin"]["step"] == 3
    assert recipe["spec"]["origin"]["parent"]["origin"]["step"] == 1


def test_a_state_is_completed_several_times(go_on, tiny, capsys):
    assert go_on("--step 2 --complete 4 --of-sample 1") == 0
    many = loaded("b.dvsession")
    assert many.spec.seeds == (5, 6, 7, 8)
    assert len(np.unique(many[-1].x_t, axis=0)) == 4
    assert len(np.unique(many[2].x_t, axis=0)) == 1
    assert main(["verify", "b.dvsession", "--model", tiny]) == 0


def test_guidance_may_begin_on_the_way(saved, tiny):
    words = "--label 1 --guidance-kind none --steps 4 --session plain.dvsession"
    assert main(["sample", "--model", tiny, *words.split()]) == 0
    words = (
        "--from plain.dvsession --step 2 --guidance 3 --session c.dvsession --out out --show diff"
    )
    assert main(["sample", "--model", tiny, *words.split()]) == 0
    assert main(["verify", "c.dvsession", "--model", tiny]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--guidance 3", "give --step K"),
        ("", "is complete: say from which step"),
        ("--step 5", "cannot go on from step 5: choose one from 0 to 4"),
        ("--step 2 --steps 9", "--steps is what the run of --from has"),
        ("--step 2 --of-sample 1", "give --complete M too"),
        ("--step 2 --complete 3 --of-sample 3", "there is no sample 3"),
        ("--step 2 --complete 3 --label 2", "branch with them first"),
        ("--step 4 --complete 3", "no noise comes in after the last step"),
        ("--step 2 --complete 3 --sampler heun", "adds no noise after step 2"),
        ("--step 2 --x-t none.safetensors", "cannot be read"),
    ],
)
def test_what_cannot_be_gone_on_with_is_refused(words, said, go_on, capsys):
    assert go_on(words) == 2
    assert said in capsys.readouterr().err
    assert not Path("b.dvsession").exists()


@pytest.mark.parametrize("flag", ["--step 2", "--complete 2", "--of-sample 0", "--x-t a"])
def test_what_goes_with_a_saved_run_needs_one(flag, saved, tiny, capsys):
    assert main(["sample", "--model", tiny, "--session", "b.dvsession", *flag.split()]) == 2
    assert "say which with --from SESSION" in capsys.readouterr().err


def test_other_weights_cannot_go_on_with_a_run(saved, model_file, capsys):
    other = model_file(saved / "other.safetensors", seed=1)
    words = ["--from", "a.dvsession", "--step", "2", "--session", "b.dvsession"]
    assert main(["sample", "--model", str(other), *words]) == 2
    assert "made with other weights" in capsys.readouterr().err
