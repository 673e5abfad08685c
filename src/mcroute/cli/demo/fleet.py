"""The demo's memcached servers, and the fault of one of them."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from ...policy import Pool, Server
from ...testing import EmbeddedServer, MemcachedServer, find_memcached

__all__ = ("Condition", "Fault", "Fleet")


class Fault(Enum):
    KILL = "kill"
    STOP = "stop"


class Condition(Enum):
    """Of a server's process, which the proxy has to find out by itself."""

    RUNNING = "running"
    KILLED = "killed"
    STOPPED = "stopped"


class _Process(Protocol):
    host: str
    port: int

    def start(self) -> object: ...

    def kill(self) -> None: ...

    def restart(self) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class Fleet:
    """`count` servers, started by `start`; a context manager that ends with all of them stopped.

    Real memcacheds as processes, or embedded ones in threads of this process.
    """

    def __init__(self, count: int, *, is_embedded: bool) -> None:
        self.is_embedded = is_embedded
        self.conditions: list[Condition] = [Condition.RUNNING] * count
        self._servers: list[_Process] = [
            EmbeddedServer() if is_embedded else MemcachedServer() for _ in range(count)
        ]

    @property
    def description(self) -> str:
        return "embedded memcached servers (threads)" if self.is_embedded else f"{find_memcached()} processes"

    def start(self) -> None:
        """Returns when all answer. Raises OSError or RuntimeError."""
        for server in self._servers:
            server.start()

    def pool(self) -> Pool:
        """Their names do not depend on their ports: every demo places its keys in the same way."""
        named = zip(self.names, self._servers, strict=True)
        return Pool("demo", tuple(Server(name, server.host, server.port) for name, server in named))

    def describe(self, fault: Fault) -> str:
        """The effect of `inject`, in a word or two for the display."""
        if self.is_embedded:
            return "killed" if fault is Fault.KILL else "stopped"
        return "killed (kill -9)" if fault is Fault.KILL else "stopped (SIGSTOP)"

    @property
    def names(self) -> list[str]:
        return [f"cache-{number + 1}" for number in range(len(self._servers))]

    def inject(self, number: int, fault: Fault) -> None:
        """Takes the server away: dead at once, or alive without an answer, as its machine might be."""
        if fault is Fault.KILL:
            self.conditions[number] = Condition.KILLED
            self._servers[number].kill()
        else:
            self.conditions[number] = Condition.STOPPED
            self._servers[number].pause()

    def repair(self, number: int) -> None:
        """Started again, empty, if it was killed; else it goes on with what it had."""
        if self.conditions[number] is Condition.KILLED:
            self._servers[number].restart()
        else:
            self._servers[number].resume()
        self.conditions[number] = Condition.RUNNING

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *error: object) -> None:
        for server in self._servers:
            server.kill()
