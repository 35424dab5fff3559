"""The hub's name, looked up within a bound: the system's own look-up may take half a minute.

It cannot be told to hurry nor stopped, so it happens in a thread that is left behind where it does
not answer in time. Behind a proxy it is the proxy that looks names up.
"""

from __future__ import annotations

import socket
import threading
from urllib.parse import SplitResult
from urllib.request import getproxies, proxy_bypass

from diffview.errors import DiffviewError


def check_resolves(url: SplitResult, seconds: float) -> None:
    """Raise DiffviewError unless the host of `url` is found within `seconds`."""
    host = url.hostname or ""
    if url.scheme in getproxies() and not proxy_bypass(host):
        return
    failed: list[OSError] = []
    done = threading.Event()

    def look_up() -> None:
        try:
            socket.getaddrinfo(host, url.port or url.scheme)
        except OSError as error:
            failed.append(error)
        done.set()

    threading.Thread(target=look_up, name="look-up", daemon=True).start()
    if not done.wait(seconds):
        raise DiffviewError(f"the name {host} was not found within {seconds:g} s")
    if failed:
        raise DiffviewError(f"the name {host} is not found: {failed[0].strerror or failed[0]}")
