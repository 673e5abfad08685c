"""A cache with every key on two servers: client.py HOST:PORT HOST:PORT ... (at least two memcacheds)."""

import asyncio
import sys
from collections.abc import Awaitable, Callable

from pymemcache.serde import pickle_serde

from mcroute.asyncio import Client, RequestFailed


async def cached(client: Client, key: str, compute: Callable[[], Awaitable[object]]) -> object:
    """The value from the cache; computed if the cache has no value, or if no server answers."""
    missing = object()
    try:
        value = await client.get(key, missing)
    except RequestFailed as error:
        print(f"without the cache: {error}")
        return await compute()
    if value is missing:
        value = await compute()
        # Without waiting: if it fails, the next reader computes the value again.
        await client.set(key, value, expire=60, noreply=True)
    return value


async def add_member(client: Client, key: str, name: str) -> list[str]:
    """Changes a value that other clients change at the same time."""
    await client.add(key, [])
    while True:
        members, token = await client.gets(key)
        if members is not None and await client.cas(key, [*members, name], token):
            return [*members, name]


async def slow_answer() -> object:
    await asyncio.sleep(0.1)
    return {"answer": 42}


async def main(*addresses: str) -> None:
    async with Client.of(addresses, copies=2, serde=pickle_serde, key_prefix="example:") as client:
        print(await cached(client, "question", slow_answer))
        print(await cached(client, "question", slow_answer))
        await client.delete("members")
        names = ["ada", "grace", "edsger"]
        await asyncio.gather(*(add_member(client, "members", name) for name in names))
        print(sorted(await client.get("members")))
        print(await client.get_many(["question", "missing"]))
        for server, state in client.server_states().items():
            print(server, state.name)


asyncio.run(main(*sys.argv[1:]))
