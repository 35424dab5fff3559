"""The benchmark keeps its contract: what it says can be read, and is said once.

Nothing is timed.
"""

import json
import math

import pytest

from diffview.bench import as_json, as_text, child, measures, startup
from diffview.bench.measures import GROUPS, MEASURES, Measure, Plan, Reading
from diffview.cli import main


def lines_of(capsys, *words):
    assert main(["bench", "--json", *words]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def names_of(*groups):
    return [measure.name for measure in MEASURES if measure.group in groups]


# ---- what is declared ---------------------------------------------------------------------------


def test_every_figure_is_declared_once():
    names = [measure.name for measure in MEASURES]
    assert len(names) == len(set(names))
    assert {measure.unit for measure in MEASURES} <= set(measures.SIGNS)


def test_a_target_is_met_from_the_right_side():
    low, high = Measure("a.b", "", "ms", 8), Measure("a.c", "", "ratio", 1.5, at_least=True)
    assert [low.met(8), low.met(8.1), high.met(1.5), high.met(1.4)] == [True, False, True, False]
    assert low.met(None) is None
    assert Measure("a.d", "", "ms").met(3) is None


def test_quantiles_are_values_that_so_many_do_not_exceed():
    values = list(range(1, 101))
    readings = measures.quantiles("scrub.gap", ("median", "p95", "p99"), values)
    assert [one.value for one in readings] == [50.5, 95, 99]
    assert measures.quantile([7.0], 0.95) == 7.0


# ---- what is printed ----------------------------------------------------------------------------


@pytest.mark.parametrize("value", [1.0, 2.0, None])
def test_a_figure_has_all_its_fields_in_json(value):
    said = json.loads(as_json(MEASURES[0], Reading(MEASURES[0].name, value)))
    assert {"name", "value", "unit", "target", "met", "detail"} <= set(said)
    assert said["met"] is (None if value is None else value <= MEASURES[0].target)
    assert said["detail"]["machine"]["cores"] >= 1


def test_people_read_value_target_and_whether_it_is_met():
    text = as_text(Measure("a.b", "this / that", "ratio", 1.05), Reading("a.b", 1.2, 1.1, 1.3))
    assert "this / that" in text and "1.2 × (1.1 to 1.3)" in text and "NOT met" in text


def test_people_read_why_something_was_not_measured():
    reading = measures.skipped("engine.diffusers", "diffusers is not installed")
    assert "diffusers is not installed" in as_text(MEASURES[1], reading)


# ---- what is measured ---------------------------------------------------------------------------


def test_only_names_the_groups_there_are(capsys):
    assert main(["bench", "--only", "engine,spped"]) == 2
    message = capsys.readouterr().err
    assert all(group in message for group in GROUPS)


def test_the_family_sd_is_measured_with_its_own_pipeline(capsys, monkeypatch):
    sd = pytest.importorskip("diffview.bench.sd")
    monkeypatch.setattr(sd, "BLOCKS", (32, 32, 64))
    monkeypatch.setattr(sd, "SIDE", 8)
    said = lines_of(capsys, "--quick", "--family", "sd", "--device", "cpu")
    assert [one["name"] for one in said] == names_of("sd")
    if said[0]["value"] is not None:
        assert said[0]["detail"]["largest_difference"] < 1e-4


def test_the_engine_is_measured_alone_when_asked_for(capsys, tiny):
    said = lines_of(capsys, "--quick", "--only", "engine", "--model", tiny, "--device", "cpu")
    assert [one["name"] for one in said] == names_of("engine")
    assert all(one["value"] is None or one["value"] > 0 for one in said)


def test_every_sampler_is_measured_and_the_worst_is_told(capsys, tiny):
    from diffview.engine import samplers

    said = lines_of(capsys, "--quick", "--only", "samplers", "--model", tiny, "--device", "cpu")
    assert [one["name"] for one in said] == names_of("samplers")
    ratios = said[0]["detail"]["ratios"]
    assert set(ratios) == set(samplers.every())
    assert said[0]["value"] == pytest.approx(max(ratios.values()), rel=1e-4)


def test_diffusers_made_the_same_pictures_as_we_did(capsys, tiny):
    pytest.importorskip("diffusers")
    said = lines_of(capsys, "--quick", "--only", "engine", "--model", tiny, "--device", "cpu")
    assert said[1]["detail"]["largest_difference"] < 1e-4


def test_a_model_without_classes_is_refused_in_one_line(capsys, unguided):
    assert main(["bench", "--quick", "--only", "engine", "--model", unguided]) == 2
    assert "no classes" in capsys.readouterr().err


def test_exports_are_compared_pixel_by_pixel(capsys):
    said = lines_of(capsys, "--quick", "--only", "export")
    assert [one["name"] for one in said] == names_of("export")
    assert said[0]["detail"]["pixels"] == "identical"


@pytest.mark.parametrize("group", ["scrub", "guidance"])
def test_the_real_window_answers_for_every_move(group, capsys, tiny):
    said = lines_of(capsys, "--quick", "--only", group, "--model", tiny)
    assert [one["name"] for one in said] == names_of(group)
    assert all(math.isfinite(one["value"]) and one["value"] > 0 for one in said)


def test_particles_are_timed_beside_another_plot_of_the_same(capsys):
    said = lines_of(capsys, "--quick", "--only", "plane")
    assert [one["name"] for one in said] == names_of("plane")
    assert all(math.isfinite(one["value"]) and one["value"] > 0 for one in said)


def test_starts_take_turns_and_are_divided_pair_by_pair(monkeypatch):
    started = []

    def window(job, **options):
        started.append(job)
        seconds = {"window": 3.0, "bare": 2.0, "frame": 1.0}[job]
        yield {"seconds": seconds, "modules": [], "torch": 2.0, "shown": 1.0}

    monkeypatch.setattr(child, "window", window)
    window_reading, frame_reading = startup.measure(Plan(quick=True))
    assert started == ["window", "window", "bare", "bare", "frame"]
    assert (window_reading.value, frame_reading.value) == (1.5, 1.0)


def test_without_a_display_the_window_is_drawn_into_memory_and_the_line_says_so(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert child.offscreen()
    assert "offscreen" in child.note()["note"]
