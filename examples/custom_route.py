"""Custom routes: custom_route.py [HOST:PORT HOST:PORT], by default on two servers that it starts."""

import asyncio
import sys
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from mcroute.asyncio import Client, start_proxy
from mcroute.policy import (
    AllSync,
    Ask,
    AskAll,
    ByCommand,
    Group,
    Outcome,
    Pool,
    PoolRoute,
    Reply,
    Request,
    Route,
    Step,
    Wait,
)
from mcroute.testing import EmbeddedServer

Steps = Generator[Step, Any, Reply | Outcome]


@dataclass(frozen=True)
class AskAgain:
    """Asks its child again after a pause when the connection was lost: reads survive a server's restart."""

    children: tuple[Route]
    pause_s: float = 0.3

    def steps(self, request: Request) -> Steps:
        reply: Reply = yield Ask(0)
        # Not after a timeout: a second request does not help a server that hangs. Not for a write: it may
        # have been executed, and must not run twice.
        if request.group is Group.READ and reply.outcome in (Outcome.LOST, Outcome.EJECTED):
            yield Wait(self.pause_s)
            reply = yield Ask(0)
        return reply


@dataclass(frozen=True)
class Agreed:
    """Answers the reply that its two children agree on; if they differ, answers like an empty cache."""

    children: tuple[Route, Route]

    def steps(self, request: Request) -> Steps:
        one: Reply
        other: Reply
        one, other = yield AskAll((0, 1), need=2)
        if (one.outcome, one.data) == (other.outcome, other.data):
            return one
        worst = max(one, other, key=lambda reply: reply.outcome)
        # A child that failed is an error; a miss would claim that it has nothing.
        return worst if worst.outcome >= Outcome.REFUSED_BY_SERVER else Outcome.MISS


def two_caches(one: str, other: str) -> Route:
    """Writes to both, reads where they agree."""
    first, second = PoolRoute(Pool.of("one", [one])), PoolRoute(Pool.of("other", [other]))
    return ByCommand(
        {"read": Agreed((AskAgain((first,)), AskAgain((second,))))}, default=AllSync([first, second])
    )


async def main(one: str, other: str) -> None:
    proxy = await start_proxy(two_caches(one, other))
    async with (
        proxy,
        Client.of([f"127.0.0.1:{proxy.port}"]) as client,
        Client.of([other]) as around_the_proxy,
    ):
        await client.set("price", 10)
        print("both have", await client.get("price"))
        await around_the_proxy.set("price", 12)
        print("they differ:", await client.get("price"))
        await client.set("price", 12)
        print("both have", await client.get("price"))


if __name__ == "__main__":
    if sys.argv[1:]:
        asyncio.run(main(*sys.argv[1:]))
    else:
        with EmbeddedServer() as first, EmbeddedServer() as second:
            asyncio.run(main(first.address, second.address))
