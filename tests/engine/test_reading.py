"""A driver that reads from a paused session loses no byte, whatever its pieces are."""

from __future__ import annotations

import pytest

from mcroute import NEED_DATA, Request, RequestParser
from mcroute._protocol import count_requests
from mcroute.policy import PoolRoute

from .network import Network, pool

HELD_MAX = 256 * 1024
# A value may be any bytes: if its request were torn, the value would be read as a request.
VALUE = b"\r\nset admin 0 0 4\r\nevil\r\n" * 2
COUNT = 8000
SETS = b"".join(b"set k%d 0 0 %d\r\n%b\r\n" % (i, len(VALUE), VALUE) for i in range(COUNT))
STORED = b"STORED\r\n"
TAKERS = ["take_output", "take_pieces"]


class Turns:
    """One client, one server that answers now and then; the driver's part is as docs/embedding.md has it."""

    def __init__(self, taker: str = "take_output") -> None:
        self.net = Network(PoolRoute(pool(1)), 1)
        self.engine = self.net.engine
        self.client, (self.link,) = self.net.client(), self.net.links
        self.asked, self.answered = bytearray(), bytearray()
        self.owed = 0
        self.is_closed = False
        self._take = getattr(self.engine, taker)

    def turn(self) -> None:
        while numbers := self.engine.take_dirty():
            for number in numbers:
                data = b"".join(out) if isinstance(out := self._take(number), list) else out
                if number == self.link:
                    self.asked += data
                    self.owed += count_requests(data)
                else:
                    self.answered += data
                    self.is_closed = self.is_closed or self.engine.must_close(number)

    def serve(self) -> None:
        self.engine.receive(self.link, STORED * self.owed, 0.0)
        self.owed = 0
        self.turn()

    def serve_all(self) -> None:
        while self.owed:
            self.serve()

    def keys(self) -> list[bytes]:
        """The keys of the requests to the server, each of which must be a set with the value."""
        parser = RequestParser()
        parser.feed(bytes(self.asked))
        asked = list(iter(parser.next_message, NEED_DATA))
        assert all(isinstance(r, Request) and r.command == "set" and r.value == VALUE for r in asked)
        return [request.key for request in asked]


ALL_KEYS = [b"k%d" % i for i in range(COUNT)]


@pytest.mark.parametrize("taker", TAKERS)
def test_a_driver_that_reads_when_it_may_loses_nothing(taker: str) -> None:
    turns = Turns(taker)
    at = reads = 0
    while at < len(SETS):
        if turns.engine.may_read(turns.client):
            reads_on = turns.engine.receive(turns.client, SETS[at : at + 65536], 0.0)
            assert reads_on == turns.engine.may_read(turns.client)
            at, reads = at + 65536, reads + 1
            turns.turn()
        if not turns.engine.may_read(turns.client):
            turns.serve()
    turns.serve_all()
    assert reads == -(-len(SETS) // 65536)
    assert turns.keys() == ALL_KEYS
    assert turns.answered == STORED * COUNT


@pytest.mark.parametrize("taker", TAKERS)
def test_requests_in_one_piece_are_accepted_beyond_the_bound(taker: str) -> None:
    turns = Turns(taker)
    assert not turns.engine.receive(turns.client, SETS, 0.0)
    turns.turn()
    assert not turns.engine.may_read(turns.client)
    turns.serve_all()
    assert turns.engine.may_read(turns.client)
    assert turns.keys() == ALL_KEYS
    assert turns.answered == STORED * COUNT


def test_a_driver_that_reads_from_a_paused_connection_gets_an_error() -> None:
    """The bytes that were refused may come again; the stream is whole."""
    turns = Turns()
    at = 0
    with pytest.raises(BufferError, match=f"connection {turns.client} is paused"):
        for at in range(0, len(SETS), 8192):
            turns.engine.receive(turns.client, SETS[at : at + 8192], 0.0)
            turns.turn()
    assert HELD_MAX - 8192 < at - len(turns.asked) < HELD_MAX + 65536
    turns.serve_all()
    assert turns.engine.receive(turns.client, SETS[at:], 0.0) is False
    turns.turn()
    turns.serve_all()
    assert turns.keys() == ALL_KEYS


def test_the_end_of_the_input_may_be_said_once_and_at_any_time() -> None:
    turns = Turns()
    turns.engine.receive(turns.client, SETS, 0.0)
    turns.engine.end_input(turns.client)
    assert not turns.engine.may_read(turns.client)
    turns.turn()
    assert not turns.is_closed
    turns.serve_all()
    assert turns.answered == STORED * COUNT
    assert turns.is_closed


def test_a_session_that_is_closed_takes_its_held_bytes_with_it() -> None:
    turns = Turns()
    turns.engine.receive(turns.client, SETS, 0.0)
    turns.engine.end_input(turns.client)
    turns.turn()
    turns.engine.close(turns.client, 0.0)
    turns.serve_all()
    assert len(turns.keys()) < COUNT
    with pytest.raises(KeyError):
        turns.engine.may_read(turns.client)
    # Its number belongs to no client; another client begins with a new state.
    turns.client = turns.net.client()
    turns.asked.clear()
    assert turns.engine.receive(turns.client, SETS[: SETS.index(b"set k1 ")], 0.0)
    turns.turn()
    assert turns.keys() == [b"k0"]


def test_behind_quit_nothing_is_held() -> None:
    turns = Turns()
    turns.engine.receive(turns.client, SETS[: SETS.index(b"set k500 ")] + b"quit\r\n" + SETS * 2, 0.0)
    turns.turn()
    turns.serve_all()
    assert turns.is_closed


def test_a_servers_bytes_are_all_taken() -> None:
    net = Network(PoolRoute(pool(1)), 1)
    client, (link,) = net.client(), net.links
    large = b"VALUE k 0 1000000\r\n%b\r\nEND\r\n" % (b"x" * 1_000_000)
    for _ in range(20):
        net.send(client, b"get k\r\n")
    # The client reads nothing meanwhile: the server's replies are received all the same.
    assert net.engine.receive(link, large * 20, net.now)
    net.turn()
    assert net.got(client) == large * 20


def test_a_connection_that_is_to_be_closed_is_not_read_from() -> None:
    net = Network(PoolRoute(pool(1)), 1)
    (link,) = net.links
    assert net.engine.may_read(link)
    assert not net.engine.receive(link, b"STORED\r\n", net.now)
    assert not net.engine.may_read(link)
    assert net.engine.must_close(link)


def test_output_makes_the_next_wakeup_due_at_once() -> None:
    """A driver that looks at the dirty connections once a turn goes on with the next turn."""
    net = Network(PoolRoute(pool(1)), 1)
    client = net.client()
    net.wait(0)
    assert net.engine.next_wakeup() > net.now
    net.engine.receive(client, b"get k\r\n", net.now)
    assert net.engine.next_wakeup() <= net.now
    net.engine.take_dirty()
    assert net.engine.next_wakeup() > net.now


def test_a_session_is_no_link() -> None:
    net = Network(PoolRoute(pool(1)), 1)
    client = net.client()
    with pytest.raises(ValueError, match=f"connection {client} is a client's"):
        net.engine.link_connected(client)
