"""Host names, resolved in a few separate threads: a silent name server delays nothing else.

The system's lookup cannot be cancelled, and may outlast the wait for it. So the threads are
daemons, and each name is looked up once at a time.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from copy import copy
from dataclasses import dataclass, field

__all__ = ("LOOKUP_TIMEOUT_S", "Lookups", "failure", "find")

# The timeout of a wait. A later answer serves the next one.
LOOKUP_TIMEOUT_S = 0.5
# For a name that was resolved before: its old addresses are used meanwhile.
REFRESH_TIMEOUT_S = 0.05
THREADS_MAX = 8
# A name that was not resolved is looked up again after this time, then after twice that ...
RETRY_BASE_S = 0.25
RETRY_CAP_S = 30.0
# The number of remembered names; older ones, of earlier configurations, are dropped.
NAMES_MAX = 4096


@dataclass(slots=True)
class _Name:
    host: str
    pending: Future[None] | None = None
    addresses: tuple[str, ...] = ()  # the last result
    failures: int = 0  # in a row
    retry_at: float = 0.0
    error: OSError = field(default_factory=OSError)


def _system(host: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"{host!r} cannot be the name of a host") from error
    return list(dict.fromkeys(_numeric(*address) for *_, address in found))


def _numeric(host: str | int, port: int | bytes, flow: int = 0, scope: int = 0) -> str:
    return f"{host}%{scope}" if scope else str(host)


class Lookups:
    """Resolves names by `look`, which may block, in at most `threads` threads at once; for any loop."""

    def __init__(self, look: Callable[[str], Sequence[str]] = _system, threads: int = THREADS_MAX) -> None:
        self._look = look
        self._threads_max = threads
        self._lock = threading.Lock()
        self._names: dict[str, _Name] = {}
        # Resolved names come before unresolved ones, which may occupy a thread for long.
        self._waiting: list[tuple[int, int, _Name]] = []
        self._serials = itertools.count()
        self._running = 0

    async def find(self, host: str, timeout_s: float = LOOKUP_TIMEOUT_S) -> tuple[str, ...]:
        """The numeric addresses of a host, in order of preference; earlier ones if there is no new answer.

        Raises OSError after `timeout_s` seconds without an answer, and for an unknown name.
        """
        with self._lock:
            name = self._named(host)
            if name.pending is None and time.monotonic() >= name.retry_at:
                self._begin(name)
            pending = name.pending
            timeout_s = min(timeout_s, REFRESH_TIMEOUT_S) if name.addresses else timeout_s
        if pending is not None:
            answered = asyncio.wrap_future(pending)
            try:
                await asyncio.wait((answered,), timeout=timeout_s)
            finally:
                answered.cancel()
        if name.addresses:
            return name.addresses
        if name.pending is not None:
            raise OSError(f"no name server has answered for {host} yet")
        # A copy: an exception keeps the frames of all that it was raised in.
        raise copy(name.error)

    def failure(self, host: str) -> OSError | None:
        """The reason why the host has no address; None if it has one, or was not looked up."""
        with self._lock:
            name = self._names.get(host)
            if name is None or name.addresses:
                return None
            return name.error if str(name.error) else OSError("no name server has answered yet")

    def _named(self, host: str) -> _Name:
        name = self._names.get(host)
        if name is None:
            if len(self._names) >= NAMES_MAX:
                self._names = {h: n for h, n in self._names.items() if n.pending is not None}
            name = self._names[host] = _Name(host)
        return name

    def _begin(self, name: _Name) -> None:
        name.pending = Future()
        # A caller that times out must not cancel the lookup for others.
        name.pending.set_running_or_notify_cancel()
        heapq.heappush(self._waiting, (name.failures, next(self._serials), name))
        if self._running < self._threads_max:
            threading.Thread(target=self._work, name="mcroute-lookup", daemon=True).start()
            self._running += 1

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._running -= 1
                    return
                *_, name = heapq.heappop(self._waiting)
            self._look_up(name)

    def _look_up(self, name: _Name) -> None:
        addresses: tuple[str, ...] = ()
        error = OSError(f"{name.host} has no address")
        try:
            addresses = tuple(self._look(name.host))
        except OSError as caught:
            error = caught
        except Exception as caught:
            error = OSError(f"{name.host} cannot be looked up: {caught}")
        with self._lock:
            pending, name.pending = name.pending, None
            if addresses:
                name.addresses, name.failures, name.retry_at = addresses, 0, 0.0
            else:
                name.error = error
                pause = min(RETRY_CAP_S, RETRY_BASE_S * 2.0 ** min(name.failures, 16))
                name.failures += 1
                name.retry_at = time.monotonic() + pause
        assert pending is not None
        pending.set_result(None)


_lookups = Lookups()


async def find(host: str, timeout_s: float = LOOKUP_TIMEOUT_S) -> tuple[str, ...]:
    """As `Lookups.find`, by the system, for the whole process."""
    return await _lookups.find(host, timeout_s)


def failure(host: str) -> OSError | None:
    """As `Lookups.failure`, of lookups by `find`."""
    return _lookups.failure(host)


def _forget_threads() -> None:
    global _lookups
    _lookups = Lookups()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget_threads)
