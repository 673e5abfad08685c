"""The system's lookups of host names, in a few separate threads.

The system's lookup cannot be cancelled, and may outlast the wait for it. So the threads are daemons.
"""

from __future__ import annotations

import heapq
import itertools
import socket
import threading
from collections.abc import Callable, Sequence

__all__ = ("THREADS_MAX", "Answer", "LookupThreads")

THREADS_MAX = 8

# Gets the numeric addresses of a host, or the reason why there are none.
Answer = Callable[[Sequence[str] | OSError], None]


def _system(host: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"{host!r} cannot be the name of a host") from error
    return list(dict.fromkeys(_numeric(*address) for *_, address in found))


def _numeric(host: str | int, port: int | bytes, flow: int = 0, scope: int = 0) -> str:
    return f"{host}%{scope}" if scope else str(host)


class LookupThreads:
    """A `NameService`: calls `look`, which may block, in at most `threads` threads at once."""

    def __init__(self, look: Callable[[str], Sequence[str]] = _system, threads: int = THREADS_MAX) -> None:
        self._look = look
        self._threads_max = threads
        self._lock = threading.Lock()
        self._waiting: list[tuple[int, int, str, Answer]] = []
        self._serials = itertools.count()
        self._running = 0

    def look_up(self, host: str, rank: int, answer: Answer) -> None:
        with self._lock:
            entry = (rank, next(self._serials), host, answer)
            heapq.heappush(self._waiting, entry)
            if self._running >= self._threads_max:
                return
            try:
                threading.Thread(target=self._work, name="mcroute-lookup", daemon=True).start()
            except Exception:
                if not self._running:
                    self._waiting.remove(entry)
                    raise
                # A running thread takes the name after its present one.
                return
            self._running += 1

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._running -= 1
                    return
                *_, host, answer = heapq.heappop(self._waiting)
            answer(self._found(host))

    def _found(self, host: str) -> Sequence[str] | OSError:
        try:
            return self._look(host)
        except OSError as error:
            return error
        except Exception as error:
            return OSError(f"{host} cannot be looked up: {error}")
