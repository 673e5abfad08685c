"""Machines of the simulated network: each runs one process, which can be killed."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any, Protocol
from weakref import WeakSet

__all__ = ("MACHINE", "Closable", "Machine", "machine_here")

PORT_MIN, PORT_MAX = 32768, 60999


class Closable(Protocol):
    """A connection, as its machine sees it."""

    def crash(self) -> None:
        """Ends without a word to its own protocol; the peer sees a closed connection."""


class Machine:
    """An address of the network with one process that opens connections. `host` is an IPv4 address.

    Its connections' ports begin at PORT_MIN + `first_port`.
    """

    def __init__(self, name: str, host: str, first_port: int = 0) -> None:
        self.name = name
        self.host = host
        self.is_dead: bool = False
        self.connections: dict[Closable, None] = {}
        self.tasks: WeakSet[asyncio.Task[Any]] = WeakSet()
        self._port = PORT_MIN + first_port - 1

    def __repr__(self) -> str:
        return f"<Machine {self.name} at {self.host}{', killed' if self.is_dead else ''}>"

    def next_port(self) -> int:
        """The port of the next outgoing connection."""
        self._port = self._port + 1 if self._port < PORT_MAX else PORT_MIN
        return self._port

    def crash(self) -> None:
        """Ends the process: nothing more is run on the machine, and its connections are closed."""
        self.is_dead = True
        for connection in tuple(self.connections):
            connection.crash()
        self.connections.clear()


# The machine of the running task.
MACHINE: ContextVar[Machine | None] = ContextVar("mcroute-simulated-machine", default=None)


def machine_here() -> Machine:
    """The machine of the running task. Raises RuntimeError outside of machines."""
    machine = MACHINE.get()
    if machine is None:
        raise RuntimeError("only tasks of machines have connections: see SimulationLoop.on")
    return machine
