"""Several links to one server: connected, settled and lost, all and each."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from mcroute._engine.engine import Engine
from mcroute.asyncio import Client as InProcess
from mcroute.drivers.asyncio.addresses import LoopAddress
from mcroute.drivers.asyncio.clock import AsyncioClock
from mcroute.drivers.asyncio.driver import AsyncioDriver, asyncio_routing
from mcroute.drivers.asyncio.engine_loop import EngineLoop
from mcroute.drivers.asyncio.link import LinkConnection
from mcroute.drivers.asyncio.links import AsyncioLinks
from mcroute.errors import ServerFailure
from mcroute.policy import (
    AllSync,
    Place,
    Pool,
    PoolRoute,
    Route,
    Server,
    ServerOptions,
    Upkeep,
    compile_plan,
)
from mcroute.policy.places import spell_end
from mcroute.policy.server_options import LINKS_MAX
from mcroute.runtime.interfaces import Clock
from mcroute.runtime.link_values import NO_ADDRESS, LinkEvent
from mcroute.runtime.routing import Routing
from mcroute.runtime.server_links import LinkLooks, ServerLinks
from mcroute.testing import EmbeddedServer

LINKS = 3
# Enough keys that each link has some of them.
KEYS = [b"k%d" % i for i in range(60)]


@dataclass
class Observer:
    """Stands for the supervision; acknowledges each event at once."""

    events: list[LinkEvent] = field(default_factory=list)

    @property
    def failed(self) -> int:
        return sum(event.has_failed for event in self.events)

    @property
    def out_of_resources_times(self) -> int:
        return sum(event.is_out_of_resources for event in self.events)

    @property
    def lost(self) -> list[tuple[str, int]]:
        """Our end and the unanswered writes of each lost connection."""
        return [
            (spell_end(*event.lost_end) if event.lost_end else "", event.lost_writes)
            for event in self.events
            if event.is_lost
        ]


@dataclass
class Driver:
    """The part of a driver that links need, on one engine."""

    host: AsyncioLinks
    clock: Clock

    def retry_now(self, server: int) -> None:
        self.host.retry_now(server)

    def located(self, server: int, place: Place) -> None:
        raise AssertionError("the server has no name")

    async def resolve(self, server: Server) -> list[LoopAddress]:
        raise AssertionError("the server has no name")

    def place_of(self, server: Server, addresses: Sequence[LoopAddress] = ()) -> Place:
        raise AssertionError("the server has no name")

    async def closed(self, server: int) -> None:
        await self.host.closed(server)


@dataclass
class World:
    """A server that answers on demand, and the links to it. `got` is by connection."""

    engine: Engine
    engine_loop: EngineLoop
    observer: Observer
    links: ServerLinks
    got: dict[asyncio.StreamWriter, bytes]

    def send(self, request: bytes) -> None:
        self.engine_loop.receive(Client(self.engine_loop).number, request)

    async def until(self, is_so: Callable[[], bool]) -> None:
        while not is_so():
            await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def world(*refusing: LoopAddress) -> AsyncIterator[World]:
    """The server has the addresses `refusing` too, which come first."""
    got: dict[asyncio.StreamWriter, bytes] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"version\r\n"
        writer.write(b"VERSION 1.6.45\r\n")
        got[writer] = b""
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                got[writer] += data
        del got[writer]
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1")
    pool = Pool.of("main", [f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"])
    engine = Engine(compile_plan(PoolRoute(replace(pool, reply_timeout_s=50.0, deadline_s=60.0))))
    engine_loop = EngineLoop(engine, asyncio.get_running_loop())
    observer = Observer()
    host = AsyncioLinks(engine_loop, 1)
    clock = AsyncioClock(engine_loop.loop)
    host.on_event = observer.events.append
    server = pool.servers[0]
    addresses: list[LoopAddress] = [*refusing, (server.host, server.port)]
    options = ServerOptions(connect_timeout_s=10.0, links=LINKS)
    looks = LinkLooks([host], clock)
    links = ServerLinks(Driver(host, clock), [host], looks, 0, server, options, addresses, Upkeep())
    try:
        await links.tried()
        here = World(engine, engine_loop, observer, links, got)
        await here.until(lambda: len(got) == LINKS)
        yield here
    finally:
        links.close()
        await links.closed()
        engine_loop.close()
        while got:
            await asyncio.sleep(0.001)
        listener.close()
        await listener.wait_closed()


def test_they_are_settled_when_every_one_has_answered() -> None:
    async def scenario() -> None:
        async with world() as w:
            assert (w.links.connected, len(w.links.addresses)) == (LINKS, LINKS)
            w.send(b"touch " + b" 0\r\ntouch ".join(KEYS) + b" 0\r\n")
            await w.until(lambda: sum(data.count(b"\r\n") for data in w.got.values()) == len(KEYS))
            settled = asyncio.ensure_future(w.links.settled())
            *first, last = w.got
            for writer in first:
                writer.write(b"TOUCHED\r\n" * w.got[writer].count(b"\r\n"))
            open_ones = w.got[last].count(b"\r\n")
            assert open_ones
            await w.until(lambda: w.links.unanswered == open_ones)
            assert not settled.done()
            last.write(b"TOUCHED\r\n" * open_ones)
            await settled

    asyncio.run(asyncio.wait_for(scenario(), 50))


def test_only_those_that_do_not_answer_are_given_up_and_made_anew() -> None:
    async def scenario() -> None:
        async with world() as w:
            w.send(b"touch " + b" 0\r\ntouch ".join(KEYS) + b" 0\r\n")
            await w.until(lambda: sum(data.count(b"\r\n") for data in w.got.values()) == len(KEYS))
            before, addresses = set(w.got), w.links.addresses
            *first, last = w.got
            for writer in first:
                writer.write(b"TOUCHED\r\n" * w.got[writer].count(b"\r\n"))
            open_ones = w.got[last].count(b"\r\n")
            await w.until(lambda: w.links.unanswered == open_ones)
            w.links.abort_unsettled()
            await w.until(lambda: w.observer.lost != [])
            ((address, writes),) = w.observer.lost
            assert (address in addresses, writes) == (True, open_ones)
            await w.links.settled()
            await w.until(lambda: len(w.got) == LINKS)
            assert before - set(w.got) == {last}

    asyncio.run(asyncio.wait_for(scenario(), 50))


def test_each_lost_connection_is_reported_with_its_address_and_writes() -> None:
    async def scenario() -> None:
        async with world() as w:
            addresses = w.links.addresses
            w.send(b"touch " + b" 0\r\ntouch ".join(KEYS) + b" 0\r\n")
            await w.until(lambda: sum(data.count(b"\r\n") for data in w.got.values()) == len(KEYS))
            for writer in list(w.got):
                writer.transport.abort()
            await w.until(lambda: len(w.observer.lost) == LINKS)
            assert {address for address, _ in w.observer.lost} == addresses
            assert sum(writes for _, writes in w.observer.lost) == len(KEYS)

    asyncio.run(asyncio.wait_for(scenario(), 50))


class Failing:
    """An engine one of whose methods raises once."""

    def __init__(self, engine: Engine, place: str) -> None:
        self.engine, self.place, self.has_failed = engine, place, False

    def __getattr__(self, name: str) -> object:
        if name == self.place and not self.has_failed:
            self.has_failed = True
            raise MemoryError(name)
        return getattr(self.engine, name)


def test_no_memory_for_a_servers_bytes_closes_only_its_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        async with world() as w:
            connections = [
                each for each in w.engine_loop.connections.values() if isinstance(each, LinkConnection)
            ]
            assert len(connections) == LINKS
            failing = Failing(w.engine, "get_buffer")
            for connection in connections:
                monkeypatch.setattr(connection, "_engine", failing)
            for writer in list(w.got):
                writer.write(b"?\r\n")
            # The other links received bytes without a request: they are out of step, and closed too.
            await w.until(lambda: len(w.observer.lost) == LINKS)
            assert failing.has_failed
            await w.until(lambda: w.links.are_connected and len(w.got) == LINKS)
            await w.links.settled()

    asyncio.run(asyncio.wait_for(scenario(), 50))


def test_the_engine_has_room_for_as_many_as_a_pool_may_want() -> None:
    engine = Engine(compile_plan(PoolRoute(Pool.of("main", ["a:1"]))))
    for index in range(LINKS_MAX):
        engine.open_link(0, index)
    with pytest.raises(IndexError):
        engine.open_link(0, LINKS_MAX)


class Client:
    def __init__(self, engine_loop: EngineLoop) -> None:
        self.engine = engine_loop.engine
        self.number = self.engine.open_session()
        self.got = b""
        engine_loop.connections[self.number] = self

    def flush(self) -> None:
        self.got += self.engine.take_output(self.number)


@contextlib.asynccontextmanager
async def routing_for(route: Route) -> AsyncIterator[Routing]:
    routing, _ = asyncio_routing(compile_plan(route), rng=Random(1))
    routing.begin()
    await routing.tried()
    try:
        yield routing
    finally:
        await routing.close()


def test_a_server_that_stays_keeps_as_many_as_it_has(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(pool: Pool) -> None:
        async with routing_for(PoolRoute(pool)) as routing:
            assert routing.links[0].connected == LINKS
            with caplog.at_level(logging.WARNING, "mcroute"):
                await routing.install(compile_plan(PoolRoute(replace(pool, links=1))))
            assert routing.links[0].connected == LINKS

    with EmbeddedServer() as server:
        asyncio.run(scenario(replace(Pool.of("main", [f"{server.host}:{server.port}"]), links=LINKS)))
    assert "keeps 3 links: another number needs a restart" in caplog.text


def test_a_server_of_two_pools_has_the_most_links_of_theirs() -> None:
    async def scenario(address: str) -> None:
        few = Pool.of("few", [address])
        many = replace(Pool.of("many", [address]), links=LINKS)
        async with routing_for(AllSync((PoolRoute(few), PoolRoute(many)))) as routing:
            assert [links.connected for links in routing.links.values()] == [LINKS]

    with EmbeddedServer() as server:
        asyncio.run(scenario(f"{server.host}:{server.port}"))


def test_another_server_under_an_old_id_answers_on_all_links_that_the_id_had() -> None:
    async def scenario(old: Pool, new: Pool) -> None:
        async with routing_for(PoolRoute(old)) as routing:
            assert isinstance(routing.driver, AsyncioDriver)
            engine_loop = routing.driver.engine_loop
            for pool in (new, replace(new, name="again"), old, new):
                await routing.install(compile_plan(PoolRoute(pool)))
                (number,) = routing.engine.server_ids().values()
                await routing.links[number].settled()
                client = Client(engine_loop)
                engine_loop.receive(client.number, b"get " + b" ".join(KEYS) + b"\r\n")
                while not client.got:
                    await asyncio.sleep(0.001)
                assert client.got == b"END\r\n"

    with EmbeddedServer() as one, EmbeddedServer() as other:
        old = replace(Pool.of("main", [f"{one.host}:{one.port}"]), links=LINKS)
        asyncio.run(scenario(old, Pool.of("main", [f"{other.host}:{other.port}"])))


def test_something_that_is_no_memcached_is_not_asked_for_values(caplog: pytest.LogCaptureFixture) -> None:
    received = []

    async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.readline())
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    async def scenario() -> None:
        listener = await asyncio.start_server(stranger, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        async with InProcess(PoolRoute(Pool.of("main", [f"127.0.0.1:{port}"]))) as client:
            with pytest.raises(ServerFailure):
                await client.get("a")
        listener.close()
        await listener.wait_closed()

    asyncio.run(asyncio.wait_for(scenario(), 50))
    # The last connection may end before it has sent a byte.
    assert set(received) - {b""} == {b"version\r\n"}
    assert "is no memcached: it answers b'HTTP/1.1 400 Bad Request' to version" in caplog.text


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_a_link_without_descriptor_or_memory_is_made_later_and_its_server_has_not_failed(
    error: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with world() as w:
            create, left = w.engine_loop.loop.create_connection, [LINKS + 1]

            async def scarce(*arguments: object, **options: object) -> object:
                if left[0]:
                    left[0] -= 1
                    raise OSError(error, "none left")
                return await create(*arguments, **options)  # type: ignore[call-overload]

            monkeypatch.setattr(w.engine_loop.loop, "create_connection", scarce)
            for writer in list(w.got):
                writer.transport.abort()
            await w.until(lambda: len(w.observer.lost) == LINKS)
            await w.until(lambda: w.links.are_connected)
            assert left == [0]
            assert w.observer.out_of_resources_times > 0
            assert w.observer.failed == 0
            # The link is used as before.
            w.send(b"get k\r\n")
            await w.until(lambda: any(w.got.values()))

    asyncio.run(asyncio.wait_for(scenario(), 20))


class _Eager:
    """A coroutine that has run until it waited for `awaited`."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], awaited: object) -> None:
        self.coroutine, self.awaited = coroutine, awaited

    def __await__(self) -> Generator[object, Any, Any]:
        awaited = self.awaited
        while True:
            try:
                sent = yield awaited
            except BaseException as error:
                step = partial(self.coroutine.throw, error)
            else:
                step = partial(self.coroutine.send, sent)
            try:
                awaited = step()
            except StopIteration as end:
                return end.value


def _begun_at_once(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any
) -> asyncio.Future[Any]:
    """As `asyncio.eager_task_factory` of Python 3.12."""

    async def rest(eager: _Eager) -> Any:
        return await eager

    try:
        awaited = coroutine.send(None)
    except StopIteration as end:
        done = loop.create_future()
        done.set_result(end.value)
        return done
    return asyncio.Task(rest(_Eager(coroutine, awaited)), loop=loop, **options)


def test_an_attempt_that_fails_at_once_leaves_the_next_one_in_place(tmp_path: Path) -> None:
    async def scenario() -> None:
        asyncio.get_running_loop().set_task_factory(_begun_at_once)
        async with world(str(tmp_path / "nobody")) as w:
            await w.until(lambda: w.links.are_connected)
            w.send(b"touch " + b" 0\r\ntouch ".join(KEYS) + b" 0\r\n")
            try:
                await w.until(lambda: sum(data.count(b"\r\n") for data in w.got.values()) == len(KEYS))
                flushed = [
                    each for each in w.engine_loop.connections.values() if isinstance(each, LinkConnection)
                ]
                assert len(flushed) == LINKS
                # Otherwise the link closes the wrong connection at the end.
                assert [each.link.connection for each in flushed] == flushed
            finally:
                for writer in list(w.got):
                    writer.transport.abort()

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_an_attempt_that_is_given_up_is_no_failure_of_the_server() -> None:
    async def scenario(address: str) -> None:
        loop = asyncio.get_running_loop()
        engine = Engine(compile_plan(PoolRoute(Pool.of("main", [address]))))
        engine_loop = EngineLoop(engine, loop)
        host = AsyncioLinks(engine_loop, 1)
        events: list[LinkEvent] = []
        host.on_event = events.append
        server = Server.parse(address)
        options = ServerOptions(connect_timeout_s=10.0, links=LINKS)
        clock = AsyncioClock(loop)
        looks = LinkLooks([host], clock)
        driver = Driver(host, clock)
        endpoint: LoopAddress = (server.host, server.port)
        links = ServerLinks(driver, [host], looks, 0, server, options, [endpoint], Upkeep())
        tried = asyncio.ensure_future(links.tried())
        await asyncio.sleep(0.05)
        assert not tried.done()
        links.close()
        await links.closed()
        # The wait for the first attempts ends.
        await tried
        engine_loop.close()
        assert [event for event in events if event.has_failed] == []

    with socket.create_server(("127.0.0.1", 0)) as silent:
        asyncio.run(asyncio.wait_for(scenario(f"127.0.0.1:{silent.getsockname()[1]}"), 10))


def test_one_event_that_cannot_be_handled_loses_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(addresses: list[str]) -> None:
        routing, _ = asyncio_routing(compile_plan(PoolRoute(Pool.of("main", addresses))), rng=Random(1))
        connected, noted = routing.supervision.connected, []

        def fails_once(server: int) -> None:
            noted.append(server)
            if len(noted) == 1:
                raise MemoryError
            connected(server)

        monkeypatch.setattr(routing.supervision, "connected", fails_once)
        routing.begin()
        try:
            while len(noted) < len(addresses):
                await asyncio.sleep(0.001)
        finally:
            await routing.close()

    with EmbeddedServer() as one, EmbeddedServer() as other:
        asyncio.run(asyncio.wait_for(scenario([one.address, other.address]), 10))
    assert "an event of a link is lost" in caplog.text


class _WithoutThreads(Driver):
    async def resolve(self, server: Server) -> list[LoopAddress]:
        raise RuntimeError("can't start new thread")


def test_a_lookup_that_cannot_be_begun_fails_the_attempt(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        server = Server("a", "cache.example", 11211)
        engine_loop = EngineLoop(Engine(compile_plan(PoolRoute(Pool("main", (server,))))), loop)
        host = AsyncioLinks(engine_loop, 1)
        events: list[LinkEvent] = []
        host.on_event = events.append
        clock = AsyncioClock(loop)
        driver = _WithoutThreads(host, clock)
        looks = LinkLooks([host], clock)
        links = ServerLinks(driver, [host], looks, 0, server, ServerOptions(), None, Upkeep())
        await asyncio.wait_for(links.tried(), 5)
        links.close()
        await links.closed()
        engine_loop.close()
        assert NO_ADDRESS in {event.error for event in events if event.has_failed}

    asyncio.run(scenario())
    assert "the lookup of cache.example is given up" in caplog.text


def test_a_server_that_leaves_as_it_is_connected_ends_no_question_by_an_exception() -> None:
    async def scenario(both: Pool, less: Pool) -> None:
        async with routing_for(PoolRoute(both)) as routing:
            supervision = routing.supervision
            [number] = [n for n, links in routing.links.items() if links.server not in less.servers]
            asked = supervision._identities.tasks
            await asyncio.gather(*asked)
            await asyncio.sleep(0)
            supervision.connected(number)
            [task] = supervision._identities.tasks
            # In the same turn of the loop: the lookup has not begun.
            del supervision._supervised.servers[number]
            await task

    with EmbeddedServer() as one, EmbeddedServer() as other:
        both = Pool.of("main", [one.address, other.address])
        asyncio.run(asyncio.wait_for(scenario(both, Pool.of("main", [one.address])), 10))


def test_the_error_of_a_lookup_at_a_connection_attempt_is_no_errno(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "create_connection", fails)
        plan = compile_plan(PoolRoute(Pool.of("main", ["127.0.0.1:1"])))
        engine_loop = EngineLoop(Engine(plan), loop)
        host = AsyncioLinks(engine_loop, 1)
        events: list[LinkEvent] = []
        host.on_event = events.append
        host.connect(0, ServerOptions(), [("fe80::1%77", 1)], Upkeep())
        host.check(loop.time())
        while not events:
            await asyncio.sleep(0.001)
            host.tell()
        host.disconnect(0)
        engine_loop.close()
        assert events[0].error == errno.EHOSTUNREACH

    asyncio.run(asyncio.wait_for(scenario(), 10))
