"""`stats items` and similar: the rows of all servers, for a client of the proxy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from ..drivers.asyncio.timing import in_time
from ..errors import RemoteProtocolError
from ..policy import Condition, Server
from ..runtime.routing import Routing

__all__ = ("ASKED_MAX", "SUBJECTS", "AllServers")

SUBJECTS = frozenset((b"items", b"settings", b"sizes", b"slabs"))

# Servers asked at once, for all clients together.
ASKED_MAX = 32
# Of the request's deadline, so that the reply shows the servers that answered in time.
SHARE_OF_DEADLINE = 0.8
# Bytes of a reply: rows of further servers are omitted.
REPLY_MAX = 4 << 20


class AllServers:
    """Asks every server in service, each on a separate connection; `close` ends it.

    Clients that ask the same at the same time share the reply.
    """

    def __init__(self, routing: Routing) -> None:
        self._routing = routing
        self._asking: dict[bytes, asyncio.Task[bytes]] = {}
        self._connecting = asyncio.Semaphore(ASKED_MAX)

    def ask(self, subject: bytes, answer: Callable[[bytes], None]) -> None:
        """Calls `answer` with the reply within the requests' deadline, unless it is closed before."""
        if (task := self._asking.get(subject)) is None:
            task = asyncio.get_running_loop().create_task(self._reply(subject))
            self._asking[subject] = task
            task.add_done_callback(lambda _: self._asking.pop(subject))
        task.add_done_callback(partial(_pass_on, answer))

    async def close(self) -> None:
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _reply(self, subject: bytes) -> bytes:
        """The rows of each server, prefixed with its name."""
        limit_s = SHARE_OF_DEADLINE * max(pool.deadline_s for pool in self._routing.plan.pools)
        numbers = self._routing.engine.server_ids()
        answers = await asyncio.gather(
            *(self._ask_one(number, subject, limit_s) for number in numbers.values())
        )
        reply = bytearray()
        for name, rows in zip(numbers, answers, strict=True):
            lines = [b"STAT %b:%b %b\r\n" % (name.encode(), row, value) for row, value in rows.items()]
            if len(reply) + sum(map(len, lines)) > REPLY_MAX:
                lines = [b"STAT %b:error left out: the reply is too long\r\n" % name.encode()]
            reply += b"".join(lines)
        return bytes(reply + b"END\r\n")

    async def _ask_one(self, number: int, subject: bytes, limit_s: float) -> dict[bytes, bytes]:
        condition = self._routing.supervision.supervisor.condition(number, self._routing.clock.now())
        if condition not in (Condition.UP, Condition.SLOW, Condition.FAILING):
            return {b"state": condition.value.encode()}
        try:
            return await in_time(self._connect(self._routing.links[number].server, subject), limit_s)
        except TimeoutError:
            return {b"error": b"no answer in %g s" % limit_s}
        except (OSError, RemoteProtocolError, ValueError) as failure:
            # ValueError: a host that cannot be resolved, or a line that is too long.
            return {b"error": " ".join(str(failure).split()).encode()}

    async def _connect(self, server: Server, subject: bytes) -> dict[bytes, bytes]:
        async with self._connecting:
            return await self._routing.driver.control.stats(server, subject)


def _pass_on(answer: Callable[[bytes], None], task: asyncio.Task[bytes]) -> None:
    if not task.cancelled():
        answer(task.result())
