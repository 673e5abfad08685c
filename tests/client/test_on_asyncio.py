"""The client over embedded servers: pymemcache's results, failures that raise, cancellation anywhere."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import Iterator
from random import Random
from typing import Any

import pymemcache
import pytest
from pymemcache.serde import pickle_serde

from mcroute.asyncio import (
    Client,
    ClientClosed,
    IllegalInput,
    NoServer,
    Overloaded,
    RequestFailed,
    RequestRefused,
    RequestTimeout,
    ServerLost,
    ServerRefused,
    WrongLoop,
)
from mcroute.drivers.asyncio.link import Link
from mcroute.errors import ConfigError
from mcroute.policy import Error, Null, Pool, PoolRoute, Replicate, Server
from mcroute.testing import EmbeddedServer
from mcroute.testing.profiles import NEWEST


@pytest.fixture
def servers() -> Iterator[list[EmbeddedServer]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(EmbeddedServer()) for _ in range(3)]


@pytest.fixture
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer() as server:
        yield server


def hasty(*servers: EmbeddedServer, deadline_s: float = 0.2) -> Client:
    """A client with short timeouts, for tests in which a server does not answer."""
    members = Pool.of("main", [server.address for server in servers]).servers
    return Client(PoolRoute(Pool("main", members, reply_timeout_s=deadline_s / 2, deadline_s=deadline_s)))


def client_of(*servers: EmbeddedServer, copies: int = 1, **options: Any) -> Client:
    """A client with long timeouts: the machine of a test may be busy."""
    members = Pool.of("main", [server.address for server in servers]).servers
    pool = Pool("main", members, reply_timeout_s=20, deadline_s=20)
    return Client(Replicate(pool, copies) if copies > 1 else PoolRoute(pool), **options)


# ---- results ----

# Method, arguments, keywords; the same is asked of pymemcache, in the same order. "TOKEN" stands for what the
# last gets has returned.
CONVERSATION: list[tuple[str, list[Any], dict[str, Any]]] = [
    ("get", ["a"], {}),
    ("get", ["a", "fallback"], {}),
    ("gets", ["a"], {}),
    ("gets", ["a", 1, 2], {}),
    ("set", ["a", b"1"], {}),
    ("set", ["a", b"1", 0, True], {}),
    ("get", [b"a"], {}),
    ("set", ["b", "text"], {"expire": 100, "flags": 5}),
    ("set", ["n", 41], {"noreply": False}),
    ("incr", ["n", 1], {}),
    ("decr", ["n", 2], {}),
    ("decr", ["n", 200], {}),
    ("incr", ["missing", 1], {}),
    ("incr", ["n", 1], {"noreply": True}),
    ("get", ["n"], {}),
    ("add", ["a", b"x"], {}),
    ("add", ["c", b"x"], {}),
    ("replace", ["c", b"y"], {}),
    ("replace", ["missing", b"y"], {}),
    ("append", ["c", b"!"], {}),
    ("prepend", ["c", b">"], {}),
    ("append", ["missing", b"!"], {}),
    ("get_many", [["a", "b", b"c", "missing"]], {}),
    ("get_many", [[]], {}),
    ("get_multi", [["c", "c", "a"]], {}),
    ("gets", ["c"], {}),
    ("cas", ["c", b"z", "TOKEN"], {}),
    ("cas", ["c", b"zz", "TOKEN"], {}),
    ("cas", ["c", b"zz", 3, 10], {"noreply": True}),
    ("cas", ["missing", b"zz", 3], {}),
    ("touch", ["a", 100], {}),
    ("touch", ["missing"], {}),
    ("set_many", [{"x": b"1", b"y": b"2"}], {"expire": 9}),
    ("set_multi", [{"z": b"3"}], {"noreply": True}),
    ("set_many", [{}], {}),
    ("get_many", [["x", "y", "z"]], {}),
    ("delete", ["x"], {}),
    ("delete", ["x"], {}),
    ("delete", ["y"], {"noreply": True}),
    ("delete_many", [["y", "z", "missing"]], {}),
    ("delete_multi", [[]], {}),
    ("get_many", [["x", "y", "z"]], {}),
    ("flush_all", [], {}),
    ("get", ["a"], {}),
    ("flush_all", [], {"noreply": True, "delay": 10}),
]
VALUES = [b"bytes", "text", "täxt", 7, -1, 1 << 70, 2.5, None, True, ["list", {"of": b"things"}]]
PICKLING = [("set", [f"k{i}", value], {}) for i, value in enumerate(VALUES)] + [
    ("get_many", [[f"k{i}" for i in range(len(VALUES))]], {}),
    ("gets_many", [[f"k{i}" for i in range(len(VALUES))]], {}),
    ("get", ["k7", "missing"], {}),
]


@pytest.mark.parametrize(
    ("conversation", "options"),
    [
        (CONVERSATION, {}),
        (CONVERSATION, {"key_prefix": b"app:"}),
        (CONVERSATION, {"default_noreply": True}),
        (PICKLING, {"serde": pickle_serde}),
    ],
    ids=["plain", "prefix", "noreply", "serde"],
)
def test_results_are_those_of_pymemcache(
    conversation: list[tuple[str, list[Any], dict[str, Any]]], options: dict[str, Any]
) -> None:
    def with_token(arguments: list[Any], token: Any) -> list[Any]:
        return [token if argument == "TOKEN" else argument for argument in arguments]

    async def ours(server: EmbeddedServer) -> list[Any]:
        results: list[Any] = []
        token = None
        async with client_of(server, **options) as client:
            for method, arguments, keywords in conversation:
                results.append(await getattr(client, method)(*with_token(arguments, token), **keywords))
                token = results[-1][1] if method == "gets" else token
        return results

    def theirs(port: int) -> list[Any]:
        results: list[Any] = []
        token = None
        with contextlib.closing(
            pymemcache.Client(("127.0.0.1", port), **{"default_noreply": False, **options})
        ) as client:
            for method, arguments, keywords in conversation:
                results.append(getattr(client, method)(*with_token(arguments, token), **keywords))
                token = results[-1][1] if method == "gets" else token
        return results

    with EmbeddedServer() as mine, EmbeddedServer() as other:
        expected = theirs(other.port)
        assert list(zip(conversation, asyncio.run(ours(mine)), strict=True)) == list(
            zip(conversation, expected, strict=True)
        )


def test_get_and_touch(server: EmbeddedServer) -> None:
    async def scenario() -> None:
        async with client_of(server) as client:
            await client.set("a", "1")
            assert await client.gat("a", 100) == b"1"
            assert await client.gat("missing", 100, "none") == "none"
            value, token = await client.gats("a", 100)
            assert (value, await client.cas("a", "2", token)) == (b"1", True)
            assert await client.gats("missing", 100, 1, 2) == (1, 2)

    asyncio.run(scenario())


def test_every_key_has_its_copies(servers: list[EmbeddedServer]) -> None:
    async def scenario() -> None:
        async with Client.of([server.address for server in servers], copies=2) as client:
            assert await client.set_many({f"k{i}": i for i in range(100)}) == []
        count = 0
        for server in servers:
            async with Client.of([server.address]) as alone:
                count += len(await alone.get_many([f"k{i}" for i in range(100)]))
        assert count == 200

    asyncio.run(scenario())


def test_as_many_keys_as_one_likes(servers: list[EmbeddedServer]) -> None:
    async def scenario() -> None:
        values = {f"k{i}": b"%d" % i for i in range(2500)}
        async with client_of(*servers) as client:
            assert await client.set_many(values) == []
            assert await client.get_many(values) == values
            assert await client.get_many(key for key in ["k7", "k8"]) == {"k7": b"7", "k8": b"8"}
            assert await client.get_many(["k7", b"k7"]) == {"k7": b"7", b"k7": b"7"}
            await client.delete_many(values)
            assert await client.get_many(values) == {}

    asyncio.run(scenario())


def test_large_values_one_after_the_other(server: EmbeddedServer) -> None:
    """Together they are more than may wait for one server."""

    async def scenario() -> None:
        async with client_of(server) as client:
            big = bytes((1 << 20) - 500)  # with the header, less than an item may have
            assert await client.set_many({f"k{i}": big for i in range(80)}) == []
            assert await client.get("k79") == big

    asyncio.run(scenario())


def test_about_servers(servers: list[EmbeddedServer]) -> None:
    async def scenario() -> None:
        async with hasty(*servers, deadline_s=1.0) as client:
            await client.set("a", 1)
            first, second, third = (server.address for server in servers)
            assert set((await client.version()).values()) == {NEWEST.encode()}
            assert (await client.stats())[first][b"curr_connections"] >= 2
            servers[1].pause()
            servers[2].kill()
            assert (await client.version())[second] is None
            stats = await client.stats("conns")
            assert stats[first] and stats[second] is None and stats[third] is None
            assert client.counters()["requests"] == 1
            with pytest.raises(IllegalInput, match="arguments"):
                await client.stats("conns\r\nquit")

    asyncio.run(scenario())


# ---- failures ----


def test_bad_arguments_send_nothing(server: EmbeddedServer) -> None:
    async def scenario() -> None:
        async with client_of(server) as client:
            with pytest.raises(IllegalInput, match=r"^values\['b c'\]: "):
                await client.set_many({"a": 1, "b c": 2})
            with pytest.raises(IllegalInput, match=r"^keys\[1\]: "):
                await client.delete_many(["a", "b c"])
            with pytest.raises(IllegalInput, match=r"^keys: "):
                await client.delete_many("abc")
            with pytest.raises(IllegalInput, match=r"^key: "):
                await client.get("a b")
            assert client.counters()["requests"] == 0

    asyncio.run(scenario())


def test_bad_routes_are_refused_at_once() -> None:
    with pytest.raises(ConfigError, match=r"servers\[1\]"):
        Client.of(["a:1", "b:x"])
    with pytest.raises(ConfigError, match="copies"):
        Client.of(["a:1", "b:1"], copies=3)
    with pytest.raises(IllegalInput, match="key_prefix"):
        Client.of(["a:1"], key_prefix="my app")


ASKING: list[tuple[str, list[Any]]] = [
    ("get", ["a"]),
    ("gets", ["a"]),
    ("gat", ["a"]),
    ("get_many", [["a", "b"]]),
    ("set", ["a", 1]),
    ("add", ["a", 1]),
    ("cas", ["a", 1, 1]),
    ("append", ["a", 1]),
    ("set_many", [{"a": 1, "b": 2}]),
    ("delete", ["a"]),
    ("delete_many", [["a", "b"]]),
    ("incr", ["a", 1]),
    ("touch", ["a"]),
    ("flush_all", []),
]


@pytest.mark.parametrize(("method", "arguments"), ASKING, ids=[method for method, _ in ASKING])
def test_a_failure_is_no_miss(server: EmbeddedServer, method: str, arguments: list[Any]) -> None:
    async def scenario() -> None:
        async with hasty(server) as client:
            ask = getattr(client, method)
            server.pause()
            with pytest.raises(RequestTimeout):
                await ask(*arguments)
            server.resume()
            server.kill()
            with pytest.raises((ServerLost, NoServer)) as lost:
                await ask(*arguments)
            assert isinstance(lost.value, ConnectionError)
            keys = {"flush_all": []}.get(method, ["a", "b"] if "many" in method else ["a"])
            assert sorted(lost.value.keys) == keys

    asyncio.run(scenario())


def test_the_route_refuses() -> None:
    async def scenario() -> None:
        async with Client(Error("closed for today")) as client:
            for method, arguments in ASKING:
                # A multiget's parts may fail for several reasons: only the class is reported.
                words = None if method == "get_many" else "closed for today"
                with pytest.raises(ServerRefused, match=words):
                    await getattr(client, method)(*arguments)

    asyncio.run(scenario())


def test_an_empty_route_misses() -> None:
    async def scenario() -> None:
        async with Client(Null()) as client:
            assert await client.get("a", 0) == 0
            assert await client.get_many(["a", "b"]) == {}
            assert await client.set("a", 1) is False
            assert await client.set_many({"a": 1, "b": 2}) == ["a", "b"]
            assert await client.incr("a", 1) is None
            assert await client.flush_all() is True
            assert await client.version() == {}

    asyncio.run(scenario())


def test_a_value_that_does_not_count(server: EmbeddedServer) -> None:
    async def scenario() -> None:
        async with client_of(server) as client:
            await client.set("a", "text")
            with pytest.raises(RequestRefused, match=r"incr 'a': .*non-numeric"):
                await client.incr("a", 1)

    asyncio.run(scenario())


def test_some_of_many_fail(servers: list[EmbeddedServer]) -> None:
    async def scenario() -> None:
        async with client_of(*servers) as client:
            servers[0].kill()
            keys = [f"k{i}" for i in range(50)]
            with pytest.raises(RequestFailed) as failed:
                await client.set_many(dict.fromkeys(keys, 1))
            lost = set(failed.value.keys)
            assert lost < set(keys)
            assert set(await client.get_many(set(keys) - lost)) == set(keys) - lost
            with pytest.raises(RequestFailed):
                await client.get_many(keys)
            with pytest.raises(RequestFailed) as failed:
                await client.delete_many(keys)
            assert set(failed.value.keys) == lost
            assert await client.get_many(set(keys) - lost) == {}

    asyncio.run(scenario())


def test_too_many_in_flight(server: EmbeddedServer) -> None:
    async def scenario() -> None:
        async with client_of(server) as client:
            await client.set("a", 1)
            calls = client._calls
            assert calls is not None
            # Without a turn of the loop, in which some requests would end.
            assert [calls._sent(b"set a 0 0 1\r\n2\r\n") for _ in range(65_536)] == [None] * 65_536
            with pytest.raises(Overloaded, match="set 'a': 65536 calls are in flight") as refused:
                await client.set("a", 3, noreply=True)
            assert refused.value.keys == ("a",)
            with pytest.raises(Overloaded, match="get 'a': 65536 calls are in flight") as refused:
                await client.get("a")
            assert refused.value.keys == ("a",)
            with pytest.raises(Overloaded) as refused:
                await client.set_many({"b": 1, "c": 2})
            assert refused.value.keys == ("b", "c")
            # The requests are answered, and the client works as before.
            while True:
                try:
                    assert await client.get("a") == b"2"
                    break
                except RequestFailed:
                    await asyncio.sleep(0.01)

    asyncio.run(scenario())


def test_the_serde_s_own_errors_come_through(server: EmbeddedServer) -> None:
    class Broken:
        def serialize(self, key: Any, value: Any) -> tuple[Any, int]:
            return value, 0

        def deserialize(self, key: Any, value: bytes, flags: int) -> Any:
            raise LookupError(key)

    async def scenario() -> None:
        async with client_of(server, serde=Broken()) as client:
            await client.set("a", "1")
            for ask in (client.get("a"), client.get_many(["a"]), client.gets("a")):
                with pytest.raises(LookupError):
                    await ask
            assert await client.incr("a", 1) == 2

    asyncio.run(scenario())


# ---- cancellation ----


def test_a_cancelled_request_leaves_the_link_in_step(server: EmbeddedServer) -> None:
    async def scenario() -> None:
        async with client_of(server) as client:
            await client.set_many({"a": "A", "b": "B"})
            server.pause()
            tasks = [asyncio.create_task(client.get("a")) for _ in range(3)]
            tasks.append(asyncio.create_task(client.get_many(["a", "b"])))
            tasks.append(asyncio.create_task(client.set_many({"c": 1, "d": 2})))
            await asyncio.sleep(0.01)
            for task in tasks:
                task.cancel()
            server.resume()
            assert await client.get("b") == b"B"
            assert await asyncio.gather(*tasks, return_exceptions=True) != []
            assert all(task.cancelled() for task in tasks)
            # Requests in flight run on unobserved.
            assert await client.get_many(["c", "d"]) == {"c": b"1", "d": b"2"}

    asyncio.run(scenario())


@pytest.mark.parametrize("seed", range(5))
def test_cancelled_at_any_point(servers: list[EmbeddedServer], seed: int) -> None:
    """Tasks that are cancelled after any number of turns, while others check every value they get."""

    async def ask(client: Client, rng: Random) -> None:
        key = f"k{rng.randrange(20)}"
        choice = rng.randrange(4)
        if choice == 0:
            await client.set(key, key)
        elif choice == 1:
            assert await client.get(key) in (None, key.encode())
        elif choice == 2:
            found = await client.get_many(f"k{i}" for i in range(20))
            assert all(value == name.encode() for name, value in found.items())
        else:
            assert await client.set_many({key: key, "k0": "k0"}) == []

    async def scenario() -> None:
        rng = Random(seed)
        async with client_of(*servers, copies=2, rng=rng) as client:
            for _ in range(300):
                tasks = [asyncio.create_task(ask(client, rng)) for _ in range(rng.randrange(1, 5))]
                for _ in range(rng.randrange(12)):
                    await asyncio.sleep(0)
                for task in tasks:
                    if rng.random() < 0.7:
                        task.cancel()
                for result in await asyncio.gather(*tasks, return_exceptions=True):
                    assert result is None or isinstance(result, asyncio.CancelledError), result
            await client.set_many({f"k{i}": f"k{i}" for i in range(20)})
            assert len(await client.get_many(f"k{i}" for i in range(20))) == 20
            counters = client.counters()
        assert (counters["desyncs"], counters["timeouts"], counters["failovers"]) == (0, 0, 0)
        # Those of cancelled tasks have ended too: they were sent before these last ones, on the same links.
        assert counters["requests"] == counters["replies"]

    asyncio.run(scenario())


# ---- life ----


def test_a_client_connects_at_its_first_request(server: EmbeddedServer) -> None:
    async def scenario() -> None:
        client = client_of(server)
        assert await asyncio.gather(client.set("a", 1), client.set("b", 2)) == [True, True]
        # The connection that asks for the limit of values closes.
        while b"curr_connections 1" not in server.memcached.stats([]):
            await asyncio.sleep(0.01)
        await client.close()

    asyncio.run(asyncio.wait_for(scenario(), 50))


def test_a_request_is_cancelled_while_the_client_connects() -> None:
    """A listener that never accepts: its queue is full, and connecting ends by its timeout."""

    async def scenario(address: str) -> None:
        client = Client.of([address])

        async def use() -> None:
            async with client:
                raise AssertionError("connected")

        using = asyncio.create_task(use())
        await asyncio.sleep(0.05)
        using.cancel()
        with pytest.raises(asyncio.CancelledError):
            await using
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        asyncio.run(scenario(f"127.0.0.1:{listener.getsockname()[1]}"))


def test_servers_that_are_not_there_yet(server: EmbeddedServer) -> None:
    async def scenario() -> None:
        server.kill()
        async with client_of(server) as client:
            with pytest.raises((ServerLost, NoServer)):
                await client.get("a")
            server.restart()
            while True:
                with contextlib.suppress(RequestFailed):
                    assert await client.get("a") is None
                    break
                await asyncio.sleep(0.01)

    asyncio.run(scenario())


def test_closing_waits_for_requests_sent_with_noreply(server: EmbeddedServer) -> None:
    async def scenario() -> None:
        client = client_of(server)
        for i in range(100):
            await client.set(f"k{i}", i, noreply=True)
        await client.close()
        async with client_of(server) as other:
            assert len(await other.get_many(f"k{i}" for i in range(100))) == 100

    asyncio.run(scenario())


def test_closing_may_be_cancelled(server: EmbeddedServer) -> None:
    """A close may be cancelled even in the turn in which the last request ends."""

    async def scenario(turns: int) -> None:
        client = await client_of(server).connect()
        server.pause()
        asking = asyncio.create_task(client.get("a"))
        await asyncio.sleep(0)
        closing = asyncio.create_task(client.close())
        await asyncio.sleep(0)
        server.resume()
        await asking
        for _ in range(turns):
            await asyncio.sleep(0)
        is_over = closing.done()
        closing.cancel()
        await asyncio.wait([closing])
        assert closing.cancelled() is not is_over
        assert asyncio.all_tasks() == {asyncio.current_task()}
        with pytest.raises(ClientClosed):
            await client.get("a")

    for turns in range(8):
        asyncio.run(scenario(turns))


def test_closing_ends_every_request(server: EmbeddedServer) -> None:
    async def scenario() -> None:
        client = await client_of(server).connect()
        server.pause()
        tasks = [asyncio.create_task(client.get("a")) for _ in range(3)]
        many = asyncio.create_task(client.set_many({f"k{i}": i for i in range(10)}))
        cancelled = asyncio.create_task(client.get("b"))
        await asyncio.sleep(0)
        closing = asyncio.create_task(client.close(0.01))
        await asyncio.sleep(0)
        cancelled.cancel()
        for task in [*tasks, many]:
            with pytest.raises(ClientClosed, match="under way"):
                await task
        await closing
        for method, arguments in ASKING:
            with pytest.raises(ClientClosed, match="connect opens it again"):
                await getattr(client, method)(*arguments)
        server.resume()
        await client.connect()
        assert await client.get("a") is None
        await client.close()
        await client.close()

    asyncio.run(scenario())


def test_a_client_belongs_to_one_loop(server: EmbeddedServer) -> None:
    client = client_of(server)

    async def use() -> None:
        await client.set("a", 1)

    async def close() -> None:
        await client.close()

    with contextlib.closing(asyncio.new_event_loop()) as first:
        first.run_until_complete(use())
        with contextlib.closing(asyncio.new_event_loop()) as second:
            for attempt in (use, close):
                with pytest.raises(WrongLoop, match="another event loop"):
                    second.run_until_complete(attempt())
        first.run_until_complete(close())
    with contextlib.closing(asyncio.new_event_loop()) as third:

        async def again() -> None:
            async with client:
                assert await client.get("a") == b"1"

        third.run_until_complete(again())


def test_a_client_outlives_its_loop(server: EmbeddedServer) -> None:
    """As where each request of a web server is an asyncio.run: nobody closes the client in between."""
    client = client_of(server)
    assert asyncio.run(client.set("a", 1)) is True
    assert asyncio.run(client.get("a")) == b"1"

    async def many() -> None:
        assert await client.set_many({"b": 2, "c": 3}) == []
        await client.set("d", 4, noreply=True)

    asyncio.run(many())
    asyncio.run(client.connect())
    assert asyncio.run(client.get_many(["a", "b", "c"])) == {"a": b"1", "b": b"2", "c": b"3"}
    asyncio.run(client.close())
    with pytest.raises(ClientClosed):
        asyncio.run(client.get("a"))
    # No connection of an earlier loop is left open.
    address = (server.host, server.port)
    links = [each for each in gc.get_objects() if isinstance(each, Link) and each.address == address]
    assert links and not [link for link in links if link.is_open]


def test_a_client_whose_loop_ended_with_a_request_under_way(server: EmbeddedServer) -> None:
    client = client_of(server)

    async def interrupted() -> None:
        await client.set("a", 1)
        server.pause()
        asking = asyncio.create_task(client.get("a"))
        await asyncio.sleep(0.01)
        assert not asking.done()

    asyncio.run(interrupted())
    server.resume()
    assert asyncio.run(client.get("a")) == b"1"
    asyncio.run(client.close())


def test_a_task_that_its_loop_cancels_may_close_the_client_too(server: EmbeddedServer) -> None:
    client = client_of(server)

    async def use() -> None:
        async with client:
            await client.set("a", 1)
            await asyncio.sleep(1000)

    async def main() -> None:
        using = asyncio.create_task(use())
        while not server.store.items:
            await asyncio.sleep(0)
        assert not using.done()

    for _ in range(3):
        asyncio.run(main())
        server.store.clear()


def test_a_client_whose_tasks_were_cancelled_connects_anew(server: EmbeddedServer) -> None:
    """As some servers do at their end, on a loop that goes on."""

    async def scenario() -> None:
        client = await client_of(server).connect()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.wait(others)
        assert await client.set("a", 1) is True
        await client.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scenario())


def test_addresses_as_people_write_them(server: EmbeddedServer) -> None:
    async def scenario() -> None:
        pair = (server.host, server.port)
        for addresses in (server.address, pair, [pair], [server.address], Server.parse(server.address)):
            async with Client.of(addresses) as client:
                await client.set("a", 1)
                assert list(client.server_states()) == [server.address]

    asyncio.run(scenario())


@pytest.mark.parametrize("no_route", ["127.0.0.1:11211", ("127.0.0.1", 11211), ["127.0.0.1:11211"]])
def test_addresses_where_a_route_is_meant(no_route: Any) -> None:
    with pytest.raises(ConfigError, match=r"is no route; Client\.of takes addresses"):
        Client(no_route)


def test_timeouts_of_a_client() -> None:
    client = Client.of("127.0.0.1:1", connect_timeout_s=0.1, reply_timeout_s=0.2, deadline_s=0.3)
    (pool,) = client.plan.pools
    assert (pool.connect_timeout_s, pool.reply_timeout_s, pool.deadline_s) == (0.1, 0.2, 0.3)
    with pytest.raises(ConfigError, match="deadline_s"):
        Client.of("127.0.0.1:1", deadline_s=0)
    with pytest.raises(TypeError, match="timeout"):
        Client.of("127.0.0.1:1", timeout=1)  # type: ignore[call-arg]


def test_several_clients_in_one_process(servers: list[EmbeddedServer]) -> None:
    async def scenario() -> None:
        addresses = [server.address for server in servers]
        async with Client.of(addresses, key_prefix="a:") as a, Client.of(addresses, key_prefix="b:") as b:
            await asyncio.gather(a.set("k", "A"), b.set("k", "B"))
            assert await asyncio.gather(a.get("k"), b.get("k")) == [b"A", b"B"]
            await a.close()
            assert await b.get("k") == b"B"

    asyncio.run(scenario())


def test_another_route_while_requests_are_under_way(servers: list[EmbeddedServer]) -> None:
    async def scenario() -> None:
        before, after = client_of(*servers[:2], copies=2).plan, client_of(*servers[1:], copies=2).plan
        async with Client(before) as client:
            await client.set("a", "1")

            async def read() -> None:
                for _ in range(200):
                    assert await client.get("a") == b"1"

            reading = [asyncio.create_task(read()) for _ in range(3)]
            await asyncio.sleep(0)
            await client.reload(after)
            await asyncio.gather(*reading)
            assert list(client.server_states()) == [server.address for server in servers[1:]]
            with pytest.raises(ConfigError):
                await client.reload(Replicate(Pool.of("main", ["a:1"]), copies=2))
            assert await client.get("a") == b"1"

    asyncio.run(scenario())


def test_a_copy_answers_for_a_dead_server(servers: list[EmbeddedServer]) -> None:
    async def scenario() -> None:
        async with client_of(*servers, copies=2) as client:
            values = {f"k{i}": b"%d" % i for i in range(50)}
            await client.set_many(values)
            servers[0].kill()
            assert await client.get_many(values) == values
            assert [await client.get(key) for key in values] == list(values.values())

    asyncio.run(scenario())
