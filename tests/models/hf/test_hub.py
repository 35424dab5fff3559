"""Fetching from a hub that is a small server here: what is asked for, cut off, resumed."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from diffview import places
from diffview.errors import DiffviewError, InputError
from diffview.models import catalog
from diffview.models.hf import hub, resolving

ID = "somebody/tiny"
SHA = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = "unet/diffusion_pytorch_model.safetensors"


class Hub:
    """A server of one model: `files`, what it was asked for, and where it breaks off."""

    def __init__(self, folder):
        self.files = {str(p.relative_to(folder)): p.read_bytes()
                      for p in folder.rglob("*") if p.is_file()}  # fmt: skip
        self.asked, self.cut, self.damage = [], {}, set()
        self.sha, self.status, self.longer = SHA, None, set()
        self.silent, self.woken = set(), threading.Event()
        handler = type("Handler", (_Handler,), {"hub": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"

    def close(self):
        self.woken.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        path = self.path.split("?")[0]
        if self.hub.status is not None:
            self.send_error(self.hub.status)
        elif path.startswith(f"/api/models/{ID}"):
            self._tell()
        elif path.startswith(f"/{ID}/resolve/{self.hub.sha}/"):
            self._send(path.split(f"/resolve/{self.hub.sha}/")[1])
        else:
            self.send_error(404)

    def _tell(self):
        siblings = [
            {"rfilename": name, "size": len(content), **self._lfs(name, content)}
            for name, content in self.hub.files.items()
        ]
        body = json.dumps({"id": ID, "modelId": ID, "sha": self.hub.sha, "siblings": siblings,
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
        if name in self.hub.longer:
            content += b"and so on" * 10_000
        if name in self.hub.silent:
            self.hub.woken.wait()
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        self.hub.asked.append((name, start))
        if start >= len(content):
            self.send_error(416)
            return
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


def partial_of(models, content):
    """As a fetch leaves it that ended before the last file got its name."""
    place = models / hub.UNDERWAY / "somebody--tiny"
    (place / "unet").mkdir(parents=True)
    (place / ".revision").write_text(SHA)
    (place / f"{WEIGHTS}.partial").write_bytes(content)


def test_a_file_that_is_whole_but_for_its_name_is_not_asked_for_again(server, models):
    partial_of(models, server.files[WEIGHTS])
    list(hub.fetch(hub.look(ID, server.endpoint), models))
    assert WEIGHTS not in [name for name, _ in server.asked]
    assert len(catalog.own()) == 1


def test_a_file_longer_than_it_can_be_is_begun_anew(server, models):
    partial_of(models, server.files[WEIGHTS] + b"more")
    found = hub.look(ID, server.endpoint)
    with pytest.raises(DiffviewError, match="arrived damaged and was removed"):
        list(hub.fetch(found, models))
    list(hub.fetch(found, models))
    assert len(catalog.own()) == 1


def test_files_of_two_revisions_are_never_put_together(server, models):
    server.cut[WEIGHTS] = 100
    with pytest.raises(DiffviewError, match="it goes on from there"):
        list(hub.fetch(hub.look(ID, server.endpoint), models))
    server.sha = "f" * 40
    found = hub.look(ID, server.endpoint)
    assert hub.there(found, models) == 0
    server.asked.clear()
    list(hub.fetch(found, models))
    assert (WEIGHTS, 0) in server.asked
    assert (models / "somebody--tiny" / ".revision").read_text().strip() == "f" * 40


@pytest.mark.parametrize(
    "name",
    ["unet/..\\..\\evil.json", "unet/C:evil.json", "unet/a\0.json", "unet/...json",
     "unet/\u202ejson.exe.json", "unet/x\n.json"],
)  # fmt: skip
def test_a_file_whose_name_leads_out_of_the_folder_is_refused(server, models, name):
    server.files[name] = b"{}"
    with pytest.raises(InputError, match="which leads out of its folder"):
        hub.look(ID, server.endpoint)
    assert not models.exists()


@pytest.mark.parametrize("name", ["..", "../..", "a\\b", "C:", "/etc", "con:x", "a\0"])
def test_a_part_whose_name_leads_out_of_the_folder_is_refused(name):
    with pytest.raises(InputError, match="which leads out of its folder"):
        hub.needed((f"{name}/config.json",), {name: "UNet2DModel"})


def test_an_odd_name_that_nothing_opens_is_left_where_it_is(server):
    server.files["unet/config (1).json"] = b"{}"
    names = [file.name for file in hub.look(ID, server.endpoint).files]
    assert sorted(names) == sorted(NEEDED)


def test_more_bytes_than_were_announced_are_not_taken(server, models):
    server.longer.add(WEIGHTS)
    with pytest.raises(DiffviewError, match=r"is larger than the .* bytes that the hub announced"):
        list(hub.fetch(hub.look(ID, server.endpoint), models))
    kept = sum(path.stat().st_size for path in models.rglob("unet/diff*"))
    assert kept <= len(server.files[WEIGHTS])


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [(500, DiffviewError, "trouble is its own, try again in some minutes"),
     (503, DiffviewError, "trouble is its own, try again in some minutes"),
     (429, DiffviewError, "try again in some minutes"),
     (401, InputError, "give your token"), (403, InputError, "agree there")],
)  # fmt: skip
def test_what_a_hub_in_trouble_means_is_told_with_what_to_do(server, status, kind, words):
    server.status = status
    with pytest.raises(kind, match=words) as info:
        hub.look(ID, server.endpoint)
    assert type(info.value) is kind and str(status) in str(info.value)


def test_a_hub_in_trouble_while_files_come_is_told_with_what_to_do(server, models):
    found = hub.look(ID, server.endpoint)
    server.status = 503
    with pytest.raises(DiffviewError, match="trouble is its own, try again in some minutes"):
        list(hub.fetch(found, models))


def test_a_name_that_is_not_resolved_in_time_is_given_up(monkeypatch):
    answered, asked = threading.Event(), []

    def look_up(*args, **more):
        asked.append(args[0])
        answered.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(hub, "PATIENCE", 0.05)
    monkeypatch.setattr(hub, "LEAST", 0.05)
    for _ in range(3):
        with pytest.raises(DiffviewError, match=r"name hub\.invalid was not found within"):
            hub.look(ID, "http://hub.invalid")
    assert asked == ["hub.invalid"], "later questions wait for the one under way"
    (attempt,) = (one for key, one in resolving._attempts.items() if key[0] == "hub.invalid")
    answered.set()
    assert attempt.done.wait(60)
    with pytest.raises(DiffviewError, match="is not found: Temporary failure"):
        hub.look(ID, "http://hub.invalid")
    assert len(asked) == 2, "one that has ended is asked anew"


def test_a_name_that_does_not_exist_is_told(monkeypatch):
    def nobody(*args, **more):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    with pytest.raises(DiffviewError, match=r"the name hub.invalid is not found: Name or"):
        hub.look(ID, "http://hub.invalid")


def test_a_name_that_none_can_have_is_told_at_once():
    with pytest.raises(DiffviewError, match=f"the name {'a' * 70}.invalid is not found: .*label"):
        resolving.check_reached(urlsplit(f"http://{'a' * 70}.invalid"), 60)


@pytest.mark.parametrize(
    ("address", "wrong"),
    [("http://hub.invalid:99999", "Port out of range"), ("hub.invalid", "it names no host")],
)
def test_an_address_that_none_can_be_is_told_before_it_is_looked_up(monkeypatch, address, wrong):
    monkeypatch.setattr(socket, "getaddrinfo", None)
    with pytest.raises(InputError, match=f"HF_ENDPOINT, is wrong: {wrong}"):
        resolving.check_reached(urlsplit(address), 60)


@pytest.mark.parametrize("name", ["http_proxy", "all_proxy"])
def test_behind_a_proxy_names_are_left_to_it(monkeypatch, name):
    for other in ("http_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(other, raising=False)
        monkeypatch.delenv(other.upper(), raising=False)
    monkeypatch.setenv(name, "http://proxy.invalid:3128")
    monkeypatch.setattr(socket, "getaddrinfo", None)
    resolving.check_reached(urlsplit("http://hub.invalid"), 60)


def test_an_address_that_takes_no_connection_is_passed_over_for_the_next(monkeypatch, server):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        refusing = closed.getsockname()
    found = [refusing, ("127.0.0.1", server.server.server_port)]
    monkeypatch.setattr(resolving, "_addresses", lambda host, port: found)
    resolving.check_reached(urlsplit("http://two.invalid"), 60)
    monkeypatch.setattr(resolving, "_addresses", lambda host, port: found[:1])
    with pytest.raises(DiffviewError, match=r"two\.invalid takes no connection"):
        resolving.check_reached(urlsplit("http://two.invalid"), 60)


def test_a_hub_that_takes_the_connection_and_says_nothing_is_given_up(monkeypatch):
    monkeypatch.setattr(hub, "PATIENCE", 0.1)
    monkeypatch.setattr(hub, "LEAST", 0.1)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(DiffviewError, match="cannot be reached"),
    ):
        hub.look(ID, f"http://127.0.0.1:{silent.getsockname()[1]}")


def test_a_hub_that_falls_silent_before_the_index_is_given_up(monkeypatch, server):
    monkeypatch.setattr(hub, "PATIENCE", 0.1)
    server.silent.add("model_index.json")
    with pytest.raises(DiffviewError, match=r"could not be fetched|cannot be reached"):
        hub.look(ID, server.endpoint)


def test_what_is_left_of_the_time_is_handed_on(monkeypatch, server):
    now, handed = [100.0], []

    def spend(seconds, then=None):
        handed.append(seconds)
        now[0] += 0.6
        return then

    index = json.loads(server.files["model_index.json"])
    siblings = hub.look(ID, server.endpoint).files
    listed = [SimpleNamespace(rfilename=one.name, size=one.size, lfs=None) for one in siblings]
    info = SimpleNamespace(sha=SHA, siblings=listed)
    monkeypatch.setattr(hub, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(hub, "check_reached", lambda url, seconds: spend(seconds))
    monkeypatch.setattr("huggingface_hub.HfApi.model_info",
                        lambda *_, timeout, **more: spend(timeout, info))  # fmt: skip
    monkeypatch.setattr(hub, "_json", lambda found, name, timeout: spend(timeout, index))
    hub.look(ID, server.endpoint)
    assert handed == pytest.approx([2.0, 1.4, 0.8])
    assert hub._left(now[0] - 1) == hub.LEAST
