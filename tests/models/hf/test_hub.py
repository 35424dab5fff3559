"""Fetching from a hub that is a small server here: what is asked for, cut off, resumed."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from diffview import places
from diffview.errors import DiffviewError, InputError
from diffview.models import catalog
from diffview.models.hf import hub

ID = "somebody/tiny"
SHA = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = "unet/diffusion_pytorch_model.safetensors"


class Hub:
    """A server of one model: `files`, what it was asked for, and where it breaks off."""

    def __init__(self, folder):
        self.files = {str(p.relative_to(folder)): p.read_bytes()
                      for p in folder.rglob("*") if p.is_file()}  # fmt: skip
        self.asked, self.cut, self.damage = [], {}, set()
        handler = type("Handler", (_Handler,), {"hub": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        path = self.path.split("?")[0]
        if path.startswith(f"/api/models/{ID}"):
            self._tell()
        elif path.startswith(f"/{ID}/resolve/{SHA}/"):
            self._send(path.split(f"/resolve/{SHA}/")[1])
        else:
            self.send_error(404)

    def _tell(self):
        siblings = [
            {"rfilename": name, "size": len(content), **self._lfs(name, content)}
            for name, content in self.hub.files.items()
        ]
        body = json.dumps({"id": ID, "modelId": ID, "sha": SHA, "siblings": siblings,
                           "tags": [], "downloads": 0, "private": False}).encode()  # fmt: skip
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _lfs(self, name, content):
        if not name.endswith(".safetensors"):
            return {}
        digest = hashlib.sha256(content).hexdigest()
        return {"lfs": {"sha256": digest, "size": len(content), "pointerSize": 100}}

    def _send(self, name):
        content = self.hub.files[name]
        if name in self.hub.damage:
            content = bytes(len(content))
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        self.hub.asked.append((name, start))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : self.hub.cut.pop(name, None)])


@pytest.fixture
def server(copied):
    folder = copied("ddpm")
    hub = Hub(folder)
    hub.files |= {"unet/diffusion_pytorch_model.bin": b"x" * 99, "tiny.ckpt": b"y" * 99,
                  "unet/diffusion_pytorch_model.fp16.safetensors": b"z" * 99,
                  "picture.png": b"p" * 99, "my_pipe.py": b"q" * 9}  # fmt: skip
    yield hub
    hub.close()


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "folder", lambda kind: tmp_path / kind)
    return tmp_path / "data" / "models"


NEEDED = ["model_index.json", WEIGHTS, "unet/config.json", "scheduler/scheduler_config.json"]


def test_only_what_opening_needs_is_asked_for(server):
    found = hub.look(ID, server.endpoint)
    assert (found.pipeline, found.revision) == ("DDPMPipeline", SHA)
    assert sorted(file.name for file in found.files) == sorted(NEEDED)
    assert found.size == sum(len(server.files[name]) for name in NEEDED)


def test_a_fetched_model_is_listed_under_its_id(server, models):
    steps = list(hub.fetch(hub.look(ID, server.endpoint), models))
    assert steps[-1].done == steps[-1].total
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    (entry,) = catalog.own()
    assert entry.card.id == ID
    assert catalog.find(ID).path == models / "somebody--tiny"


def test_what_was_cut_off_is_not_listed_and_goes_on_from_there(server, models):
    half = int(0.6 * len(server.files[WEIGHTS]))
    server.cut[WEIGHTS] = half
    found = hub.look(ID, server.endpoint)
    with pytest.raises(DiffviewError, match="again, it goes on from there"):
        list(hub.fetch(found, models))
    assert catalog.own() == ()
    list(hub.fetch(found, models))
    assert [start for name, start in server.asked if name == WEIGHTS] == [0, half]
    assert len(catalog.own()) == 1
    assert (models / "somebody--tiny" / WEIGHTS).read_bytes() == server.files[WEIGHTS]


def test_a_cancelled_fetch_keeps_what_is_there_for_the_next_time(server, models):
    found = hub.look(ID, server.endpoint)
    steps = hub.fetch(found, models)
    while next(steps).name != WEIGHTS:
        pass
    steps.close()
    assert catalog.own() == ()
    list(hub.fetch(found, models))
    assert len(catalog.own()) == 1


def test_a_damaged_file_is_removed(server, models):
    server.damage.add(WEIGHTS)
    with pytest.raises(DiffviewError, match="arrived damaged and was removed"):
        list(hub.fetch(hub.look(ID, server.endpoint), models))
    assert not list(models.rglob("*.safetensors*"))


def test_a_model_with_code_of_its_own_is_refused_before_anything_is_fetched(server):
    index = json.loads(server.files["model_index.json"]) | {"_class_name": ["my_pipe", "Mine"]}
    server.files["model_index.json"] = json.dumps(index).encode()
    with pytest.raises(InputError, match="is not known here"):
        hub.look(ID, server.endpoint)
    assert [name for name, _ in server.asked] == ["model_index.json"]


def test_a_model_of_pickles_is_refused_before_anything_is_fetched(server):
    for name in [name for name in server.files if name.endswith(".safetensors")]:
        del server.files[name]
    with pytest.raises(InputError, match="pickled weights, which can run code, are not fetched"):
        hub.look(ID, server.endpoint)


def test_an_unknown_id_is_told_as_such(server):
    with pytest.raises(InputError, match=r"no model 'somebody/else' for you .status 404"):
        hub.look("somebody/else", server.endpoint)


@pytest.mark.parametrize("name", ["", "one", "a/b/c", "../x", "a/..", "a b/c", "/etc"])
def test_what_is_no_id_is_not_asked_for(name):
    with pytest.raises(InputError, match="is no id of a model"):
        hub.look(name)


def test_without_a_connection_the_reason_is_told(server):
    server.close()
    with pytest.raises(DiffviewError, match=r"cannot be reached .*give a folder"):
        hub.look(ID, server.endpoint)


def test_forbidden_to_go_online_it_does_not_try(monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DiffviewError, match="not here, and HF_HUB_OFFLINE forbids asking"):
        hub.look(ID)


def test_a_full_disk_is_told_of_before_it_is_full(server, models, monkeypatch):
    found = hub.look(ID, server.endpoint)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=7))
    with pytest.raises(InputError, match=r"takes .* more, .* has 0.0 kB left"):
        next(hub.fetch(found, models))


def test_a_model_that_is_there_is_not_fetched_again(server, models):
    found = hub.look(ID, server.endpoint)
    list(hub.fetch(found, models))
    with pytest.raises(InputError, match="is there already"):
        next(hub.fetch(found, models))


def test_an_id_that_is_not_here_is_answered_with_the_command_that_fetches_it(models):
    with pytest.raises(InputError, match="'diffview fetch somebody/tiny'"):
        catalog.find(ID)


def test_the_command_asks_and_takes_no_answer_for_no(server, models, monkeypatch, capsys):
    from diffview.cli import main

    look = hub.look
    monkeypatch.setattr(hub, "look", lambda name: look(name, server.endpoint))
    assert main(["fetch", ID]) == 2
    assert "nothing was fetched" in capsys.readouterr().err
    assert main(["fetch", ID, "--yes"]) == 0
    assert main(["models", ID]) == 0
    assert "DDPMPipeline" in capsys.readouterr().out
