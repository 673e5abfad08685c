"""Sockets that listen: one proxy has a port, all of its threads share it."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from mcroute.proxy import listening
from mcroute.proxy.listening import listening_sockets

pytestmark = pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="ports are not shared")


@pytest.fixture
def opened() -> Iterator[list[socket.socket]]:
    sockets: list[socket.socket] = []
    yield sockets
    for one in sockets:
        one.close()


def test_threads_share_a_port(opened: list[socket.socket]) -> None:
    for sockets in listening_sockets("127.0.0.1", 0, 3):
        opened += sockets
    ports = {one.getsockname()[1] for one in opened}
    assert (len(opened), len(ports)) == (3, 1)
    address = opened[0].getsockname()
    clients = [socket.create_connection(address) for _ in range(100)]
    accepted = []
    for listener in opened:
        accepted.append(listener.accept()[0])  # the system divides them: each has some
    for one in (*clients, *accepted):
        one.close()


def test_at_no_moment_of_a_start_can_another_one_have_the_port(
    opened: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = listening._listener
    refused = []

    def watched(family: int, address: tuple[str | int, ...], *, is_shared: bool = False) -> socket.socket:
        if opened:
            with monkeypatch.context() as patch:
                patch.setattr(listening, "_listener", listener)
                with pytest.raises(OSError, match="in use"):
                    listening_sockets("127.0.0.1", opened[0].getsockname()[1], 2)
            refused.append(is_shared)
        one = listener(family, address, is_shared=is_shared)
        opened.append(one)
        return one

    monkeypatch.setattr(listening, "_listener", watched)
    listening_sockets("127.0.0.1", 0, 3)
    assert refused == [True, True]
