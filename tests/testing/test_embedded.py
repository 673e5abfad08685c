"""The embedded server says what the real one says, and fails on demand."""

import socket

import pytest

from mcroute.testing import EmbeddedServer, MemcachedServer

# Each script runs on one connection; both servers must give the same bytes. Generated conversations are
# checked by tests/acceptance/test_embedded_conversations.py.
SCRIPTS = {
    "storage": b"set a 5 0 3\r\nabc\r\nadd a 0 0 1\r\nx\r\nreplace a 7 0 2\r\nde\r\nappend a 0 0 1\r\nf\r\n"
    b"prepend a 0 0 1\r\nc\r\nget a\r\nreplace no 0 0 1\r\nx\r\n"
    b"append no 0 0 1\r\nx\r\nadd n 0 0 0\r\n\r\nget n a no\r\n",
    "cas": b"set a 0 0 1\r\nx\r\ncas a 0 0 1 999999\r\ny\r\ncas no 0 0 1 1\r\ny\r\nget a\r\n",
    "delete": b"set a 0 0 1\r\nx\r\ndelete a\r\ndelete a\r\nset a 0 0 1\r\nx\r\ndelete a 0\r\n",
    "counting": b"set n 0 0 2\r\n10\r\nincr n 5\r\ndecr n 9\r\nget n\r\n"
    b"incr no 1\r\nincr n x\r\nset t 0 0 1\r\nx\r\n"
    b"incr t 1\r\ndecr n 100\r\nset m 0 0 20\r\n18446744073709551615\r\n"
    b"incr m 2\r\nincr n -1\r\n",
    "touching": b"set a 1 0 1\r\nx\r\ntouch a 100\r\ntouch no 1\r\ngat 50 a no\r\n"
    b"gat 0 no\r\ntouch a x\r\ngat -1 a\r\nget a\r\n",
    "expired": b"set a 0 -1 1\r\nx\r\nget a\r\nadd a 0 0 1\r\ny\r\nget a\r\n",
    "silence": b"set a 0 0 1 noreply\r\nx\r\nadd a 0 0 1 noreply\r\ny\r\n"
    b"incr a 1 noreply\r\ndelete no noreply\r\nget a\r\n"
    b"touch a 10 noreply\r\nflush_all noreply\r\nget a\r\nverbosity 1 noreply\r\n",
    "flush": b"set a 0 0 1\r\nx\r\nflush_all\r\nget a\r\nflush_all 100\r\nverbosity 1\r\n",
    "nonsense": b"foo\r\nget a\r\n",
    "bare newline": b"get a\nset a 0 0 1\nx\r\nget a\n",
    "meta get": b"set a 5 0 3\r\nabc\r\nmg a\r\nmg a v\r\nmg a s f t v k Oxy\r\n"
    b"mg no v\r\nmg no q\r\nmg no v k Oz q\r\nmn\r\n"
    b"mg a h\r\n",
    "meta set": b"ms a 3\r\nabc\r\nms a 2 T100 F7 k O1\r\nde\r\nmg a v f t\r\nms a 1 ME\r\n"
    b"x\r\nms a 1 MA\r\nx\r\nms a 1 MP\r\nw\r\n"
    b"mg a v\r\nms no 1 MR\r\nx\r\nms no 1 MA\r\nx\r\nms q 1 q\r\n"
    b"x\r\nms a 1 C999999 O2\r\nx\r\nms no 1 C5\r\nx\r\nmn\r\n",
    "meta delete": b"set a 0 0 1\r\nx\r\nmd a k O3\r\nmd a k O4\r\nset a 0 0 1\r\n"
    b"x\r\nmd a C999999\r\nmd a q\r\nmn\r\n",
    "stale": b"set a 0 0 1\r\nx\r\nmd a I T30\r\nmg a v t\r\nmg a v\r\nms a 1\r\ny\r\nmg a v\r\n",
    "vivified": b"mg a N30 v t\r\nmg a N30 v\r\nms a 1\r\ny\r\nmg a v\r\n",
    "recache": b"set a 0 20 1\r\nx\r\nmg a R10 v\r\nmg a R30 v\r\nmg a R30 v\r\n",
    "meta counting": b"ma n\r\nma n N0 J5 v\r\nma n v\r\nma n D10 v k O5\r\n"
    b"ma n MD D3 v t\r\nma n\r\nma n q\r\n"
    b"set t 0 0 1\r\nx\r\nma t\r\nma n C999999\r\nmn\r\n",
    "meta debug": b"me no\r\n",
}


def converse(server: EmbeddedServer | MemcachedServer, script: bytes) -> bytes:
    """All that the server replies until it executes the quit after the script."""
    with socket.create_connection((server.host, server.port), timeout=10) as link:
        link.sendall(script + b"quit\r\n")
        received = bytearray()
        while data := link.recv(65536):
            received += data
        return bytes(received)


@pytest.mark.acceptance
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_the_embedded_server_answers_as_memcached(
    script: bytes, embedded_server: EmbeddedServer, memcached_server: MemcachedServer
) -> None:
    assert converse(embedded_server, script) == converse(memcached_server, script)


def test_any_slicing_gives_the_same_replies(embedded_server: EmbeddedServer) -> None:
    script = SCRIPTS["storage"]
    whole = converse(embedded_server, script)
    embedded_server.restart()
    with socket.create_connection((embedded_server.host, embedded_server.port), timeout=10) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in script + b"quit\r\n":
            link.send(bytes([byte]))
        assert b"".join(iter(lambda: link.recv(4096), b"")) == whole


def test_gets_gives_the_number_that_cas_takes(embedded_server: EmbeddedServer) -> None:
    value = converse(embedded_server, b"set a 0 0 1\r\nx\r\ngets a\r\n")
    cas = value.split()[5]
    assert converse(embedded_server, b"cas a 0 0 1 %b\r\ny\r\nget a\r\n" % cas).startswith(
        b"STORED\r\nVALUE a 0 1\r\ny"
    )


def test_a_value_too_large_is_refused_and_skipped(embedded_server: EmbeddedServer) -> None:
    script = b"set a 0 0 2000000\r\n" + b"x" * 2000000 + b"\r\nget a\r\n"
    assert converse(embedded_server, script) == b"SERVER_ERROR object too large for cache\r\nEND\r\n"


def test_stats_lists_its_connections(embedded_server: EmbeddedServer) -> None:
    assert b"STAT uptime 2\r\n" in converse(embedded_server, b"stats\r\n")
    assert b":addr tcp:127.0.0.1:" in converse(embedded_server, b"stats conns\r\n")


def test_paused_accepts_and_answers_later(embedded_server: EmbeddedServer) -> None:
    embedded_server.pause()
    with socket.create_connection((embedded_server.host, embedded_server.port), timeout=10) as link:
        link.sendall(b"version\r\n")
        link.settimeout(0.05)
        with pytest.raises(TimeoutError):
            link.recv(1)
        embedded_server.resume()
        link.settimeout(10)
        assert link.recv(64).startswith(b"VERSION")


def test_killed_refuses_and_comes_back_empty(embedded_server: EmbeddedServer) -> None:
    converse(embedded_server, b"set a 0 0 1\r\nx\r\n")
    embedded_server.kill()
    with pytest.raises(ConnectionRefusedError):
        converse(embedded_server, b"get a\r\n")
    embedded_server.restart(empty=False)
    assert converse(embedded_server, b"get a\r\n") == b"VALUE a 0 1\r\nx\r\nEND\r\n"
    embedded_server.restart()
    assert converse(embedded_server, b"get a\r\n") == b"END\r\n"
