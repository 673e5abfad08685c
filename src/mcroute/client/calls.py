"""The calls of this process: their engine and links, and the futures that wait for their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import TypeVar, cast

from ..drivers.asyncio.control import AsyncioControl
from ..drivers.asyncio.driver import asyncio_routing
from ..drivers.asyncio.engine_loop import Result
from ..drivers.asyncio.environment import Environment
from ..drivers.asyncio.timing import in_time
from ..observe.hooks import Hook, Hooks
from ..policy import Limits, Outcome, Plan, SupervisorSettings
from ..runtime.routing import Routing
from .batches import Batch, Batches
from .errors import ClientClosed, IllegalInput
from .results import TOO_LARGE, Answer, Culprit

__all__ = ("Calls",)

T = TypeVar("T")

# Servers whose value limit is not known store requests of this size; larger ones wait for the limits.
SURE_SIZE = 1 << 20

# After so many unawaited requests the loop gets a turn, in which it sends them.
SENDS_A_TURN = 250


class Calls:
    """The calls of one loop's tasks, and their engine. Connects when it is made; not used after `close`.

    A task may be cancelled at any point: the engine finishes its request and discards the result.
    """

    def __init__(
        self,
        plan: Plan,
        settings: SupervisorSettings | None,
        limits: Limits | None,
        rng: Random | None,
        hooks: Sequence[Hook] = (),
        environment: Environment | None = None,
    ) -> None:
        self.routing: Routing
        self.routing, self._driver = asyncio_routing(
            plan,
            settings=settings,
            limits=limits,
            rng=rng,
            on_results=self._ended,
            environment=environment,
        )
        self._hooks = Hooks(hooks)
        if hooks:
            self.routing.supervision.changes.listeners.append(self._hooks.put)
        self.control: AsyncioControl = self._driver.control
        self._engine = self._driver.engine
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        # By the request's number; None: no task waits for the answer. Cancelled requests are not here.
        self._waiting: dict[int, asyncio.Future[Answer] | None] = {}
        self._series = 0
        self._sends = 0
        self._idle: asyncio.Event | None = None
        self._is_over = False
        self._is_closing = False
        self.routing.begin()
        self._life = self.loop.create_task(self._close_with_the_loop())

    @property
    def is_over(self) -> bool:
        """Whether the calls or their loop are closed."""
        return self._is_over or self.loop.is_closed()

    # ---- asking ----

    async def ask(self, request: bytes) -> Answer:
        """Sends one request and returns its answer. Raises IllegalInput if it is no request, ClientClosed."""
        if len(request) > SURE_SIZE:
            await self.routing.tried()
        number = self._submit(request)
        if isinstance(number, Answer):
            return number
        future: asyncio.Future[Answer] = self.loop.create_future()
        self._waiting[number] = future
        try:
            return await future
        except BaseException:
            self._release(number, future)
            raise

    async def ask_in_batches(self, batch: Batch | None, batches: Batches[T]) -> T:
        """Runs a command for many keys, from its first batch `batch` on; returns the command's result.

        `close` waits for the whole command. Raises as `ask`, and as `batches`.
        """
        self._series += 1
        try:
            while True:
                if batch is None:
                    await asyncio.sleep(0)
                    batch = next(batches)
                elif batch.is_noreply:
                    batch = batches.send(await self._send_together(batch.requests))
                else:
                    batch = batches.send(await self._ask_together(batch.requests))
        except StopIteration as end:
            return cast(T, end.value)
        finally:
            self._series -= 1
            self._note_idle()

    async def _ask_together(self, requests: Sequence[bytes]) -> list[Answer]:
        """Sends all requests at once. Returns the answers in the order of the requests."""
        await self._sizes_known(requests)
        begun: list[tuple[int, asyncio.Future[Answer]]] = []
        try:
            for request in requests:
                begun.append(self._begin(request))
            return [await future for _, future in begun]
        finally:
            for number, future in begun:
                self._release(number, future)

    async def send(self, request: bytes) -> Answer | None:
        """Sends one request without waiting for its answer; `close` waits for it. Raises as `ask`.

        Returns None, or the answer to a request that was not sent: too many requests are in flight, or its
        value is too large.
        """
        if len(request) > SURE_SIZE:
            await self.routing.tried()
        self._sends += 1
        if self._sends % SENDS_A_TURN == 0:
            await asyncio.sleep(0)
        return self._sent(request)

    async def _send_together(self, requests: Sequence[bytes]) -> list[Answer | None]:
        await self._sizes_known(requests)
        return [self._sent(request) for request in requests]

    async def _sizes_known(self, requests: Sequence[bytes]) -> None:
        """If a value is large, waits until the servers' value limits are known."""
        if any(len(request) > SURE_SIZE for request in requests):
            await self.routing.tried()

    def _sent(self, request: bytes) -> Answer | None:
        number = self._submit(request)
        if isinstance(number, Answer):
            return number
        self._waiting[number] = None
        return None

    def _begin(self, request: bytes) -> tuple[int, asyncio.Future[Answer]]:
        """Returns the request's number and the future of its answer; 0 if the engine refused the request."""
        future: asyncio.Future[Answer] = self.loop.create_future()
        number = self._submit(request)
        if isinstance(number, Answer):
            future.set_result(number)
            return 0, future
        self._waiting[number] = future
        return number, future

    def _submit(self, request: bytes) -> int | Answer:
        """Returns the request's number, or the answer with which the engine refuses it at once."""
        if self._is_over:
            # A closed engine would never answer the request.
            raise _closed()
        try:
            number = self._engine.submit(request, self.loop.time())
        except OverflowError as error:
            return Answer(Outcome.OVERLOADED, b"SERVER_ERROR %b" % str(error).encode())
        except ValueError as error:
            if str(error).endswith("object too large for cache"):
                return TOO_LARGE
            raise IllegalInput(str(error)) from None
        self._driver.schedule()
        return number

    def _release(self, number: int, future: asyncio.Future[Answer]) -> None:
        if number in self._waiting:
            self._discard(number)
        elif future.done() and not future.cancelled():
            # Retrieves the exception: the task was cancelled as the client closed, and asyncio would log it.
            future.exception()

    def _discard(self, number: int) -> None:
        del self._waiting[number]
        self._engine.discard_result(number)
        self._note_idle()

    def _ended(self, results: list[Result]) -> None:
        culprits = self._engine.culprits_of_results()
        for number, outcome, result in results:
            future = self._waiting.pop(number)
            if future is not None and not future.done():
                culprit = self._culprit(culprits[number]) if number in culprits else None
                future.set_result(Answer(outcome, result, culprit))
        self._note_idle()

    def _culprit(self, server: int) -> Culprit | None:
        links = self.routing.links.get(server)
        if links is None:
            return None
        fault = self.routing.supervision.faults.get(server)
        return Culprit(links.server.name, fault.error if fault else None)

    # ---- the end ----

    async def close(self, limit_s: float) -> None:
        """Waits at most `limit_s` seconds for requests in flight, then ends the others with ClientClosed."""
        try:
            if not self._is_idle:
                self._idle = self._idle or asyncio.Event()
                await in_time(self._idle.wait(), limit_s)
        except TimeoutError:
            pass
        finally:
            self._is_closing = True
            self._life.cancel()
            await self._end()

    async def _end(self) -> None:
        self._is_over = True
        self._cancel_all()
        try:
            await self.routing.close()
        finally:
            await self._hooks.close()

    async def _close_with_the_loop(self) -> None:
        """Closes the connections when `asyncio.run` ends: it cancels this task with all others, and waits."""
        try:
            await self.loop.create_future()
        finally:
            # If `close` has cancelled this task, `close` ends the calls.
            if not self._is_closing:
                await self._end()

    @property
    def _is_idle(self) -> bool:
        return not self._waiting and not self._series

    def _cancel_all(self) -> None:
        for number, future in list(self._waiting.items()):
            if future is not None and not future.done():
                future.set_exception(_closed())
            self._discard(number)

    def _note_idle(self) -> None:
        if self._idle is not None and self._is_idle:
            self._idle.set()


def _closed() -> ClientClosed:
    return ClientClosed("the client was closed while the request was under way")
