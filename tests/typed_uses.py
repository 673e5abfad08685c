"""Code as embedders write it, for type checkers alone: `make types` reads it, nothing runs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_type

from mcroute import NEED_DATA, Refusal, Reply, ReplyParser, Request, RequestParser
from mcroute.asyncio import Client
from mcroute.policy import ByCommand, ByPrefix, Error, Group, Null, Pool, PoolRoute, Replicate, Route, Server


def requests_narrow(parser: RequestParser) -> Request | Refusal | None:
    message = parser.next_message()
    if message is NEED_DATA:
        return None
    assert_type(message, Request | Refusal)
    return message


def replies_narrow(parser: ReplyParser) -> Reply | None:
    message = parser.next_message()
    return None if message is NEED_DATA else message


def mappings_of_any_kind(
    main: Pool, texts: dict[str, Route], prefixes: dict[bytes, PoolRoute], groups: Mapping[Group, Route]
) -> list[Route]:
    return [
        ByPrefix({"a:": PoolRoute(main), "b:": Replicate(main, 2)}, default=Null()),
        ByPrefix({b"a:": PoolRoute(main), b"b:": Error("no")}, default=Null()),
        ByPrefix({"a:": PoolRoute(main), b"b:": Null()}, default=Null()),
        ByPrefix(texts, default=Null()),
        ByPrefix(prefixes, default=Null()),
        ByCommand({"read": PoolRoute(main), "store": Null()}, default=Null()),
        ByCommand({Group.READ: PoolRoute(main), Group.STORE: Error("no")}, default=Null()),
        ByCommand({Group.READ: PoolRoute(main), "store": Null()}, default=Null()),
        ByCommand(groups, default=Null()),
        ByCommand(texts, default=Null()),
    ]


def addresses_of_any_kind(
    pairs: list[tuple[str, int]], texts: tuple[str, ...], servers: list[Server]
) -> None:
    Client.of("cache1:11211")
    Client.of(("cache1", 11211), copies=1, deadline_s=0.5)
    Client.of(Server("cache1", "cache1", 11211))
    Client.of(["cache1:11211", ("cache2", 11211), Server("cache3", "cache3")], copies=2)
    for several in (pairs, texts, servers):
        Client.of(several)
        Pool.of("main", several, reply_timeout_s=0.1)


async def results_of_a_client(client: Client) -> None:
    assert_type(await client.set("k", 1, expire=60, noreply=None), bool)
    assert_type(await client.cas("k", 1, b"1"), bool | None)
    assert_type(await client.incr("k", 1), int | None)
    assert_type(await client.gets("k", default=0), tuple[Any, Any])
    assert_type(await client.get_many(["k", b"l"]), dict[str | bytes, Any])
    assert_type(await client.set_multi({"k": 1}), list[str | bytes])
    assert_type(await client.delete_many(key for key in "kl"), bool)


class CountingClient(Client):
    reads = 0

    async def get(self, key: str | bytes, default: Any = None) -> Any:
        self.reads += 1
        return await super().get(key, default)
