"""Models fetched from the Hugging Face hub: looked at first, then fetched, whole or not at all.

`look` asks the hub what a model consists of and which of its files are needed; nothing is kept.
`fetch` brings those, file by file, into a folder beside the models; what is there already is not
fetched again, a file cut off goes on where it ended, and the model appears under its name when all
of it is there and its hashes are right.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from diffview.errors import DiffviewError, InputError
from diffview.models import hf, memory
from diffview.models.hf import folder
from diffview.models.hf.resolving import check_reached
from diffview.models.hf.weights import STEMS, VARIANTS

ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
UNDERWAY = ".fetching"
"""Where models lie that are not whole yet."""

PATIENCE = 2.0
"""Seconds that the hub may take to be found, to answer, and to send the index, all together."""

LEAST = 0.5
"""Seconds that each answer may take however late it is: a slow line is no broken one."""

TIMEOUT = 30.0
"""Seconds without a byte after which a connection is given up."""

TEXTS = (".json", ".txt", ".model")

REVISION = ".revision"
"""The file in a model's folder that says of which revision its files are."""

BUSY = (429, 500, 502, 503, 504)
"""What the hub answers when the trouble is its own, and soon over."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of a model: its path there, its bytes, and its SHA-256 where the hub knows it."""

    name: str
    size: int
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A model on the hub, at one revision, and the files that are needed of it."""

    id: str
    revision: str
    pipeline: str
    files: tuple[File, ...]
    endpoint: str | None = None

    @property
    def size(self) -> int:
        """Bytes of all needed files."""
        return sum(file.size for file in self.files)

    @property
    def folder_name(self) -> str:
        """What the model's folder is called."""
        return self.id.replace("/", "--")


@dataclass(frozen=True, slots=True)
class Progress:
    """Bytes there of all bytes, and the file in work."""

    done: int
    total: int
    name: str


def is_id(name: str) -> bool:
    """Whether `name` could be a model's id on the hub."""
    return bool(ID.fullmatch(name)) and ".." not in name


def look(model_id: str, endpoint: str | None = None) -> Found:
    """What the hub has under `model_id`. Raises InputError when it has no model that can be
    opened here, DiffviewError when it does not answer within PATIENCE, or falls silent then."""
    hf.require()
    if not is_id(model_id):
        raise InputError(f"'{model_id}' is no id of a model on the hub, such as owner/name")
    api = _api(endpoint)  # before the clock begins: its first import takes long
    ends = time.monotonic() + PATIENCE
    info = _asked(api, model_id, ends)
    sizes = {s.rfilename: s for s in info.siblings or ()}
    if folder.INDEX not in sizes:
        raise InputError(f"'{model_id}' has no {folder.INDEX}, so it is no diffusers model")
    found = Found(model_id, str(info.sha), "", (), endpoint)
    index = _json(found, folder.INDEX, _left(ends))
    pipeline = folder.pipeline_of(index, Path(model_id, folder.INDEX), hf.FAMILIES)
    parts = folder.loaded_parts(index, Path(model_id, folder.INDEX))
    files = tuple(_file(model_id, sizes[name]) for name in needed(tuple(sizes), parts))
    return Found(model_id, found.revision, pipeline, files, endpoint)


def _left(ends: float) -> float:
    """Seconds until the time `ends`, and LEAST when it is near or over."""
    return max(LEAST, ends - time.monotonic())


def _file(model_id: str, sibling: Any) -> File:
    if type(sibling.size) is not int or sibling.size < 0:
        raise InputError(f"the hub does not tell how large {model_id}/{sibling.rfilename} is")
    return File(sibling.rfilename, sibling.size, _sha256(sibling))


def needed(names: tuple[str, ...], parts: Mapping[str, str]) -> tuple[str, ...]:
    """Of a model's files those that opening it needs; parts: name -> class.

    Raises InputError for names that would lead out of the model's folder on any system.
    """
    chosen = [name for name in (folder.INDEX, "README.md") if name in names]
    for part, cls in parts.items():
        own = [name for name in names if name.startswith(f"{part}/") and name.count("/") == 1]
        for name in (part, *own):
            if _leads_out(name) or not folder.is_plain(part):
                raise InputError(f"the model has a file {name!r}, which leads out of its folder")
        own = [name for name in own if all(map(folder.is_plain, name.split("/")))]
        chosen += [name for name in own if name.endswith(TEXTS) and ".index." not in name]
        stem = STEMS.get(folder.CLASSES.get(cls, ""))
        if stem is not None and "Tokenizer" not in cls:
            chosen += _weights(own, f"{part}/{stem}")
    return tuple(chosen)


def _leads_out(name: str) -> bool:
    """Whether a path, joined to a folder, could be elsewhere on some system, or show so."""
    marks = ("\\", ":", "..")
    return any(mark in name for mark in marks) or not name.isprintable()


def _weights(own: list[str], stem: str) -> list[str]:
    """The safetensors of one variant, whole or in shards; the plain one if there is one."""
    for variant in VARIANTS:
        whole = f"{stem}{variant}.safetensors"
        if whole in own:
            return [whole]
        shard = re.compile(rf"{re.escape(stem)}{re.escape(variant)}-\d+-of-\d+\.safetensors")
        shards = [name for name in own if shard.fullmatch(name)]
        index = f"{stem}.safetensors.index{variant}.json"
        if shards and index in own:
            return [index, *shards]
    raise InputError(
        f"'{stem}.safetensors' is not among the model's files: pickled weights, which can run "
        "code, are not fetched"
    )


def there(found: Found, models: Path) -> int:
    """Bytes of the model that an earlier time has left, to go on from."""
    underway = models / UNDERWAY / found.folder_name
    if _revision(underway) != found.revision:
        return 0  # files of two revisions together would be no model
    files = (path for path in underway.rglob("*") if path.is_file() and path.name != REVISION)
    return sum(path.stat().st_size for path in files)


def _revision(place: Path) -> str:
    try:
        return (place / REVISION).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def fetch(found: Found, models: Path) -> Iterator[Progress]:
    """Bring the model into `models`; a generator, so a job. The last Progress has the folder's
    name. Closing it keeps what is there for the next time.

    Raises InputError when the disk is too small, DiffviewError when the connection breaks.
    """
    target, underway = models / found.folder_name, models / UNDERWAY / found.folder_name
    if target.exists():
        raise InputError(f"{target} is there already: remove it to fetch the model again")
    _check_disk(found, models)
    _begin(underway, found)
    done = 0
    for file in found.files:
        for there in _bring(found, file, underway / file.name):
            yield Progress(done + there, found.size, file.name)
        done += file.size
    underway.rename(target)
    yield Progress(found.size, found.size, str(target))


def _begin(underway: Path, found: Found) -> None:
    """A folder for this revision; what is there of another one is thrown away."""
    try:
        if _revision(underway) != found.revision and underway.exists():
            shutil.rmtree(underway)
        underway.mkdir(parents=True, exist_ok=True)
        (underway / REVISION).write_text(f"{found.revision}\n", encoding="ascii")
    except OSError as error:
        raise DiffviewError(
            f"{underway} could not be written: {error.strerror or error}"
        ) from error


def _bring(found: Found, file: File, place: Path) -> Iterator[int]:
    """Fetch one file, from where an earlier time ended; yields how many bytes are there."""
    if place.is_file() and place.stat().st_size == file.size:
        yield file.size
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_name(place.name + ".partial")
    there = partial.stat().st_size if partial.exists() else 0
    if there < file.size or not partial.exists():
        try:
            yield from _received(found, file, partial, there)
        except OSError as error:
            raise DiffviewError(
                f"{place} could not be written: {error.strerror or error}"
            ) from error
    _check_whole(partial, file)
    partial.rename(place)


def _received(found: Found, file: File, partial: Path, there: int) -> Iterator[int]:
    """Append the file's bytes from `there` on, never more than were announced."""
    with partial.open("ab") as out, _stream(found, file.name, there) as answer:
        if there and answer.status_code != 206:  # the server cannot go on: begin anew
            out.truncate(0)
            there = 0
        for chunk in answer.iter_bytes():
            there += len(chunk)
            if there > file.size:
                out.truncate(0)
                raise DiffviewError(
                    f"{file.name} is larger than the {file.size} bytes that the hub announced: it "
                    "was not kept. Look the model up again, it may have changed"
                )
            out.write(chunk)
            yield there


def _check_whole(partial: Path, file: File) -> None:
    size = partial.stat().st_size
    if size < file.size:
        raise DiffviewError(
            f"{file.name} was cut off after {size} of {file.size} bytes: fetch the model again, "
            "it goes on from there"
        )
    if size > file.size or (file.sha256 and _hash(partial) != file.sha256):
        partial.unlink()
        raise DiffviewError(f"{file.name} arrived damaged and was removed: fetch the model again")


def _check_disk(found: Found, models: Path) -> None:
    models.mkdir(parents=True, exist_ok=True)
    need, free = found.size - there(found, models), shutil.disk_usage(models).free
    if need > free:
        raise InputError(
            f"'{found.id}' takes {memory.gigabytes(need)} more, {models} has "
            f"{memory.gigabytes(free)} left: make room first"
        )


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256(sibling: Any) -> str:
    return str(getattr(sibling.lfs, "sha256", "") or "") if sibling.lfs else ""


def _api(endpoint: str | None) -> Any:
    from huggingface_hub import HfApi

    return HfApi(endpoint=endpoint)


def _asked(api: Any, model_id: str, ends: float) -> Any:
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        if not constants.HF_HUB_OFFLINE:
            check_reached(urlsplit(api.endpoint), _left(ends))
        return api.model_info(model_id, files_metadata=True, timeout=_left(ends))
    except OfflineModeIsEnabled:
        raise DiffviewError(
            f"'{model_id}' is not here, and HF_HUB_OFFLINE forbids asking the hub: unset it, or "
            "give a folder"
        ) from None
    except HfHubHTTPError as error:
        raise _refused(model_id, getattr(error.response, "status_code", 0)) from None
    except Exception as error:  # of whatever HTTP library is underneath
        raise _unreachable(model_id, error) from error


def _refused(model_id: str, status: int) -> DiffviewError:
    """What an answer that is none means, and what to do."""
    if status in BUSY:
        return DiffviewError(
            f"the hub cannot answer for '{model_id}' just now (status {status}): the trouble is "
            "its own, try again in some minutes"
        )
    if status in (401, 403):
        return InputError(
            f"the hub does not give you '{model_id}' (status {status}): check its spelling; "
            "where its page asks for an agreement, agree there and give your token ('hf auth "
            "login', or HF_TOKEN)"
        )
    return InputError(
        f"the hub has no model '{model_id}' for you (status {status}): check its spelling; "
        "some models must be agreed to on their page first"
    )


def _unreachable(model_id: str, error: Exception) -> DiffviewError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return DiffviewError(
        f"'{model_id}' is not here, and the hub cannot be reached ({reason}): give a folder, or "
        "try again with a connection"
    )


def _json(found: Found, name: str, timeout: float) -> dict[str, Any]:
    text = b""
    with _stream(found, name, 0, timeout) as answer:
        for chunk in answer.iter_bytes():
            text += chunk
            if len(text) > folder.MAX_JSON:
                raise InputError(f"{found.id}/{name} is larger than any configuration")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{found.id}/{name} is damaged: {error}") from None
    if not isinstance(value, dict):
        raise InputError(f"{found.id}/{name} is not a JSON object")
    return value


@contextmanager
def _stream(found: Found, name: str, start: int, timeout: float = TIMEOUT) -> Iterator[Any]:
    """The answer to a request for a file from byte `start` on, as a context manager; it raises
    after `timeout` seconds without a byte."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import build_hf_headers, get_session  # type: ignore[attr-defined]

    url = hf_hub_url(found.id, name, revision=found.revision, endpoint=found.endpoint)
    headers = dict(build_hf_headers()) | {"Accept-Encoding": "identity"}  # sizes must be true
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        # The session is of whatever HTTP library this release of the client uses.
        with get_session().stream(
            "GET", url, headers=headers, follow_redirects=True, timeout=timeout
        ) as answer:
            if answer.status_code in BUSY:
                raise _refused(found.id, answer.status_code)
            answer.raise_for_status()
            yield answer
    except (DiffviewError, OSError, GeneratorExit):
        raise
    except Exception as error:
        raise DiffviewError(
            f"{found.id}: {name} could not be fetched ({str(error) or type(error).__name__}): "
            "fetch the model again, it goes on from there"
        ) from error
