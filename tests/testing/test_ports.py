"""Ports of servers that are down for a while: no connection takes them meanwhile."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from mcroute.testing import EmbeddedServer, free_port
from mcroute.testing.ports import listener_on


@pytest.mark.skipif(sys.platform != "linux", reason="where it begins is read on Linux")
def test_the_system_gives_them_to_no_outgoing_connection() -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(free_port() < first for _ in range(20))
    with EmbeddedServer() as server:
        assert server.port < first


def test_free_ports_are_distinct() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == len(ports)


def test_one_that_is_taken_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with listener_on(0) as taken:
        number = taken.getsockname()[1]
        monkeypatch.setattr("mcroute.testing.ports._PORTS", iter([number, free_port()]))
        with listener_on(0) as other:
            assert other.getsockname()[1] != number


def test_a_port_that_is_asked_for_and_taken_is_an_error() -> None:
    with listener_on(0) as taken, pytest.raises(OSError):
        listener_on(taken.getsockname()[1])


def test_none_of_them_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the system chooses."""
    monkeypatch.setattr("mcroute.testing.ports._PORTS", iter([]))
    with listener_on(0) as listener:
        assert listener.getsockname()[1] > 0
        assert listener.family == socket.AF_INET
