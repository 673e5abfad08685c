"""The methods for many keys: any number of them, a piece at a time, whatever becomes of the servers."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from mcroute.asyncio import (
    Client,
    ClientClosed,
    IllegalInput,
    Overloaded,
    RequestFailed,
    RequestTimeout,
    ServerLost,
    UnexpectedReply,
)
from mcroute.client.requests import PlainSerde
from mcroute.policy import Null
from mcroute.testing import EmbeddedServer

COUNTS = [0, 1, 250, 251, 1000, 1001, 2001]
# One more than there may be requests in flight.
MORE_THAN_IN_FLIGHT = 65_537


def names(count: int) -> list[str]:
    return [f"k{i}" for i in range(count)]


def unhurried(server: EmbeddedServer, **options: Any) -> Client:
    return Client.of(server.address, reply_timeout_s=30, deadline_s=30, **options)


# ---- any number of keys ----


@pytest.mark.parametrize("noreply", [False, True])
@pytest.mark.parametrize("count", COUNTS)
def test_each_key_is_stored_found_and_deleted(
    embedded_server: EmbeddedServer, count: int, noreply: bool
) -> None:
    async def scenario() -> None:
        keys = names(count)
        values = {key: key.encode() for key in keys}
        async with unhurried(embedded_server) as client:
            assert await client.set_many(dict(values), noreply=noreply) == []
            found = await client.get_many(keys)
            assert (found, list(found)) == (values, keys)
            with_tokens = await client.gets_many(keys)
            assert {key: value for key, (value, _) in with_tokens.items()} == values
            assert await client.delete_many(keys, noreply=noreply) is True
            assert await client.get_many(keys) == {}

    asyncio.run(scenario())


@pytest.mark.parametrize("noreply", [False, True])
def test_more_keys_than_requests_may_be_in_flight(embedded_server: EmbeddedServer, noreply: bool) -> None:
    async def scenario() -> None:
        async with unhurried(embedded_server) as client:
            await client.set_many(dict.fromkeys(names(MORE_THAN_IN_FLIGHT), "0"), noreply=noreply)
        assert len(embedded_server.store.items) == MORE_THAN_IN_FLIGHT

    asyncio.run(scenario())


def test_very_many_keys() -> None:
    """No server is asked: the client's own part alone."""

    async def scenario() -> None:
        keys = names(200_000)
        async with Client(Null()) as client:
            assert await client.get_many(keys) == {}
            assert await client.delete_many(keys[:65_535], noreply=True) is True
            assert await client.set_many(dict.fromkeys(keys[:65_536], 1)) == keys[:65_536]

    asyncio.run(scenario())


def test_twice_the_keys_are_twice_the_work() -> None:
    """CPU time, of which a loaded machine takes no more; in the square of the keys it would be 64 times."""

    async def cost_s(count: int) -> float:
        keys = names(count)
        async with Client(Null()) as client:
            before = time.thread_time()
            await client.get_many(keys)
            return time.thread_time() - before

    few = min(asyncio.run(cost_s(16_000)) for _ in range(3))
    assert asyncio.run(cost_s(128_000)) < 30 * few


def test_a_key_that_is_given_twice(embedded_server: EmbeddedServer) -> None:
    async def scenario() -> None:
        keys: list[str | bytes] = ["a", "b", "a", b"a", *names(600), *names(600)]
        async with unhurried(embedded_server) as client:
            await client.set_many({"a": 1, b"a": 2, "b": 3})
            assert await client.get_many(keys) == {"a": b"2", "b": b"3", b"a": b"2"}
            assert list(await client.gets_many(keys)) == ["a", "b", b"a"]
            requests = client.counters()["requests"]
            assert await client.delete_many(keys) is True
            assert client.counters()["requests"] - requests == len(keys)
            assert embedded_server.store.items == {}

    asyncio.run(scenario())


def test_nothing_is_sent_if_any_key_cannot_be(embedded_server: EmbeddedServer) -> None:
    async def scenario() -> None:
        async with unhurried(embedded_server) as client:
            for ask in (
                lambda keys: client.get_many(keys),
                lambda keys: client.gets_many(keys),
                lambda keys: client.set_many(dict.fromkeys(keys, 1)),
                lambda keys: client.delete_many(keys),
            ):
                with pytest.raises(IllegalInput) as refused:
                    await ask([*names(600), "with blank"])
                assert refused.value.place in ("keys[600]", "values['with blank']")
            assert client.counters()["requests"] == 0

    asyncio.run(scenario())


def test_values_are_a_mapping() -> None:
    async def scenario() -> None:
        with pytest.raises(IllegalInput, match="values: must be a mapping of keys to values, not list"):
            await Client(Null()).set_many([("a", 1)])  # type: ignore[arg-type]

    asyncio.run(scenario())


# ---- other tasks meanwhile ----


@pytest.mark.parametrize("method", ["get_many", "gets_many", "set_many", "delete_many", "set_many noreply"])
def test_other_tasks_run_meanwhile(method: str) -> None:
    async def scenario() -> int:
        keys = names(20_000)
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async with Client(Null()) as client:
            counting = asyncio.create_task(count())
            name, _, noreply = method.partition(" ")
            arguments = {"noreply": True} if noreply else {}
            await getattr(client, name)(dict.fromkeys(keys, 1), **arguments)
            counting.cancel()
        return turns

    # One turn while the keys are checked, and at least one for each 250 keys sent.
    assert asyncio.run(scenario()) > 20_000 / 250


def test_received_values_are_read_before_the_next_keys_are_asked_for(embedded_server: EmbeddedServer) -> None:
    """Data of all keys is allocated, read and freed in one turn of the loop."""

    class Noting(PlainSerde):
        def __init__(self) -> None:
            self.requests: list[int] = []

        def deserialize(self, key: Any, value: bytes, flags: int) -> Any:
            self.requests.append(client.counters()["requests"])
            return value

    async def scenario() -> None:
        keys = names(5000)
        async with client:
            await client.set_many(dict.fromkeys(keys, 1))
            stored = client.counters()["requests"]
            assert len(await client.get_many(keys)) == len(keys)
            assert client.counters()["requests"] - stored == 20
            assert {count - stored for count in serde.requests} == {4, 8, 12, 16, 20}

    serde = Noting()
    client = unhurried(embedded_server, serde=serde)
    asyncio.run(scenario())


def test_a_mapping_may_change_meanwhile(embedded_server: EmbeddedServer) -> None:
    async def scenario() -> None:
        values: dict[str | bytes, Any] = dict.fromkeys(names(1000), "0")
        async with unhurried(embedded_server) as client:
            storing = asyncio.create_task(client.set_many(values))
            await asyncio.sleep(0)
            values.clear()
            assert await storing == []
        assert len(embedded_server.store.items) == 1000

    asyncio.run(scenario())


def test_sends_without_an_answer_let_the_loop_turn(embedded_server: EmbeddedServer) -> None:
    """In a row they would fill what may be in flight, though the server answers all of them."""

    async def scenario() -> None:
        async with unhurried(embedded_server) as client:
            for _ in range(MORE_THAN_IN_FLIGHT):
                await client.touch("k", noreply=True)

    asyncio.run(scenario())


# ---- failures ----


@pytest.mark.parametrize("noreply", [False, True])
def test_a_server_that_hangs_is_waited_for_once(embedded_server: EmbeddedServer, noreply: bool) -> None:
    async def scenario() -> None:
        keys = names(10_000)
        async with Client.of(embedded_server.address, reply_timeout_s=0.1, deadline_s=0.2) as client:
            embedded_server.pause()
            for ask in (
                client.set_many(dict.fromkeys(keys, 1), noreply=noreply),
                client.delete_many(keys, noreply=noreply),
            ):
                with pytest.raises((RequestTimeout, ServerLost)) as failed:
                    await ask
                # Without replies, keys of the first batch are not reported: they were sent.
                assert failed.value.keys == tuple(keys[1000:] if noreply else keys)
            with pytest.raises((RequestTimeout, ServerLost)) as failed:
                await client.get_many(keys)
            assert failed.value.keys == tuple(keys)
            # A batch each; the rest was not sent.
            assert client.counters()["requests"] < 5000
            embedded_server.resume()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("set", ["k", 1]),
        ("add", ["k", 1]),
        ("delete", ["k"]),
        ("touch", ["k"]),
        ("incr", ["k", 1]),
        ("cas", ["k", 1, 2]),
        ("flush_all", []),
        ("set_many", [{"k": 1, "l": 2}]),
        ("delete_many", [["k", "l"]]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_keys_that_were_not_sent_for_lack_of_room_are_named(
    embedded_server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch, method: str, arguments: list[Any]
) -> None:
    async def scenario() -> None:
        async with unhurried(embedded_server) as client:
            await client.get("k")
            calls = client._calls
            assert calls is not None
            monkeypatch.setattr(calls, "_engine", Full())
            with pytest.raises(Overloaded, match=rf"{method.partition('_m')[0]}.*in flight") as refused:
                await getattr(client, method)(*arguments, noreply=True)
            keys = {"flush_all": ()}.get(method, ("k", "l") if "many" in method else ("k",))
            assert refused.value.keys == keys
            monkeypatch.undo()

    class Full:
        def submit(self, request: bytes, now: float) -> int:
            raise OverflowError("65536 calls are in flight already")

    asyncio.run(scenario())


def test_a_reply_that_fits_nothing_does_not_keep_others_from_being_stored(
    embedded_server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with unhurried(embedded_server) as client:
            await client.get("k")
            calls = client._calls
            assert calls is not None
            submit = calls._submit

            def other(request: bytes) -> Any:
                return submit(b"delete k1\r\n" if request.startswith(b"set k1 ") else request)

            monkeypatch.setattr(calls, "_submit", other)
            with pytest.raises(UnexpectedReply, match="NOT_FOUND"):
                await client.set_many(dict.fromkeys(names(1000), 1))
            monkeypatch.undo()
        assert len(embedded_server.store.items) == 999

    asyncio.run(scenario())


# ---- the end ----


def test_closing_waits_for_all_of_them(embedded_server: EmbeddedServer) -> None:
    async def scenario() -> None:
        client = await unhurried(embedded_server).connect()
        storing = asyncio.create_task(client.set_many(dict.fromkeys(names(3000), 1)))
        while not embedded_server.store.items:
            await asyncio.sleep(0)
        await client.close(30)
        assert await storing == []
        assert len(embedded_server.store.items) == 3000

    asyncio.run(scenario())


@pytest.mark.parametrize("turns", range(12))
def test_closing_at_once_ends_them(embedded_server: EmbeddedServer, turns: int) -> None:
    async def scenario() -> None:
        client = await unhurried(embedded_server).connect()
        keys = names(3000)
        tasks = [
            asyncio.create_task(client.set_many(dict.fromkeys(keys, 1))),
            asyncio.create_task(client.set_many(dict.fromkeys(keys, 1), noreply=True)),
            asyncio.create_task(client.get_many(keys)),
            asyncio.create_task(client.delete_many(keys)),
        ]
        for _ in range(turns):
            await asyncio.sleep(0)
        await client.close(0)
        for task in tasks:
            with pytest.raises(ClientClosed):
                await task

    asyncio.run(scenario())


def test_cancelled_between_two_batches(embedded_server: EmbeddedServer) -> None:
    async def scenario() -> None:
        async with unhurried(embedded_server) as client:
            for turns in range(0, 60, 7):
                storing = asyncio.create_task(client.set_many(dict.fromkeys(names(10_000), 1)))
                for _ in range(turns):
                    await asyncio.sleep(0)
                storing.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await storing
            assert await client.set_many({"k": "v"}) == []
            assert await client.get("k") == b"v"

    asyncio.run(scenario())


def test_errors_of_the_route_are_raised_once() -> None:
    async def scenario() -> None:
        async with Client.of("127.0.0.1:1", connect_timeout_s=0.2) as client:
            with pytest.raises(RequestFailed) as failed:
                await client.set_many(dict.fromkeys(names(1000), 1))
            assert failed.value.keys == tuple(names(1000))

    asyncio.run(scenario())
