"""The README's table of samplers names every sampler with the facts it declares."""

import importlib.util
import re
from pathlib import Path

import pytest

from diffview.engine import samplers

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script():
    path = ROOT / "packaging" / "sampler_table.py"
    spec = importlib.util.spec_from_file_location("sampler_table", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(script):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    inside = text.partition(script.BEGIN)[2].partition(script.END)[0]
    return [
        tuple(c.strip() for c in row.strip("|").split("|")) for row in inside.split("\n") if row
    ]


def test_the_readme_has_a_row_of_declared_facts_for_every_sampler(script):
    head, _, *body = rows(script)
    assert head == script.HEAD
    found = [(*cells[:3], cells[4]) for cells in body]
    assert found == [
        (*script.declared(info), script.evaluations(info)) for info in samplers.every().values()
    ], "run python packaging/sampler_table.py"


def test_what_the_readme_measured_agrees_with_what_is_declared(script):
    for cells in rows(script)[2:]:
        if cells[3] != "–":
            assert float(cells[3].split()[0]) == pytest.approx(int(cells[2]), abs=0.13)
        assert re.fullmatch(r"< 1e-(9|1\d)", cells[5])


def test_the_orders_in_the_readme_are_those_that_are_measured_now(script):
    measure = script.load_measure()
    written = {cells[1].strip("`"): cells[3] for cells in rows(script)[2:]}
    measured = {name: script.order(measure, info) for name, info in samplers.every().items()}
    assert written == measured, "run python packaging/sampler_table.py"


def test_no_sampler_is_further_off_diffusers_than_the_readme_says(script):
    measure = script.load_measure()
    for cells in rows(script)[2:]:
        bound = float(cells[5].removeprefix("< "))
        assert measure.parity(cells[1].strip("`"), counts=(1, 5, 20)) < bound


def test_evaluations_are_written_as_a_formula(script):
    known = samplers.every()
    assert script.evaluations(known["ddim"]) == "N"
    assert script.evaluations(known["heun"]) == "2N − 1"


def test_the_script_measures_what_the_tests_measure(script):
    measure = script.load_measure()
    info = samplers.find("heun")
    assert float(script.order(measure, info)) == pytest.approx(2, abs=0.1)
    assert measure.parity("heun", counts=(1, 7)) < 1e-10
