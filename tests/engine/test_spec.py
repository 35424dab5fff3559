"""RunSpec: the whole recipe through JSON and back, and clear words for what cannot be run."""

import json
import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffview.engine import samplers, schedules, spacings, spec
from diffview.engine.spec import Guidance, RunSpec, checked, from_json, parse_seeds
from diffview.errors import DiffviewError, InputError

seeds = st.integers(0, spec.MAX_SEED)


def option_values(option):
    if option.choices:
        return st.sampled_from(option.choices)
    if isinstance(option.default, bool):
        return st.booleans()
    if isinstance(option.default, int):
        return st.integers(int(option.low), int(option.high))
    if isinstance(option.default, str):
        numbers = st.sets(st.floats(0, 1e6), min_size=option.counts[0], max_size=2).map(sorted)
        return numbers.map(lambda row: option.checked(", ".join(map(str, row))))
    return st.floats(option.low, option.high)


curves = st.dictionaries(st.floats(-20, 20), st.floats(-5, 5), max_size=4).map(
    lambda knots: tuple(sorted(knots.items()))
)


@st.composite
def specs(draw):
    sampler = draw(st.sampled_from(sorted(samplers.every())))
    options = {
        name: draw(option_values(option))
        for name, option in spec.declared_options(sampler).items()
        if draw(st.booleans())
    }
    return RunSpec(
        model_id=draw(st.text()),
        sampler=sampler,
        n_steps=draw(st.integers(1, 10_000)),
        spacing=draw(st.sampled_from(sorted(spacings.SPACINGS))),
        guidance=Guidance(
            draw(st.sampled_from(Guidance.KINDS)),
            draw(st.floats(-1e6, 1e6)),
            draw(st.text()),
            draw(curves),
        ),
        condition=draw(
            st.none() | st.integers(0, 999) | st.text() | st.lists(st.integers(0, 9)).map(tuple)
        ),
        seeds=tuple(draw(st.lists(seeds, min_size=1, max_size=20))),
        options=tuple(sorted(options.items())),
    )


@given(specs())
def test_a_spec_survives_json_and_stays_equal_and_hashable(run):
    back = from_json(json.loads(json.dumps(run.to_json())))
    assert back == run
    assert hash(back) == hash(run)


@given(specs())
def test_a_sound_spec_is_left_as_it_is(run):
    assert checked(run) == run


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(run=specs(), data=st.data(), value=json_values | st.just(10**400))
def test_any_value_anywhere_gives_a_spec_or_an_input_error(run, data, value):
    document = run.to_json()
    key = data.draw(
        st.sampled_from([*document, *(f"guidance.{name}" for name in document["guidance"])])
    )
    if "." in key:
        document["guidance"][key.partition(".")[2]] = value
    else:
        document[key] = value
    try:
        assert isinstance(from_json(document), RunSpec)
    except InputError as error:
        assert str(error)


@given(json_values)
def test_what_is_no_recipe_is_refused(value):
    with pytest.raises(InputError, match=r"recipe"):
        from_json(value)


def test_a_recipe_keeps_the_defaults_it_was_made_with_whatever_later_ones_are(monkeypatch):
    """Of samplers and of every run: a recipe without them would sample otherwise one day."""
    run = RunSpec("m", "ddpm", guidance=Guidance("cfg", 3.0), options=(("rescale", 0.7),))
    text = json.dumps(run.to_json())
    assert from_json(json.loads(text)) == run
    declared = spec.declared_options

    def later(sampler):
        changed = {"rescale_space": "eps", "variance": "large", "rescale": 0.3}
        return {
            name: replace(option, default=changed.get(name, option.default))
            for name, option in declared(sampler).items()
        }

    monkeypatch.setattr(spec, "declared_options", later)
    read = from_json(json.loads(text))
    found = {name: read.option(name) for name in ("rescale_space", "variance", "rescale")}
    assert found == {"rescale_space": "v", "variance": "small", "rescale": 0.7}
    assert from_json(read.to_json()) == read


def test_a_recipe_of_before_defaults_were_kept_is_read():
    run = RunSpec("m", options=(("eta", 0.5),))
    document = run.to_json()
    del document["defaults"]
    assert from_json(document) == run


def test_options_take_their_declared_types_and_defaults():
    run = checked(RunSpec("m", options=(("rederive_eps", "false"), ("eta", "0.5"))))
    assert run.options == (("eta", 0.5), ("rederive_eps", False))
    assert run.option("eta") == 0.5
    assert run.option("clip") == "none"
    assert run.sampler_options() == {"eta": 0.5, "compat": "none", "set_alpha_to_one": True}
    variance = {"variance": "small", "compat": "none"}
    assert RunSpec("m", sampler="ddpm").sampler_options() == variance


@pytest.mark.parametrize(
    ("spacing", "options"),
    [
        ("karras", {"rho": 3.0}),
        ("leading", {"steps_offset": 4}),
        ("list", {"times": "900, 500.5, 100, 7"}),
    ],
)
def test_a_spec_knows_its_levels_in_a_schedule(spacing, options):
    run = RunSpec("m", n_steps=4, spacing=spacing, options=tuple(options.items()))
    if "times" in options:
        options["times"] = (900, 500.5, 100, 7)
    schedule = schedules.named("linear")
    assert run.levels(schedule) == spacings.levels(schedule, 4, spacing, **options)
    assert RunSpec("m", n_steps=4, spacing="trailing", options=(("shift", 3.0),)).levels(
        schedules.flow()
    ) == spacings.levels(schedules.flow(3.0), 4, "trailing")


def test_of_an_option_given_twice_the_last_counts():
    run = RunSpec("m", options=(("eta", 0.9), ("eta", 0.1)))
    assert run.option("eta") == 0.1
    assert checked(run).option("eta") == 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_steps": 0}, "0 steps cannot be taken: choose at least 1"),
        ({"n_steps": -1}, "-1 steps cannot be taken"),
        ({"guidance": Guidance("cfg", math.nan)}, "guidance γ = nan cannot be used"),
        ({"guidance": Guidance("cfg", math.inf)}, "guidance γ = inf cannot be used"),
        ({"guidance": Guidance("cfg", -math.inf)}, "guidance γ = -inf cannot be used"),
        ({"guidance": Guidance("cfg", 2e6)}, "give a finite number, at most 1e+06"),
        ({"guidance": Guidance("cfg", 10**400)}, "give a finite number, at most 1e+06"),
        ({"guidance": Guidance("magnet", 1.0)}, "unknown guidance 'magnet'; known are none, cfg"),
        ({"guidance": Guidance(curve=((0.0, math.nan),))}, "is no knot of a guidance curve"),
        ({"guidance": Guidance(curve=((math.inf, 1.0),))}, "is no knot of a guidance curve"),
        (
            {"guidance": Guidance(curve=((1.0, 1.0), (1.0, 2.0)))},
            "must rise in log(alpha / sigma)",
        ),
        ({"guidance": Guidance(curve=((0.0, 1.0),) * 10_001)}, "at most 10000 knots"),
        ({"options": (("interval", "2, 1"),)}, "interval 2 to 1 is empty: give the smaller"),
        ({"options": (("interval", "1"),)}, "has 1 number; it takes 2"),
        ({"seeds": ()}, "0 samples cannot be drawn: give 1 to 4096 seeds"),
        ({"seeds": tuple(range(4097))}, "4097 samples cannot be drawn"),
        ({"seeds": (-1,)}, "seed -1 is outside 0 to 9223372036854775807"),
        ({"seeds": (2**63,)}, "seed 9223372036854775808 is outside"),
        ({"sampler": "dice"}, "unknown sampler 'dice'; known are"),
        ({"spacing": "fibonacci"}, "unknown spacing 'fibonacci'; known are leading"),
        ({"options": (("etta", 1.0),)}, "sampler 'ddim' has no option 'etta'; it has eta, "),
        ({"options": (("eta", 2.0),)}, "eta = 2.0 is outside 0 to 1"),
    ],
)
def test_what_cannot_be_run_is_refused_with_what_and_what_is_allowed(change, message):
    with pytest.raises(InputError, match=re.escape(message)):
        checked(RunSpec("m", **change))


@pytest.mark.parametrize("scale", [0.0, 1.0, -3.5, 1e6])
def test_any_finite_guidance_up_to_a_million_is_allowed(scale):
    assert checked(RunSpec("m", guidance=Guidance("cfg", scale))).guidance.scale == scale


def test_a_recipe_from_a_newer_version_is_refused_with_both_versions():
    document = RunSpec("m").to_json() | {"version": 99}
    with pytest.raises(InputError, match="version 99, this diffview reads up to 3: update"):
        from_json(document)


@pytest.mark.parametrize("version", [None, "1", 0, -1, True, 1.0])
def test_a_recipe_without_a_proper_version_is_not_ours(version):
    with pytest.raises(InputError, match="no version number"):
        from_json(RunSpec("m").to_json() | {"version": version})


@pytest.mark.parametrize("key", sorted(set(RunSpec("m").to_json()) - {"version", "defaults"}))
def test_a_recipe_with_a_part_missing_is_damaged_and_names_it(key):
    document = RunSpec("m").to_json()
    del document[key]
    with pytest.raises(InputError, match=f"damaged: KeyError '{key}'"):
        from_json(document)


def test_a_recipe_of_version_1_is_read():
    # As the first version wrote it.
    document = {
        "version": 1,
        "model_id": "fashion",
        "sampler": "ddim",
        "n_steps": 50,
        "spacing": "trailing",
        "guidance": {"kind": "cfg", "scale": 3.0},
        "condition": 7,
        "seeds": [0, 1],
        "options": {"eta": 0.5, "clip": "clamp"},
    }
    run = from_json(document)
    assert run == RunSpec(
        "fashion",
        guidance=Guidance("cfg", 3.0),
        condition=7,
        seeds=(0, 1),
        options=(("clip", "clamp"), ("eta", 0.5)),
    )
    assert run.to_json()["version"] == 3
    assert from_json(run.to_json()) == run


@pytest.mark.parametrize(
    "change",
    [{"guide": 5}, {"curve": "up"}, {"curve": [[1.0]]}, {"curve": [[0, True]]}, {"curve": [1, 2]}],
)
def test_a_damaged_guidance_is_refused(change):
    document = RunSpec("m").to_json()
    document["guidance"] |= change
    with pytest.raises(InputError, match="recipe is damaged"):
        from_json(document)
    del document["guidance"][next(iter(change))]
    with pytest.raises(InputError, match="recipe is damaged: KeyError"):
        from_json(document)


def at(ratio):
    return schedules.edm().level(ratio)


@pytest.mark.parametrize(("kind", "neutral"), [("cfg", 1), ("autoguidance", 1), ("classifier", 0)])
def test_outside_its_interval_guidance_is_neutral_and_the_ends_are_as_in_the_paper(kind, neutral):
    run = RunSpec("m", guidance=Guidance(kind, 4.0), options=(("interval", "0.19, 1.61"),))
    inside = {0.18: False, 0.19: False, 0.2: True, 1.61: True, 1.62: False, 80: False}
    for ratio, on in inside.items():
        assert run.gamma(at(ratio)) == (4.0 if on else neutral)
        assert run.gamma(at(ratio), 7.0) == (7.0 if on else neutral)


def test_the_interval_of_the_published_code_is_that_of_its_step_indices():
    # Kynkäänniemi et al., ImageNet-512: steps 17 to 22 of 32; in the paper sigma (0.19, 1.61].
    run = RunSpec(
        "m",
        n_steps=32,
        spacing="karras",
        guidance=Guidance("cfg", 2.0),
        options=(("interval", "0.19, 1.61"),),
    )
    guided = [
        i for i, level in enumerate(run.levels(schedules.edm())[:-1]) if run.gamma(level) == 2
    ]
    assert guided == [17, 18, 19, 20, 21, 22]


@pytest.mark.parametrize("kind", ["cfg", "classifier"])
def test_a_curve_scales_what_guidance_adds_at_each_log_snr_whatever_the_number_of_steps(kind):
    guidance = Guidance(kind, 5.0, curve=((-2.0, 0.0), (0.0, 1.0), (1.0, 0.5)))
    neutral = guidance.neutral
    expected = {-9: 0.0, -2: 0.0, -1: 0.5, 0: 1.0, 0.5: 0.75, 1: 0.5, 9: 0.5}
    for n_steps in (3, 300):
        run = RunSpec("m", n_steps=n_steps, guidance=guidance)
        for lam, factor in expected.items():
            gamma = neutral + factor * (5 - neutral)
            assert run.gamma(at(math.exp(-lam))) == pytest.approx(gamma, abs=1e-9)
    noise = schedules.flow().level(1.0)
    assert RunSpec("m", guidance=guidance).gamma(noise) == neutral


@given(scale=st.floats(-20, 20))
def test_without_curve_and_interval_the_scale_is_the_scale(scale):
    run = RunSpec("m", guidance=Guidance("cfg", scale))
    assert run.gamma(at(1.0)) == scale
    flat = RunSpec("m", guidance=Guidance("cfg", scale, curve=((0.0, 1.0),)))
    assert flat.gamma(at(1.0)) == scale


def test_a_bad_input_ends_the_command_line_with_two_and_a_failure_with_one():
    assert (InputError.exit_code, DiffviewError.exit_code) == (2, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7", (7,)),
        ("0-3", (0, 1, 2, 3)),
        ("1,5,9-12", (1, 5, 9, 10, 11, 12)),
        (" 4 , 2 ", (4, 2)),
        ("5-5", (5,)),
        ("3,3", (3, 3)),
        ("9223372036854775807", (2**63 - 1,)),
        ("0-4095", tuple(range(4096))),
    ],
)
def test_seeds_are_read_from_numbers_ranges_and_lists(text, expected):
    assert parse_seeds(text) == expected


@given(st.lists(seeds, min_size=1, max_size=30))
def test_a_list_of_seeds_is_read_back(numbers):
    assert parse_seeds(",".join(map(str, numbers))) == tuple(numbers)


@pytest.mark.parametrize(
    "text",
    ["", ",", "1,", "-5", "1-", "1-2-3", "a", "1.5", "0x10", "٣", "1-٣", "²", "1 2", "1" * 5000],
)
def test_malformed_seeds_are_refused_with_an_example(text):
    with pytest.raises(InputError, match=r"cannot be read.*such as 0-15"):
        parse_seeds(text)


def test_seeds_that_run_backwards_are_refused_with_the_right_order():
    with pytest.raises(InputError, match="'9-3' run backwards: write 3-9"):
        parse_seeds("9-3")


@pytest.mark.parametrize("text", ["0-4096", "0-99999999999", "0-4095,7", "0-4000,0-4000"])
def test_too_many_seeds_are_refused_before_they_are_listed(text):
    with pytest.raises(InputError, match="more than 4096 samples"):
        parse_seeds(text)


@given(st.text(alphabet="0123456789-, x", max_size=30))
def test_any_text_gives_seeds_or_an_input_error(text):
    try:
        found = parse_seeds(text)
    except InputError:
        return
    assert found
    assert all(seed >= 0 for seed in found)
