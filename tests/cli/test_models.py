"""The commands that tell: models and info."""

import json
from pathlib import Path

import pytest

from diffview import tensorfile
from diffview.cli import main
from diffview.models import catalog


@pytest.fixture
def bundle(tiny, monkeypatch):
    entry = catalog.entry(Path(tiny), bundled=True)
    monkeypatch.setattr(catalog, "bundled", lambda: (entry,))
    return entry


def test_models_lists_what_can_be_run_as_a_table(bundle, capsys):
    assert main(["models"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["ID", "TITLE", "SHAPE"]
    assert row.split()[:5] == ["tiny", "Tiny", "1x8x8", "3", "v"]
    assert head.index("LICENCE") == row.index("MIT")


def test_a_model_that_writes_tokens_has_no_schedule_in_the_table(writers, capsys, monkeypatch):
    entry = catalog.entry(writers / "pixel.safetensors", bundled=True)
    monkeypatch.setattr(catalog, "bundled", lambda: (entry,))
    assert main(["models"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert row[head.index("SCHEDULE") :].split()[0] == "-"


def test_models_as_json_is_one_object_a_line(bundle, capsys):
    assert main(["models", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    facts = json.loads(line)
    assert facts["id"] == "tiny"
    assert facts["shape"] == [1, 8, 8]
    assert facts["classes"] == ["Shirt", "Sneaker", "Bag"]
    assert (facts["prediction"], facts["schedule"], facts["T"]) == ("v", "cosine", 1000)
    assert (facts["licence"], facts["samples"], facts["bundled"]) == ("MIT", True, True)
    assert facts["weights_sha256"] == tensorfile.sha256(bundle.path)


def test_a_model_tells_what_was_measured_of_it_and_how(capsys):
    assert main(["models", "emoji-text"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert any(line.endswith("measured by diffview train emoji-text --evaluate") for line in told)
    figures = catalog.find("emoji-text").card.figures["found among 5"]
    assert any(f"{figures['2']} (γ = 2)" in line for line in told)
    assert any(line.startswith("limits") for line in told)
    assert main(["models", "emoji-text", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["figures"]["found among 5"] == figures


def test_models_says_so_where_none_ship(capsys, monkeypatch):
    monkeypatch.setattr(catalog, "bundled", lambda: ())
    assert main(["models"]) == 0
    assert "no models ship" in capsys.readouterr().out


def test_info_tells_versions_devices_folders_and_models(bundle, capsys):
    assert main(["info", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert {"python", "diffview", "torch", "numpy", "pillow", "PySide6-Essentials"} <= set(
        facts["versions"]
    )
    assert {"config", "data", "cache", "log"} <= set(facts["folders"])
    assert all("diffview" in facts["folders"][name] for name in ("config", "data", "cache", "log"))
    assert facts["machine"]["cores"] >= 1
    assert bundle.card.weights_sha256 in facts["models"]["tiny"]


def test_info_reads_as_lines(bundle, capsys):
    assert main(["info"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "versions" in lines
    assert any(line.split()[:1] == ["torch"] for line in lines)
