"""The launched memcached stops and returns; the relay breaks what it should and nothing else."""

import socket
import time
from collections.abc import Iterator

import pytest

from mcroute.testing import EmbeddedServer, MemcachedServer, Relay


@pytest.fixture
def relay(embedded_server: EmbeddedServer) -> Iterator[Relay]:
    with Relay((embedded_server.host, embedded_server.port)) as relay:
        yield relay


@pytest.fixture
def link(relay: Relay) -> Iterator[socket.socket]:
    with socket.create_connection((relay.host, relay.port), timeout=10) as link:
        yield link


def ask(link: socket.socket, request: bytes = b"get a\r\n", size: int = 5) -> bytes:
    link.sendall(request)
    received = b""
    while len(received) < size and (data := link.recv(size - len(received))):
        received += data
    return received


@pytest.mark.acceptance
def test_a_memcached_is_launched_stopped_and_emptied(memcached_server: MemcachedServer) -> None:
    place = (memcached_server.host, memcached_server.port)
    with socket.create_connection(place, timeout=10) as link:
        memcached_server.pause()
        link.sendall(b"set a 0 0 1\r\nx\r\n")
        memcached_server.resume()
        assert ask(link, b"", 8) == b"STORED\r\n"
    memcached_server.restart()
    with socket.create_connection(place, timeout=10) as link:
        assert ask(link) == b"END\r\n"


def test_passes_bytes_through(link: socket.socket) -> None:
    assert ask(link) == b"END\r\n"


@pytest.mark.parametrize("size", [1, 2, 100])
def test_slices_lose_nothing(relay: Relay, link: socket.socket, size: int) -> None:
    relay.slice_bytes = size
    assert ask(link) == b"END\r\n"


def test_a_delayed_reply_comes(relay: Relay, link: socket.socket) -> None:
    relay.delay_s = 0.01
    assert ask(link) == b"END\r\n"


def test_garbage_comes_in_place_of_the_reply(relay: Relay, link: socket.socket) -> None:
    relay.garbage = b"\x00\xff!\r\n"
    assert ask(link) == b"\x00\xff!\r\n"


def test_dropped_replies_were_executed(
    relay: Relay, link: socket.socket, embedded_server: EmbeddedServer
) -> None:
    relay.drop_replies = True
    link.sendall(b"set a 0 0 1\r\nx\r\nquit\r\n")
    assert link.recv(1) == b""
    assert embedded_server.store.items[b"a"].value == b"x"


def test_cut_ends_connections_and_takes_new_ones(relay: Relay, link: socket.socket) -> None:
    ask(link)
    relay.cut()
    assert link.recv(1) == b""
    with socket.create_connection((relay.host, relay.port), timeout=10) as another:
        assert ask(another) == b"END\r\n"


def test_a_relay_outlives_a_want_of_descriptors(relay: Relay) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as link:
        link.settimeout(10)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            # The system accepts the connection; the relay cannot, or has a descriptor for one end only.
            link.connect((relay.host, relay.port))
            time.sleep(0.05)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with socket.create_connection((relay.host, relay.port), timeout=10) as later:
        assert ask(later) == b"END\r\n"
