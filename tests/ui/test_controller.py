"""The controller with a fake fast network: following, previewing, redoing, failing, undoing."""

import dataclasses

import numpy as np
import pytest
from PySide6.QtTest import QTest

from diffview.engine import session
from diffview.engine.spec import Guidance, RunSpec
from diffview.engine.trajectory import Trajectory
from diffview.ui.first_look import FEW
from diffview.ui.state import Pane


@pytest.fixture
def idle(wait):
    """Wait until a controller samples no more."""

    def until(controller):
        wait(lambda: not controller.activity.busy)

    return until


@pytest.fixture
def ran(controller, idle):
    """A controller that shows a whole run."""
    controller.request_run()
    idle(controller)
    assert controller.run.complete
    return controller


def steps(controller, n):
    controller.choose_steps(n)
    return controller


def shown(controller):
    """The values of x̂₀ on screen, (B, H, W, 1)."""
    return controller.frame.tiles[1].values


# -- the first run --------------------------------------------------------------------------------


def test_there_is_nothing_to_show_before_the_first_step(controller):
    assert controller.run is None and controller.frame is None
    controller.scrub_to(3)
    controller.step_by(1)
    controller.select_sample(2)
    controller.stop()
    assert controller.look.index == 0


def test_the_first_run_is_followed_live(controller, network, wait, idle, heard):
    frames = heard(controller.frameChanged)
    network.hold()
    controller.request_run()
    assert controller.activity.busy
    for done in (3, 7, 20):
        network.allow(done - network.calls if network.calls else done)
        wait(lambda: controller.run is not None and controller.look.index >= 2)
    network.release()
    idle(controller)
    assert controller.look.following
    assert controller.look.index == len(controller.run) - 1 == 50
    assert frames[-1].i == 50
    assert [frame.i for frame in frames] == sorted(frame.i for frame in frames)


def test_scrubbing_lets_go_of_the_sampler(controller, network, wait, idle):
    network.hold().allow(10)
    controller.request_run()
    wait(lambda: controller.look.index == 9)
    controller.scrub_to(4)
    assert not controller.look.following
    network.release()
    idle(controller)
    assert (controller.look.index, controller.frame.i) == (4, 4)


def test_scrubbing_stays_within_what_is_computed(controller, network, wait):
    network.hold().allow(10)
    controller.request_run()
    wait(lambda: controller.look.index == 9)
    controller.scrub_to(40)
    assert controller.look.index == 9
    controller.step_by(-100)
    assert controller.look.index == 0


def test_progress_is_told_with_a_remaining_time(controller, network, wait):
    network.hold().allow(10)
    controller.request_run()
    wait(lambda: controller.activity.done == 10)
    assert (controller.activity.busy, controller.activity.total) == (True, 51)
    assert controller.activity.seconds_left >= 0


def test_a_run_of_one_step(controller, idle):
    steps(controller, 1).request_run()
    idle(controller)
    assert len(controller.run) == 2
    controller.scrub_to(0)
    assert controller.frame.i == 0


@pytest.mark.parametrize("shape", [(2,), (4, 8, 8), (1, 5, 7), (3, 1, 1), (2, 3)])
def test_networks_of_every_shape_can_be_run_and_looked_at(
    make_controller, make_model, idle, shape
):
    controller = make_controller(make_model(shape=shape))
    controller.request_run()
    idle(controller)
    assert controller.run.complete
    for quantity in ("xt", "x0hat", "diff", "eps", "score"):
        controller.choose_pane(0, Pane(quantity, "stretch"))
        controller.scrub_to(20)
        # points in the plane are drawn together, in one picture
        assert len(controller.frame.tiles[0].pixels) == (1 if shape == (2,) else 16)


def test_an_unconditional_network(make_controller, make_model, idle):
    controller = make_controller(make_model(classes=0, null=None))
    controller.request_run()
    idle(controller)
    assert controller.run.complete and not controller.run.guided
    assert controller.look.guidance_scale is None
    controller.choose_guidance(7.0)
    assert not controller.activity.busy and controller.look.guidance_scale is None
    for quantity in ("x0cond", "x0uncond", "diff"):
        controller.choose_pane(1, Pane(quantity))
        assert controller.frame is not None


def test_a_network_that_cannot_be_guided(make_controller, make_model, idle):
    controller = make_controller(make_model(null=None))
    controller.request_run()
    idle(controller)
    assert controller.run.complete and not controller.guidable
    assert controller.run.spec.condition == 0
    controller.choose_guidance(7.0)
    assert controller.look.guidance_scale is None


# -- guidance -------------------------------------------------------------------------------------


def test_a_drag_shows_base_plus_gamma_direction_at_once_without_a_network_call(
    ran, network, heard
):
    ran.scrub_to(30)
    record = ran.run[30]
    network.hold()  # from here on it answers nothing
    frames = heard(ran.frameChanged)
    ran.choose_guidance(5.0)
    expected = record.base + np.float32(5.0) * record.direction
    assert np.array_equal(frames[-1].tiles[1].values[..., 0], expected[:, 0])
    assert frames[-1].guidance_scale == 5.0


def test_the_network_knows_its_closed_form(ran):
    """tanh(x)/2 + 5/10 without condition, tanh(x)/2 + 1/10 for class 0."""
    record = ran.run[30]
    assert np.allclose(record.base, 0.5 * np.tanh(record.x_t) + 0.5, atol=1e-6)
    assert np.allclose(record.direction, -0.4, atol=1e-6)


def test_the_old_run_stays_until_the_new_one_has_caught_up_with_the_shown_step(
    ran, network, wait, idle
):
    old = ran.run
    ran.scrub_to(30)
    network.hold()
    ran.choose_guidance(5.0)
    network.allow(11 + 30)  # a look at step 30 in 10 steps, then 30 steps (0 to 29) of all
    wait(lambda: ran.activity.done == 30)
    assert ran.run is old and ran.look.guidance_scale == 5.0
    network.allow(1)
    wait(lambda: ran.run is not old)
    assert ran.run.spec.guidance.scale == 5.0 and len(ran.run) == 31
    assert ran.look.index == 30 and ran.look.guidance_scale is None
    network.release()
    idle(ran)
    assert ran.look.index == 30


def test_the_first_samples_are_shown_from_the_new_run_before_all_have_caught_up(
    ran, network, wait
):
    ran.scrub_to(30)
    network.hold()
    ran.choose_guidance(5.0)
    before = shown(ran).copy()
    network.allow(11)
    wait(lambda: not np.array_equal(shown(ran)[:FEW], before[:FEW]))
    assert np.array_equal(shown(ran)[FEW:], before[FEW:])


def test_a_drag_while_the_first_run_is_loading_runs_with_the_last_value(
    controller, network, wait, idle
):
    network.hold()
    controller.request_run()
    controller.choose_guidance(6.0)
    network.release()
    idle(controller)
    assert controller.run.spec.guidance.scale == 6.0
    assert controller.look.guidance_scale is None


def test_a_storm_of_changes_ends_with_the_last_one_alone(ran, network, idle, heard):
    runs = heard(ran.runReplaced)
    network.pause = 0.002
    for k in range(100):
        ran.choose_guidance(1 + k / 20)
        assert ran.frame.guidance_scale == 1 + k / 20
        QTest.qWait(5)
    idle(ran)
    assert ran.run.complete and ran.run.spec.guidance.scale == 1 + 99 / 20
    assert runs[-1] is ran.run
    assert network.calls < 100 * 51, "coalesced, not queued"


def test_results_of_a_run_that_was_replaced_are_dropped(controller, network, wait, idle, heard):
    runs = heard(controller.runReplaced)
    network.hold()
    controller.request_run()
    wait(lambda: network.calls == 1)
    controller.choose_seeds(100, 2)
    controller.request_run()
    network.release()
    idle(controller)
    assert [run.spec.seeds for run in runs] == [(100, 101)]


def test_stop_while_a_run_is_redone_keeps_the_old_one_and_the_preview(ran, network, idle):
    old = ran.run
    network.hold()
    ran.choose_guidance(5.0)
    ran.stop()
    network.release()
    idle(ran)
    assert ran.run is old
    assert ran.frame.guidance_scale == 5.0


def test_a_redo_that_breaks_keeps_the_old_run(ran, network, idle, heard):
    old, said = ran.run, heard(ran.noticed)
    network.fails_at = network.calls + 9
    ran.choose_guidance(5.0)
    idle(ran)
    assert ran.run is old and said[-1].kind == "error"


def test_a_drag_after_other_choices_changed_does_not_mix_runs_of_different_form(
    ran, make_model, network, wait, idle
):
    """The few are shown inside the old grid only where they are the same steps of the same."""
    ran.choose_seeds(7, 2)
    ran.request_run()
    idle(ran)
    ran.scrub_to(10)
    network.hold()
    ran.choose_seeds(0, 16)
    ran.choose_steps(20)
    ran.choose_guidance(5.0)
    network.allow(10)  # with the eleventh the new run would have caught up with step 10
    wait(lambda: network._permits._value == 0)
    assert shown(ran).shape[0] == 2
    network.release()
    idle(ran)
    assert ran.run.spec.batch == 16 and ran.run.complete


def test_a_drag_on_a_run_of_another_model_samples_nothing(ran, network, idle):
    """A session of a model that is not here: its frames can be previewed, not made again."""
    spec = dataclasses.replace(ran.run.spec, model_id="elsewhere")
    foreign = Trajectory(spec, ran.run.data_shape)
    for record in ran.run:
        foreign.append(record)
    assert "not here" in ran.restore(state_of(spec))
    ran.show_run(foreign)
    calls = network.calls
    ran.choose_guidance(9.0)
    assert ran.frame.guidance_scale == 9.0
    assert not ran.activity.busy and network.calls == calls
    assert ran.run is foreign


def state_of(spec):
    from diffview.ui import state

    return state.from_spec(spec)


# -- stopping and failing -------------------------------------------------------------------------


def test_stop_keeps_the_frames_so_far(controller, network, wait, idle):
    network.hold().allow(12)
    controller.request_run()
    wait(lambda: controller.look.index == 11)
    controller.stop()
    assert "Stopping" in controller.activity.text, "acknowledged at once"
    network.release()
    idle(controller)
    assert 12 <= len(controller.run) <= 14
    assert controller.frame is not None and controller.activity.text == ""


def test_stop_before_the_first_step_leaves_an_idle_controller(controller, network, wait, idle):
    network.hold()
    controller.request_run()
    controller.stop()
    controller.stop()
    network.release()
    idle(controller)
    controller.request_run()
    idle(controller)
    assert controller.run.complete


def test_a_new_run_does_not_say_that_it_is_stopping(controller, network, wait, idle):
    network.hold()
    controller.request_run()
    controller.stop()
    controller.request_run()
    assert controller.activity.text == ""
    network.release()
    idle(controller)
    assert controller.run.complete


def test_stop_at_the_end_is_harmless(ran):
    ran.stop()
    assert not ran.activity.busy and ran.activity.text == ""


def test_a_network_that_breaks_at_step_17_keeps_17_frames_and_the_next_run_works(
    controller, network, idle, heard
):
    said = heard(controller.noticed)
    network.fails_at = 17
    controller.request_run()
    idle(controller)
    assert len(controller.run) == 17 and controller.frame.i == 16
    assert len(said) == 1 and said[0].kind == "error"
    assert "step 17" in said[0].text and "the fake network broke" in said[0].text
    assert "Traceback" in said[0].details
    controller.request_run()
    idle(controller)
    assert controller.run.complete and len(said) == 1


def test_nan_at_step_9_keeps_the_9_frames_before_it(controller, network, idle, heard):
    said = heard(controller.noticed)
    network.nan_at = 9
    controller.request_run()
    idle(controller)
    assert len(controller.run) == 9
    assert "step 9" in said[0].text and np.isfinite(shown(controller)).all()


def test_a_network_that_breaks_at_once_leaves_the_last_run_on_screen(ran, network, idle, heard):
    old, said = ran.run, heard(ran.noticed)
    network.fails_at = network.calls
    ran.request_run()
    idle(ran)
    assert ran.run is old and said[0].kind == "error"


def test_a_network_that_hangs_for_a_while_leaves_the_window_free(controller, network, wait, idle):
    network.hold().allow(5)
    controller.request_run()
    wait(lambda: controller.look.index == 4)
    controller.scrub_to(2)
    controller.choose_guidance(8.0)
    assert controller.frame.i == 2 and controller.frame.guidance_scale == 8.0
    controller.stop()
    assert controller.activity.busy
    network.release()
    idle(controller)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda c: c.choose_steps(0), "steps"),
        (lambda c: c.choose_steps(5000), "5000"),
        (lambda c: c.choose_guidance(float("nan")), "nan"),
        (lambda c: c.choose_guidance(float("inf")), "inf"),
        (lambda c: c.choose_condition(99), "99"),
        (lambda c: c.choose_condition("a cat"), "prompt"),
        (lambda c: c.choose_seeds(2**63 - 1, 4), "seed"),
        (lambda c: c.choose_seeds(0, 0), "samples"),
        (lambda c: c.choose_seeds(0, 5000), "samples"),
        (lambda c: c.choose_option("eta", 7.0), "eta"),
        (lambda c: c.choose_spacing("sideways"), "sideways"),
    ],
)
def test_what_cannot_be_run_is_refused_with_a_reason_and_the_run_stays(
    ran, idle, heard, change, word
):
    run, said = ran.run, heard(ran.noticed)
    change(ran)
    ran.request_run()
    idle(ran)
    assert ran.run is run
    assert said and said[-1].kind == "error" and word in said[-1].text.lower()


def test_a_budget_that_is_too_small_for_all_steps_is_told(make_controller, idle, heard):
    controller = make_controller(budget=16 * 4 * 64 * 4 * 12)
    said = heard(controller.noticed)
    controller.request_run()
    idle(controller)
    assert controller.run.stride > 1 and len(controller.run) <= 12
    assert controller.run.complete and controller.look.index == len(controller.run) - 1
    assert len(said) == 1 and said[0].kind == "warning" and "step" in said[0].text


def test_a_budget_that_is_too_small_for_two_steps_is_refused(make_controller, heard):
    controller = make_controller(budget=1000)
    said = heard(controller.noticed)
    controller.request_run()
    assert not controller.activity.busy and "MB" in said[0].text


# -- undo -----------------------------------------------------------------------------------------


def test_a_drag_is_one_undo(ran, idle):
    for gamma in (3.5, 4.0, 4.5, 5.0):
        ran.choose_guidance(gamma)
    ran.undo()
    assert ran.choices.guidance_scale == 3.0
    idle(ran)
    assert ran.run.spec.guidance.scale == 3.0
    ran.redo()
    assert ran.choices.guidance_scale == 5.0


def test_two_drags_are_two_undos(ran, idle):
    for gamma in (3.5, 4.0):
        ran.choose_guidance(gamma)
    ran.end_drag()
    for gamma in (5.0, 6.0):
        ran.choose_guidance(gamma)
    ran.undo()
    assert ran.choices.guidance_scale == 4.0
    ran.undo()
    assert ran.choices.guidance_scale == 3.0


def test_undo_goes_through_every_choice_and_redo_back(ran, idle):
    before = ran.choices
    ran.choose_steps(20)
    ran.choose_sampler("ddpm")
    ran.choose_condition(2)
    after = ran.choices
    for _ in range(9):
        ran.undo()
    assert ran.choices == before
    for _ in range(9):
        ran.redo()
    assert ran.choices == after
    idle(ran)
    assert ran.run.spec == after.spec(ran.card)


def test_a_new_choice_after_undo_forgets_the_redo(ran):
    ran.choose_steps(20)
    ran.undo()
    ran.choose_steps(30)
    ran.redo()
    assert ran.choices.n_steps == 30


def test_undo_of_a_change_of_model_tells_of_the_model_first(
    make_controller, make_model, idle, heard
):
    controller = make_controller(make_model(id="one"), make_model(id="two", classes=3, null=3))
    controller.choose_model("two")
    idle(controller)
    told = []
    controller.modelChanged.connect(lambda card: told.append(card.id))
    controller.choicesChanged.connect(lambda choices: told.append(choices.model_id.upper()))
    controller.undo()
    idle(controller)
    assert told == ["one", "ONE"]
    assert controller.run.spec.model_id == "one"


# -- models, conditions, files --------------------------------------------------------------------


def test_another_model_is_told_before_the_choices_for_it(make_controller, make_model, idle):
    controller = make_controller(make_model(id="one"), make_model(id="two"))
    controller.choose_condition(3)
    told = []
    controller.modelChanged.connect(lambda card: told.append(card.id))
    controller.choicesChanged.connect(lambda choices: told.append(choices.model_id.upper()))
    controller.choose_model("two")
    assert told == ["two", "TWO"]
    idle(controller)
    assert controller.run.spec.model_id == "two" and controller.choices.condition == 3


def test_a_model_of_another_shape_while_a_drag_is_under_way(
    make_controller, make_model, network, idle
):
    models = make_model(id="one"), make_model(id="two", shape=(3, 4, 4))
    controller = make_controller(*models)
    controller.request_run()
    idle(controller)
    controller.scrub_to(5)
    controller.choose_guidance(4.0)
    controller.choose_model("two")
    controller.choose_guidance(5.0)
    assert controller.frame is not None
    idle(controller)
    assert controller.run.data_shape == (3, 4, 4) and controller.run.complete
    assert controller.run.spec.guidance.scale == 5.0


def test_opening_a_model_offers_and_runs_it(ran, make_model, make_source, idle, heard):
    offered = heard(ran.modelsChanged)
    ran.add_source(make_source(make_model(id="second")))
    assert [card.id for card in offered[0]] == ["fake", "second"]
    idle(ran)
    assert ran.run.spec.model_id == "second"


def test_opening_the_chosen_model_again_runs_the_new_one(
    ran, make_model, make_source, idle, heard
):
    said, old = heard(ran.modelChanged), ran.run
    ran.add_source(make_source(make_model(shape=(1, 5, 5))))
    idle(ran)
    assert said and ran.run is not old and ran.run.data_shape == (1, 5, 5)


def test_a_file_with_a_known_models_id_and_other_weights_stands_beside_it(
    make_controller, make_model, make_source, idle, heard
):
    known, other = "1" * 64, "2" * 64

    def model(weights):
        made = make_model()
        made.card = dataclasses.replace(made.card, weights_sha256=weights)
        return made

    def source(weights):
        return make_source(model(weights))

    controller = make_controller(model(known))
    offered = heard(controller.modelsChanged)
    controller.add_source(source(other))
    idle(controller)
    assert [card.id for card in offered[-1]] == ["fake", "fake@22222222"]
    assert "22222222" in offered[-1][1].title
    assert controller.run.spec.model_id == "fake@22222222"
    controller.add_source(source(other))  # the same file again
    controller.add_source(source(known))  # a copy of the known one
    idle(controller)
    assert [card.id for card in offered[-1]] == ["fake", "fake@22222222"]
    assert controller.choices.model_id == "fake"


def test_a_run_of_such_a_file_chooses_the_model_with_its_weights(
    make_controller, make_model, make_source, idle
):
    def model(weights):
        made = make_model()
        made.card = dataclasses.replace(made.card, weights_sha256=weights)
        return made

    controller = make_controller(model("1" * 64))
    controller.add_source(make_source(model("2" * 64)))
    idle(controller)
    choices = controller.choices
    controller.choose_model("fake")
    about = {"model": {"id": "fake", "sha256": "2" * 64}}
    assert controller.restore(dataclasses.replace(choices, model_id="fake"), about) == ""
    assert controller.choices.model_id == "fake@22222222"
    idle(controller)


def test_one_of_each_gives_every_sample_its_own_class(controller, idle):
    controller.choose_condition((0, 1, 2, 3))
    idle(controller)
    assert controller.run.spec.condition == (0, 1, 2, 3) * 4
    direction = controller.run[0].direction[:4, 0, 0, 0]
    assert np.allclose(direction, [-0.4, -0.3, -0.2, -0.1], atol=1e-6)


def test_without_a_class_the_run_is_unconditional(controller, idle):
    controller.choose_pane(1, Pane("diff"))
    controller.choose_condition(None)
    idle(controller)
    assert not controller.run.guided and controller.look.guidance_scale is None


def test_fewer_samples_than_the_selected_one(ran, idle):
    ran.focus_sample(12)
    ran.choose_seeds(0, 3)
    ran.request_run()
    idle(ran)
    assert (ran.look.sample, ran.look.focus) == (2, 2)
    ran.select_sample(9)
    ran.focus_sample(9)
    assert (ran.look.sample, ran.look.focus) == (2, 2), "there is no such sample"


def test_restoring_choices_of_an_unknown_model_says_so_and_changes_nothing(ran):
    before = ran.choices
    problem = ran.restore(state_of(RunSpec("elsewhere")))
    assert "elsewhere" in problem and "not here" in problem
    assert ran.choices == before


def test_restoring_a_run_of_other_weights_says_so(ran):
    problem = ran.restore(ran.choices, {"model": {"sha256": "ff"}})
    assert "other weights" in problem


@pytest.mark.parametrize(
    "about", [None, {}, {"model": {"sha256": ""}}, {"model": "?"}, {"model": {}}]
)
def test_restoring_a_run_whose_weights_are_not_known_is_no_problem(ran, about):
    assert ran.restore(ran.choices, about) == ""


def test_a_run_from_a_file_is_shown_at_its_end(make_controller, ran, tmp_path, heard):
    session.save(ran.run, tmp_path / "run.dvsession", ran.about)
    loaded, about = session.load(tmp_path / "run.dvsession")
    ran.scrub_to(3)
    replaced = heard(ran.runReplaced)
    assert ran.restore(state_of(loaded.spec), about) == ""
    ran.show_run(loaded, about)
    assert replaced == [loaded]
    assert ran.look.index == 50 and not ran.look.following
    assert np.array_equal(shown(ran)[..., 0], loaded[50].x0_hat[:, 0])


def test_what_is_saved_with_a_run_is_about_its_own_model(ran, make_model, make_source, idle):
    """Not about the one chosen since, or the one that happens to be here."""
    ran.add_source(make_source(make_model(id="second")))
    idle(ran)
    assert ran.about["model"]["id"] == "second"
    spec = RunSpec("elsewhere", guidance=Guidance("cfg", 2.0), condition=0, seeds=(1,))
    foreign = Trajectory(spec, (1, 8, 8))
    for record in ran.run:
        one = {name: array[:1] for name, array in record.arrays().items()}
        foreign.append(dataclasses.replace(record, **one))
    ran.show_run(foreign, {"model": {"id": "elsewhere", "sha256": "abc"}})
    assert ran.about == {"model": {"id": "elsewhere", "sha256": "abc"}}
    ran.request_run()
    idle(ran)
    assert ran.about["model"]["id"] == "second"


def test_a_run_without_steps_is_refused_with_a_reason(ran, heard):
    said, old = heard(ran.noticed), ran.run
    ran.show_run(Trajectory(ran.run.spec, (1, 8, 8)))
    assert ran.run is old and "no steps" in said[0].text


def test_showing_a_run_stops_the_one_under_way(ran, network, idle):
    old = ran.run
    network.hold()
    ran.choose_condition(2)
    ran.show_run(old)
    network.release()
    idle(ran)
    assert ran.run is old


def test_nothing_is_told_and_nothing_starts_after_close(ran, network, heard):
    said = [heard(signal) for signal in (ran.frameChanged, ran.activityChanged, ran.noticed)]
    calls = network.calls
    ran.close()
    ran.choose_condition(1)
    ran.request_run()
    QTest.qWait(50)
    assert said == [[], [], []] and network.calls == calls


def test_a_run_without_guidance_shows_no_conditional_part(ran, idle):
    """It has none: under that name its plain estimate, or zeros, would be shown."""
    ran.choose_pane(0, Pane("diff"))
    ran.choose_pane(1, Pane("x0uncond"))
    ran.choose_strip("x0cond")
    ran.choose_condition(None)
    idle(ran)
    assert not ran.run.guided
    assert [pane.quantity for pane in ran.look.panes] == ["x0hat", "x0hat"]
    assert ran.look.strip == "x0hat"


def test_a_refused_recipe_changes_no_choice(ran):
    before = ran.choices
    said = ran.restore(dataclasses.replace(before, n_steps=5000, condition=1))
    assert "5000 steps" in said
    assert ran.choices == before


def test_another_class_keeps_the_step_a_person_chose(ran, idle):
    ran.scrub_to(12)
    ran.choose_condition(2)
    idle(ran)
    assert ran.run.spec.condition == 2
    assert ran.look.index == 12 and not ran.look.following


def test_choices_that_wait_for_run_are_told_from_those_that_were_run(ran, idle):
    assert ran.settled
    ran.choose_steps(7)
    assert not ran.settled
    ran.request_run()
    assert ran.settled, "what is under way is what is chosen"
    idle(ran)
    assert ran.settled
