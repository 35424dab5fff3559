"""Large files that are read say how far they are."""

from __future__ import annotations

import hashlib

import pytest
from safetensors.torch import load_file

from diffview.cli.report import Report
from diffview.models import hashes, reading


@pytest.fixture
def told(monkeypatch):
    """All that is told, of every file and at every piece."""
    monkeypatch.setattr(reading, "LARGE", 0)
    monkeypatch.setattr(reading, "TOLD_EVERY", 0.0)
    found = []
    reading.listen(found.append)
    yield found
    reading.unlisten(found.append)


def test_a_hash_is_counted_up_to_the_files_own_size(told, tmp_path, monkeypatch):
    path = tmp_path / "unet.safetensors"
    path.write_bytes(b"0123456789" * 10)
    monkeypatch.setattr(hashes, "SMALL", 0)
    monkeypatch.setattr(hashes, "CHUNK", 30)
    monkeypatch.setattr(hashes, "_place", lambda: tmp_path / "kept.json")
    assert hashes.sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [(r.done, r.total, r.over) for r in told] == [
        (0, 100, False), (30, 100, False), (60, 100, False), (90, 100, False), (100, 100, True),
    ]  # fmt: skip
    assert told[0].what == f"{tmp_path.name}/unet.safetensors for its hash"
    told.clear()
    hashes.sha256(path)
    assert told == [], "what is known is not read again"


def test_what_breaks_off_has_an_end_too(told):
    def breaking():
        with reading.metered("it", 10) as count:
            count(3)
            raise OSError

    with pytest.raises(OSError):
        breaking()
    assert [r.done for r in told] == [0, 3, 10]


def test_a_small_file_is_not_told_of():
    found = []
    reading.listen(found.append)
    with reading.metered("it", 10) as count:
        count(10)
    reading.unlisten(found.append)
    reading.unlisten(found.append)
    assert found == []


def test_the_command_line_shows_it_while_a_report_is_open(capsys, monkeypatch):
    monkeypatch.setattr("diffview.cli.report.IN_A_LOG", 0.0)
    monkeypatch.setattr(reading, "TOLD_EVERY", 0.0)
    with Report(), reading.metered("the weights of sd/unet", 3 * 10**9) as count:
        count(10**9)
    assert "reading the weights of sd/unet, MB 1000/3000" in capsys.readouterr().err


def test_the_weights_of_a_part_are_counted(told, tmp_path):
    pytest.importorskip("diffusers")
    import torch
    from safetensors.torch import save_file
    from torch import nn

    from diffview.models.hf import weights

    layer, file = nn.Linear(4, 2), tmp_path / "sd" / "unet" / "w.safetensors"
    file.parent.mkdir(parents=True)
    save_file(layer.state_dict(), file)
    found = weights.Weights((file,), weights._tensors((file,)))
    weights.fill(nn.Linear(4, 2, device="meta"), found, file.parent, torch.device("cpu"),
                 torch.float32)  # fmt: skip
    nbytes = sum(tensor.nbytes for tensor in load_file(file).values())
    assert [r.total for r in told] == [nbytes] * len(told) and told[-1].over
    assert told[0].what == "the weights of sd/unet"
