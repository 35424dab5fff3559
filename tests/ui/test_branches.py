"""Stepping back in through the controller: what a branch is, what is kept, and what is refused."""

import dataclasses

import numpy as np
import pytest

from diffview.engine import session as sessions
from diffview.ui.inversion import Picture

N = 6


@pytest.fixture
def store(make_controller, wait):
    """A controller that shows a finished run of three samples."""
    made = make_controller()
    made.choose_steps(N)
    made.choose_seeds(5, 3)
    made.request_run()
    wait(lambda: not made.activity.busy)
    return made


@pytest.fixture
def settled(store, wait):
    def until():
        wait(lambda: not store.activity.busy)

    return until


def test_a_branch_shares_what_lies_before_it_and_leads_back_to_the_run_it_left(store, settled):
    parent = store.run
    store.scrub_to(3)
    store.branches.branch()
    settled()
    same = store.run
    assert same is not parent and same.spec.origin.step == 3 and same.complete
    assert all(same[k] is parent[k] for k in range(3))
    np.testing.assert_array_equal(same[-1].x_t, parent[-1].x_t)
    assert store.settled, "what the branch was made with is what is chosen"
    store.choose_guidance(7.0)
    settled()
    branch = store.run
    assert branch.spec.guidance.scale == 7.0 and branch.spec.origin.step == 3
    assert branch.spec.origin.parent == parent.spec
    assert all(branch[k] is parent[k] for k in range(3))
    assert not np.array_equal(branch[-1].x_t, parent[-1].x_t)
    assert [one.run for one in store.branches.family.members] == [parent, branch]
    store.branches.go_to_parent()
    assert store.run is parent and store.choices.guidance_scale == parent.spec.guidance.scale
    assert "no branch" in store.branches.reason("parent")
    store.branches.go_to(store.branches.family.members[1])
    assert store.run is branch and store.choices.guidance_scale == 7.0


def test_what_left_a_branch_keeps_it_when_the_branch_is_made_again(store, settled):
    store.scrub_to(2)
    store.branches.branch()
    settled()
    store.scrub_to(4)
    store.branches.branch()
    settled()
    deep = store.branches.shown
    store.branches.go_to_parent()
    first = store.branches.shown
    store.choose_guidance(9.0)
    settled()
    members = store.branches.family.members
    assert first in members and deep in members and store.branches.shown in members
    assert (len(members), deep.parent, deep.depth) == (4, first, 2)


def test_another_condition_and_sampler_hold_from_the_step_on(store, settled):
    parent = store.run
    store.scrub_to(2)
    store.branches.branch()
    settled()
    store.choose_condition(2)
    settled()
    assert store.run.spec.condition == 2 and store.run.spec.origin.step == 2
    store.choose_sampler("euler_ancestral")
    store.scrub_to(2)
    store.branches.branch()
    settled()
    spec = store.run.spec
    assert (spec.sampler, spec.origin.step, spec.origin.parent) == (
        "euler_ancestral", 2, parent.spec,
    )  # fmt: skip


def test_other_steps_are_refused_with_the_reason_and_nothing_is_lost(store, settled, heard):
    said, shown = heard(store.noticed), store.run
    store.scrub_to(2)
    store.choose_steps(9)
    assert "stays on the noise levels of its run, 6 steps" in store.branches.reason("branch")
    store.branches.branch()
    assert "choose these again" in said[-1].text and store.run is shown
    assert not store.activity.busy
    store.choose_steps(N)
    assert store.branches.reason("branch") == ""
    store.scrub_to(N)
    assert "the clean end" in store.branches.reason("branch")


def test_a_stopped_run_is_resumed_bit_for_bit(make_controller, network, wait):
    store = make_controller()
    store.choose_steps(N)
    store.choose_sampler("ddpm")
    store.request_run()
    wait(lambda: not store.activity.busy)
    whole = store.run
    assert "complete" in store.branches.reason("resume")
    network.hold()
    store.request_run()
    network.allow(3)
    wait(lambda: store.run is not whole and len(store.run) == 3)
    assert "under way" in store.branches.reason("resume")
    store.stop()
    network.release()
    wait(lambda: not store.activity.busy)
    part = store.run
    assert not part.complete and store.branches.reason("resume") == ""
    store.branches.resume()
    wait(lambda: not store.activity.busy)
    assert store.run.complete and store.branches.family.of(part) is None
    for again, record in zip(store.run, whole, strict=True):
        np.testing.assert_array_equal(again.x_t, record.x_t)
    assert all(store.run[k] is part[k] for k in range(len(part) - 1))


def test_a_failure_while_going_on_leaves_the_shown_run(make_controller, make_model, wait, heard):
    from tests.ui.conftest import Network

    store = make_controller(make_model(Network(fails_at=N)))
    store.choose_steps(N)
    store.request_run()
    wait(lambda: not store.activity.busy)
    said, run = heard(store.noticed), store.run
    store.scrub_to(2)
    store.branches.branch()
    wait(lambda: not store.activity.busy)
    assert store.run is run and "the fake network broke" in said[-1].text
    assert store.look.index == 2


def test_one_state_is_completed_several_times(store, settled, heard):
    parent = store.run
    store.select_sample(1)
    store.scrub_to(3)
    assert "adds no noise" in store.branches.reason("complete", 4)
    store.choose_sampler("ddpm")
    assert store.branches.reason("complete", 4) == ""
    store.branches.complete(4)
    settled()
    run = store.run
    assert run.spec.seeds == (6, 7, 8, 9) and run.spec.origin.rows == (1,) * 4
    for row in run[2].x_t:
        np.testing.assert_array_equal(row, parent[2].x_t[1])
    assert len({row.tobytes() for row in run[-1].x_t}) == 4
    assert store.choices.seeds == (6, 7, 8, 9) and store.settled
    store.choose_guidance(5.0)
    settled()
    assert store.run.spec.origin.rows == (1,) * 4 and store.run.spec.guidance.scale == 5.0
    store.branches.go_to_parent()
    assert store.run is parent and store.choices.seeds == (5, 6, 7)


def test_one_of_each_class_is_completed_under_the_sample_s_own(store, settled):
    store.choose_condition((0, 1, 2, 3))
    store.choose_sampler("ddpm")
    store.request_run()
    settled()
    store.select_sample(2)
    store.scrub_to(1)
    store.branches.complete(3)
    settled()
    assert store.run.spec.condition == (2, 2, 2) and store.choices.condition == 2
    assert store.settled


def test_new_noise_in_the_upper_half_is_where_a_branch_goes_on_from(store, settled, wait):
    parent = store.run
    store.scrub_to(2)
    assert store.branches.reason("edit") == ""
    store.branches.branch_with_noise(40, "upper")
    wait(lambda: store.run is not parent and not store.activity.busy)
    changed = store.run.at(2).x_t != parent.at(2).x_t
    assert changed[:, :, :4].all() and not changed[:, :, 4:].any()
    assert store.run.spec.origin.x_t and store.run[1] is parent[1]
    edited = store.run.at(2).x_t
    store.choose_guidance(0.0)
    settled()
    assert store.run.spec.guidance.scale == 0.0
    np.testing.assert_array_equal(store.run.at(2).x_t, edited)


def test_a_state_in_a_file_replaces_the_recorded_one(store, settled, wait, tmp_path, heard):
    from safetensors.numpy import save_file

    parent, said = store.run, heard(store.noticed)
    x = np.random.default_rng(0).standard_normal(parent[0].x_t.shape).astype(np.float32)
    save_file({"x": x}, tmp_path / "state.safetensors")
    save_file({"x": x[:1]}, tmp_path / "one.safetensors")
    store.scrub_to(3)
    store.branches.branch_with_file(tmp_path / "one.safetensors")
    wait(lambda: bool(said))
    assert "has shape 1x1x8x8" in said[-1].text and store.run is parent
    store.branches.branch_with_file(tmp_path / "state.safetensors")
    wait(lambda: store.run is not parent and not store.activity.busy)
    np.testing.assert_array_equal(store.run.at(3).x_t, x)


def test_a_branch_from_a_file_is_followed_and_the_run_it_left_is_made_again(
    store, settled, wait, tmp_path
):
    parent = store.run
    store.scrub_to(3)
    store.branches.branch()
    settled()
    store.choose_guidance(7.0)
    settled()
    sessions.save(store.run, tmp_path / "branch.dvsession", store.about)
    store.request_run()
    settled()
    store.show_run(*sessions.load(tmp_path / "branch.dvsession"))
    assert store.branches.reason("parent") == ""
    store.branches.go_to_parent()
    wait(lambda: store.run.spec == parent.spec and store.run.complete)
    settled()
    for again, record in zip(store.run, parent, strict=True):
        np.testing.assert_array_equal(again.x_t, record.x_t)
    assert store.choices.guidance_scale == parent.spec.guidance.scale


def test_a_picture_is_inverted_and_other_settings_start_from_its_noise(
    store, settled, tmp_path, heard, wait
):
    from PIL import Image

    said, before = heard(store.noticed), store.run
    levels = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    Image.fromarray(levels).save(tmp_path / "dots.png")
    store.choose_steps(20)
    assert store.branches.reason("invert") == ""
    store.branches.invert(Picture(tmp_path / "dots.png", "dots.png", refine=8))
    settled()
    run = store.run
    assert run is not before and run.spec.sampler == "ddim" and run.spec.batch == 1
    assert run.spec.guidance.scale == 1.0 and store.choices.guidance_scale == 1.0
    assert store.about["init_noise"] == "given" and store.about["inversion"]["refine"] == 8
    member = store.branches.shown
    assert len(member.errors) == 21 and member.picture == "dots.png"
    x_0 = levels / np.float32(255) * 2 - 1
    gap = np.abs(run[-1].x_t[0, 0] - x_0).max()
    assert member.errors[-1].max_abs == pytest.approx(gap, abs=1e-5)
    assert "back at the picture within" in said[-1].text
    # other settings start from the x_T that was found, not from the seed's
    store.choose_condition(3)
    settled()
    np.testing.assert_array_equal(store.run[0].x_t, run[0].x_t)
    assert store.run.spec.condition == 3 and store.run.spec.origin.step == 0
    assert member in store.branches.family.members


def test_a_model_without_pictures_says_that_it_inverts_none(make_controller, make_model):
    store = make_controller(make_model(shape=(2,), classes=0, null=None))
    assert "makes no pictures" in store.branches.reason("invert")
    assert "press Run first" in store.branches.reason("branch")


def test_the_runs_that_are_kept_stay_within_the_budget(store, settled):
    for step in (1, 2, 3):
        store.scrub_to(step)
        store.branches.branch()
        settled()
        store.branches.go_to_parent()
    assert len(store.branches.family.members) == 4
    store.budget = store.branches.family.nbytes + 1
    store.scrub_to(0)
    store.branches.branch()
    settled()
    kept = store.branches.family
    assert kept.nbytes <= store.budget and store.branches.shown in kept.members
    assert store.branches.shown.parent in kept.members


def test_a_run_of_another_model_is_not_branched_by_the_chosen_one(
    make_controller, make_model, wait
):
    store = make_controller(make_model(), make_model(id="other"))
    store.request_run()
    wait(lambda: not store.activity.busy)
    run, about = store.run, store.about
    store.choose_model("other")
    wait(lambda: not store.activity.busy)
    store.show_run(run, about)
    store.scrub_to(2)
    assert "another model is chosen: choose 'Fake'" in store.branches.reason("branch")
    missing = dataclasses.replace(run.spec, model_id="gone")
    run.spec = missing
    assert "is not here: open its file" in store.branches.reason("branch")
