"""Whether the hub can be reached, known within a bound: the system's own look-up of a name may
take half a minute, and each of a host's addresses may be tried as long again.

A look-up cannot be told to hurry nor stopped, so it happens in a thread that is left behind where
it does not answer in time. This thread is the exception to the rule that threads are started in
ui/workers.py: it must be left behind, which a worker must never be, and `diffview fetch` needs it
without Qt. It is a daemon, so it holds up no exit; it touches neither Qt nor anything but its own
answer; and there is at most one for a host and port, which later questions wait for too.

Behind a proxy it is the proxy that looks names up.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Any
from urllib.parse import SplitResult
from urllib.request import getproxies, proxy_bypass

from diffview.errors import DiffviewError, InputError

PORTS = {"http": 80, "https": 443}


def check_reached(url: SplitResult, seconds: float) -> None:
    """Raise DiffviewError unless the host of `url` takes a connection within `seconds`, and
    InputError where `url` names no host, or a port that cannot be."""
    host, port = _place(url)
    if {url.scheme, "all"} & getproxies().keys() and not proxy_bypass(host):
        return
    attempt = _attempt(host, port, seconds)
    if not attempt.done.wait(seconds):
        late = f"{host} took no connection" if attempt.found else f"the name {host} was not found"
        raise DiffviewError(f"{late} within {seconds:.2g} s")
    if attempt.failed is not None:
        wrong = f"{host} takes no connection" if attempt.found else f"the name {host} is not found"
        raise DiffviewError(
            f"{wrong}: {getattr(attempt.failed, 'strerror', '') or attempt.failed}"
        )


def _place(url: SplitResult) -> tuple[str, int]:
    try:
        if not url.hostname:
            raise ValueError("it names no host, such as https://huggingface.co")
        return url.hostname, url.port or PORTS.get(url.scheme, 443)
    except ValueError as error:
        raise InputError(f"the hub's address, HF_ENDPOINT, is wrong: {error}") from None


class _Attempt:
    """To find a host and connect to it, in a thread of its own, which writes here alone."""

    def __init__(self, host: str, port: int, seconds: float) -> None:
        self.found = False
        self.failed: OSError | UnicodeError | None = None
        self.done = threading.Event()
        self._asked = (host, port, seconds)
        threading.Thread(target=self._run, name="look-up", daemon=True).start()

    def _run(self) -> None:
        host, port, seconds = self._asked
        try:
            addresses = _addresses(host, port)
            self.found = True
            _connect(addresses, seconds)
        except (OSError, UnicodeError) as error:  # UnicodeError: a label that is too long
            self.failed = error
        finally:
            self.done.set()


def _addresses(host: str, port: int) -> list[tuple[Any, ...]]:
    return [info[4] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def _connect(addresses: list[tuple[Any, ...]], seconds: float) -> None:
    """Connect to the first of a host's addresses that takes it."""
    for address in addresses[:-1]:
        with suppress(OSError):
            return socket.create_connection(address[:2], seconds).close()
    socket.create_connection(addresses[-1][:2], seconds).close()


_lock = threading.Lock()
_attempts: dict[tuple[str, int], _Attempt] = {}


def _attempt(host: str, port: int, seconds: float) -> _Attempt:
    """The attempt that is still under way, or a new one."""
    with _lock:
        known = _attempts.get((host, port))
        if known is None or known.done.is_set():
            known = _attempts[host, port] = _Attempt(host, port, seconds)
        return known
