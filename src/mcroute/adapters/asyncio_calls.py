"""Requests of this process itself: who waits for which, from the first connection to the last."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from random import Random

from ..policy import Limits, Outcome, Plan, SupervisorSettings
from .asyncio_carrier import asyncio_routing
from .asyncio_driver import Result
from .client_errors import ClientClosed, IllegalInput, Overloaded
from .client_results import Answer
from .timing import in_time

__all__ = ("Calls",)

# What is under way at once of a set_many or the like: enough to hide the network's latency, and little enough
# for a slow server to answer all of it in time.
BATCH_COUNT = 250
BATCH_BYTES = 8 << 20


class Calls:
    """One engine in use by the tasks of one loop. Made connected, ended by `close`, not used again.

    A task may be cancelled at any point: its request runs on unobserved, and its reply goes nowhere.
    """

    def __init__(
        self,
        plan: Plan,
        settings: SupervisorSettings | None,
        limits: Limits | None,
        rng: Random | None,
    ) -> None:
        self.routing, self._driver = asyncio_routing(
            plan, settings=settings, limits=limits, rng=rng, on_results=self._ended
        )
        self._engine = self._driver.engine
        self._loop = self.routing.loop
        # None: sent without waiting. What was cancelled is not here.
        self._waiting: dict[int, asyncio.Future[Answer] | None] = {}
        self._idle: asyncio.Event | None = None
        self.routing.begin()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    # ---- asking ----

    async def ask(self, request: bytes) -> Answer:
        """What becomes of one request. Raises IllegalInput for what is none."""
        number, future = self._begin(request)
        try:
            return await future
        finally:
            self._leave(number, future)

    async def ask_all(self, requests: Iterable[bytes]) -> list[Answer]:
        """The answers in the order of the requests, which are all under way at once, up to a bound."""
        answers: list[Answer] = []
        for batch in _batches(requests):
            answers += await self._ask_batch(batch)
        return answers

    def send(self, request: bytes) -> None:
        """Nobody waits for the answer; `close` still does. Raises Overloaded when too many are in flight."""
        try:
            self._waiting[self._submit(request)] = None
        except OverflowError as error:
            raise Overloaded(str(error)) from None

    async def _ask_batch(self, requests: Sequence[bytes]) -> list[Answer]:
        begun: list[tuple[int, asyncio.Future[Answer]]] = []
        try:
            for request in requests:
                begun.append(self._begin(request))
            return [await future for _, future in begun]
        finally:
            for number, future in begun:
                self._leave(number, future)

    def _begin(self, request: bytes) -> tuple[int, asyncio.Future[Answer]]:
        """The request's number (0: it was not taken, and has its answer) and what its answer comes in."""
        future: asyncio.Future[Answer] = self._loop.create_future()
        try:
            number = self._submit(request)
        except OverflowError as error:
            future.set_result(Answer(Outcome.OVERLOADED, b"SERVER_ERROR %b" % str(error).encode()))
            return 0, future
        self._waiting[number] = future
        return number, future

    def _submit(self, request: bytes) -> int:
        try:
            number = self._engine.submit(request, self._loop.time())
        except ValueError as error:
            raise IllegalInput(str(error)) from None
        self._driver.schedule()
        return number

    def _leave(self, number: int, future: asyncio.Future[Answer]) -> None:
        if number in self._waiting:
            self._forget(number)
        elif future.done() and not future.cancelled():
            # Who was cancelled as the client closed does not ask for it, and asyncio would complain.
            future.exception()

    def _forget(self, number: int) -> None:
        del self._waiting[number]
        self._engine.forget(number)
        self._tell_idle()

    def _ended(self, results: list[Result]) -> None:
        for number, outcome, result in results:
            future = self._waiting.pop(number)
            if future is not None and not future.done():
                future.set_result(Answer(outcome, result))
        self._tell_idle()

    # ---- the end ----

    async def close(self, limit_s: float) -> None:
        """Waits at most so long for what is in flight, then ends the rest with ClientClosed."""
        try:
            if self._waiting:
                self._idle = self._idle or asyncio.Event()
                await in_time(self._idle.wait(), limit_s)
        except asyncio.TimeoutError:
            pass
        finally:
            self._abandon_all()
            await self.routing.close()

    def _abandon_all(self) -> None:
        for number, future in list(self._waiting.items()):
            if future is not None and not future.done():
                future.set_exception(ClientClosed("the client was closed while the request was under way"))
            self._forget(number)

    def _tell_idle(self) -> None:
        if self._idle is not None and not self._waiting:
            self._idle.set()


def _batches(requests: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for request in requests:
        batch.append(request)
        size += len(request)
        if len(batch) == BATCH_COUNT or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
