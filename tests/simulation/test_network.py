"""Connections: bytes in order, late, held by a cut path, and after their sender has gone."""

from __future__ import annotations

import asyncio
import errno
import socket
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcroute.simulation.listeners import SimulatedListener
from mcroute.simulation.loop import SimulationLoop
from mcroute.simulation.machines import Machine
from mcroute.simulation.network import Network
from mcroute.simulation.paths import Latency, Path, Wire
from mcroute.simulation.transports import SimulatedTransport

from .worlds import Line, Peer, on_a_machine

END = ("10.9.0.9", 7)


class Acceptor:
    """A listening peer."""

    def __init__(self, network: Network) -> None:
        self.inbound, self.outbound = network.path(), network.path()
        self.peer = Peer()
        self.wire: Wire
        network.listen(END, self)

    def accept(self, client: SimulatedTransport, remote: tuple[str, int]) -> Peer:
        self.wire = Wire(self.outbound, client)
        return self.peer


async def connected(loop: SimulationLoop, acceptor: Acceptor) -> tuple[Any, Line]:
    transport, line = await loop.create_connection(Line, *END)
    return transport, line


def test_both_directions_and_an_orderly_end() -> None:
    async def main(loop: SimulationLoop, network: Network) -> None:
        acceptor = Acceptor(network)
        transport, line = await connected(loop, acceptor)
        transport.write(b"hello")
        transport.writelines([b" ", memoryview(b"you")])
        acceptor.wire.send(b"yes")
        await asyncio.sleep(1)
        assert (acceptor.peer.data, line.data) == (b"hello you", b"yes")
        transport.close()
        await asyncio.sleep(1)
        assert (acceptor.peer.end, line.lost) == (0, [None])

    on_a_machine(main)


def test_nobody_listens() -> None:
    async def main(loop: SimulationLoop, network: Network) -> None:
        with pytest.raises(ConnectionRefusedError):
            await loop.create_connection(Line, "10.9.0.10", 7)

    on_a_machine(main)


def test_a_second_listener_is_refused() -> None:
    async def main(loop: SimulationLoop, network: Network) -> None:
        Acceptor(network)
        with pytest.raises(OSError, match="taken"):
            Acceptor(network)

    on_a_machine(main)


@given(st.lists(st.binary(min_size=1, max_size=5), min_size=1, max_size=30), st.integers(0, 1000))
def test_bytes_arrive_in_order_whatever_the_path_does(pieces: list[bytes], seed: int) -> None:
    async def main(loop: SimulationLoop, network: Network) -> bytes:
        rng = Random(seed)
        path = Path(loop, rng, Latency(0.0, 0.01, tail_share=0.2, tail_s=0.5))
        path.loss_share = 0.3
        peer = Peer()
        wire = Wire(path, peer)
        for piece in pieces:
            if rng.random() < 0.3:
                (path.heal if path.is_cut else path.cut)()
            wire.send(piece)
            await asyncio.sleep(rng.uniform(0, 0.02))
        path.heal()
        wire.finish()
        await asyncio.sleep(30)
        assert peer.end == 0
        return peer.data

    assert on_a_machine(main) == b"".join(pieces)


def test_a_cut_path_keeps_bytes_until_it_is_healed() -> None:
    async def main(loop: SimulationLoop, network: Network) -> None:
        acceptor = Acceptor(network)
        transport, _ = await connected(loop, acceptor)
        acceptor.inbound.cut()
        transport.write(b"late")
        await asyncio.sleep(60)
        assert acceptor.peer.data == b""
        acceptor.inbound.heal()
        await asyncio.sleep(2)
        assert acceptor.peer.data == b"late"

    on_a_machine(main)


def test_bytes_of_a_closed_connection_arrive() -> None:
    async def main(loop: SimulationLoop, network: Network) -> None:
        acceptor = Acceptor(network)
        transport, _ = await connected(loop, acceptor)
        acceptor.inbound.cut()
        transport.write(b"late")
        transport.abort()
        acceptor.inbound.heal()
        await asyncio.sleep(2)
        assert (acceptor.peer.data, acceptor.peer.end) == (b"late", 0)

    on_a_machine(main)


def test_a_reset_discards_what_was_not_acknowledged() -> None:
    async def main(loop: SimulationLoop, network: Network) -> None:
        acceptor = Acceptor(network)
        transport, _ = await connected(loop, acceptor)
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
        )
        acceptor.inbound.cut()
        transport.write(b"never")
        transport.abort()
        acceptor.inbound.heal()
        await asyncio.sleep(2)
        # The server learns nothing until it sends something.
        assert (acceptor.peer.data, acceptor.peer.end) == (b"", None)
        acceptor.wire.send(b"anyone?")
        await asyncio.sleep(2)
        assert acceptor.peer.end == errno.ECONNRESET

    on_a_machine(main)


@pytest.mark.parametrize(
    ("options", "lost_after_s"),
    [
        ({"TCP_USER_TIMEOUT": 3000}, 3),
        ({"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 3}, 8),
        ({}, None),
    ],
    ids=("unsent data", "idle", "no limit"),
)
def test_the_system_ends_a_silent_connection(options: dict[str, int], lost_after_s: float | None) -> None:
    if not all(hasattr(socket, name) for name in options):
        pytest.skip("this system has no such options")

    async def main(loop: SimulationLoop, network: Network) -> None:
        acceptor = Acceptor(network)
        transport, line = await connected(loop, acceptor)
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in options.items():
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        acceptor.outbound.cut()
        if "TCP_USER_TIMEOUT" in options:
            transport.write(b"x")
        await asyncio.sleep((lost_after_s or 100) - 0.1)
        assert line.lost == []
        await asyncio.sleep(0.2)
        assert [type(error) for error in line.lost] == ([TimeoutError] if lost_after_s else [])

    on_a_machine(main)


def test_reading_can_be_paused() -> None:
    async def main(loop: SimulationLoop, network: Network) -> None:
        acceptor = Acceptor(network)
        transport, line = await connected(loop, acceptor)
        transport.pause_reading()
        acceptor.wire.send(b"a")
        acceptor.wire.finish()
        await asyncio.sleep(1)
        assert (line.data, line.lost, transport.is_reading()) == (b"", [], False)
        transport.resume_reading()
        await asyncio.sleep(1)
        assert (line.data, line.lost) == (b"a", [None])

    on_a_machine(main)


def test_two_machines_talk() -> None:
    async def main(loop: SimulationLoop, network: Network) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write((await reader.readline()).upper())
            writer.close()

        async def serve() -> SimulatedListener:
            return await loop.create_server(
                lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader(loop=loop), answer, loop=loop),
                "",
                0,
            )

        machine = Machine("server", "10.9.0.2")
        server = await loop.on(machine, serve())
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello\n")
        assert await reader.read() == b"HELLO\n"
        writer.close()
        loop.kill(machine)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*server.sockets[0].getsockname())

    on_a_machine(main)


def test_names() -> None:
    async def main(loop: SimulationLoop, network: Network) -> None:
        network.names["a.test"] = ("10.0.0.1", "10.0.0.2")
        assert await network.resolve("a.test") == ("10.0.0.1", "10.0.0.2")
        with pytest.raises(OSError, match="not known"):
            await network.resolve("b.test")
        network.silent_names.add("a.test")
        begun_at = loop.time()
        with pytest.raises(OSError, match="Temporary failure"):
            await network.resolve("a.test")
        assert loop.time() - begun_at > 9

    on_a_machine(main)
