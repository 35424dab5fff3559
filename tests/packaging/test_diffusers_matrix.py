"""What the matrix asks pip for; it is itself run by hand and in CI."""

import importlib.util
from pathlib import Path

import pytest

PATH = Path(__file__).resolve().parents[2] / "packaging" / "diffusers_matrix.py"


@pytest.fixture(scope="module")
def matrix():
    spec = importlib.util.spec_from_file_location("diffusers_matrix", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_oldest_is_the_lower_bound_and_the_newest_the_range(matrix):
    needs = matrix.wanted(["diffusers>=0.38,<0.44", "transformers>=5.6", "accelerate"])
    assert needs == {"diffusers": ">=0.38,<0.44", "transformers": ">=5.6"}
    oldest = [matrix.requirement("oldest", name, needs[name]) for name in needs]
    assert oldest == ["diffusers==0.38", "transformers==5.6"]
    newest = [matrix.requirement("newest", name, needs[name]) for name in needs]
    assert newest == ["diffusers>=0.38,<0.44", "transformers>=5.6"]


def test_an_unknown_kind_is_refused(matrix, capsys):
    assert matrix.main(["middle"]) == 2
    assert "unknown: middle" in capsys.readouterr().out
