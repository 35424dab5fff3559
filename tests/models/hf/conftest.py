"""Tiny pipelines of every family, random weights, built offline from configurations in seconds."""

from __future__ import annotations

import importlib.util
import json
import shutil
import socket
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("diffusers")
pytest.importorskip("transformers")
pytest.importorskip("accelerate")


@pytest.fixture(scope="session")
def builders():
    """The module of builders beside this file."""
    spec = importlib.util.spec_from_file_location(
        "hf_builders", Path(__file__).with_name("builders.py")
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def pipelines(tmp_path_factory, builders):
    """name -> (the family's own pipeline, the folder it was saved to); built at first use."""
    made = {}

    def get(name):
        if name not in made:
            torch.manual_seed(0)
            pipeline = builders.PIPELINES[name]()
            pipeline.set_progress_bar_config(disable=True)
            folder = tmp_path_factory.mktemp("hf") / name
            pipeline.save_pretrained(folder)
            if name == "dit":  # its own repositories have the names of the classes there
                index = folder / "model_index.json"
                names = {str(k): f"kind {k}, also {k}" for k in range(1000)}
                index.write_text(json.dumps(json.loads(index.read_text()) | {"id2label": names}))
            made[name] = pipeline, folder
        return made[name]

    return get


@pytest.fixture
def copied(pipelines, tmp_path):
    """A folder of a family to be changed by a test."""

    def copy(name="ddpm"):
        return shutil.copytree(pipelines(name)[1], tmp_path / name)

    return copy


@pytest.fixture
def edited(copied):
    """A folder with the JSON of one of its files changed by a function."""

    def edit(file, change, name="ddpm"):
        folder = copied(name)
        value = json.loads((folder / file).read_text())
        change(value)
        (folder / file).write_text(json.dumps(value))
        return folder

    return edit


@pytest.fixture
def untouched(tmp_path, monkeypatch):
    """No network, no marker file, no module from the folder."""
    reached = []

    def no_network(*args, **more):
        reached.append(args)  # the error alone could be taken for one of the folder
        raise AssertionError("something reached for the network")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    monkeypatch.setenv("MARKER", str(tmp_path / "marker"))
    yield
    assert not reached
    assert not (tmp_path / "marker").exists()
    assert not {"my_pipe", "my_code", "modeling_evil"} & sys.modules.keys()
