"""Ports for servers that stop and restart: the system gives them to no other connection meanwhile."""

from __future__ import annotations

import itertools
import random
import socket
from collections.abc import Iterator
from pathlib import Path

__all__ = ("free_port", "listener_on")

HOST = "127.0.0.1"
FIRST = 20000
TRIES = 2000
# The system takes ports of outgoing connections from this number on, or from a higher one.
_EPHEMERAL = 32768
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def _end() -> int:
    try:
        return int(_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return _EPHEMERAL


def _ports() -> Iterator[int]:
    """Cycles from a random start, so that processes which run at once seldom collide."""
    ports = range(FIRST, max(_end(), FIRST + 1))
    start = random.SystemRandom().randrange(len(ports))
    return itertools.cycle([*ports[start:], *ports[:start]])


_PORTS = _ports()


def listener_on(port: int, backlog: int = 128) -> socket.socket:
    """Listens on this port of 127.0.0.1; 0: on a free one. Raises OSError if it is taken."""
    if port:
        return socket.create_server((HOST, port), backlog=backlog)
    for candidate in itertools.islice(_PORTS, TRIES):
        try:
            return socket.create_server((HOST, candidate), backlog=backlog)
        except OSError:
            continue
    return socket.create_server((HOST, 0), backlog=backlog)


def free_port() -> int:
    """A port of 127.0.0.1 that had no listener a moment ago, and that no outgoing connection gets."""
    with listener_on(0) as listener:
        port: int = listener.getsockname()[1]
        return port
