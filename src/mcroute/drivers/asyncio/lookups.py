"""Host names and their addresses: a silent name server delays nothing else.

Each name is looked up once at a time. The last addresses of a name serve until there are new ones.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from copy import copy
from dataclasses import dataclass, field
from typing import Protocol

from ...policy import LookupSettings
from .lookup_threads import Answer, LookupThreads

__all__ = ("Lookups", "NameService", "process_lookups")


class NameService(Protocol):
    """Looks names up: the system, or a simulation of it."""

    def look_up(self, host: str, rank: int, answer: Answer) -> None:
        """Begins a lookup. Calls `answer` once, in any thread, now or later, unless this call raises.

        Names of a lower rank come first, if not all can be looked up at once.
        """


@dataclass(slots=True)
class _Name:
    host: str
    pending: Future[None] | None = None
    addresses: tuple[str, ...] = ()  # the last result
    failures: int = 0  # in a row
    retry_at: float = 0.0
    error: OSError = field(default_factory=OSError)


class Lookups:
    """Resolves names by `service`, for any number of loops. `now` returns seconds of a monotonic clock."""

    def __init__(
        self,
        service: NameService | None = None,
        now: Callable[[], float] = time.monotonic,
        settings: LookupSettings | None = None,
    ) -> None:
        self._service = service or LookupThreads()
        self._now = now
        self._settings = settings or LookupSettings()
        self._lock = threading.Lock()
        self._names: dict[str, _Name] = {}

    async def find(self, host: str, timeout_s: float | None = None) -> tuple[str, ...]:
        """The numeric addresses of a host, in order of preference; earlier ones if there is no new answer.

        Raises OSError after `timeout_s` seconds without an answer, by default those of the settings, and for
        an unknown name.
        """
        settings = self._settings
        timeout_s = settings.timeout_s if timeout_s is None else timeout_s
        with self._lock:
            name = self._named(host)
            is_due = name.pending is None and self._now() >= name.retry_at
            if is_due:
                name.pending = Future()
                # A caller that times out must not cancel the lookup for others.
                name.pending.set_running_or_notify_cancel()
            pending = name.pending
            timeout_s = min(timeout_s, settings.refresh_timeout_s) if name.addresses else timeout_s
        if is_due:
            self._begin(name)
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
            if len(self._names) >= self._settings.names_max:
                self._names = {h: n for h, n in self._names.items() if n.pending is not None}
            name = self._names[host] = _Name(host)
        return name

    def _begin(self, name: _Name) -> None:
        # Without the lock, which an immediate answer takes.
        try:
            # Resolved names come before unresolved ones, which may occupy a thread for long.
            self._service.look_up(name.host, name.failures, lambda answer: self._answered(name, answer))
        except Exception as error:
            # No thread could be started, perhaps. The name is tried again later, as an unknown one is.
            self._answered(name, OSError(f"{name.host} cannot be looked up: {error}"))

    def _answered(self, name: _Name, answer: Sequence[str] | OSError) -> None:
        if not isinstance(answer, OSError) and not answer:
            answer = OSError(f"{name.host} has no address")
        with self._lock:
            pending, name.pending = name.pending, None
            if isinstance(answer, OSError):
                name.error = answer
                grown = self._settings.retry_base_s * 2.0 ** min(name.failures, 16)
                name.failures += 1
                name.retry_at = self._now() + min(self._settings.retry_cap_s, grown)
            else:
                name.addresses, name.failures, name.retry_at = tuple(answer), 0, 0.0
        assert pending is not None
        pending.set_result(None)


_of_process = Lookups()


def process_lookups() -> Lookups:
    """The lookups by the system, which all loops of this process share."""
    return _of_process


def _forget_threads() -> None:
    global _of_process
    _of_process = Lookups()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget_threads)
