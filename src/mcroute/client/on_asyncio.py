"""The client on asyncio: pymemcache's methods as coroutines, over an engine in this process."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable, Coroutine, Sequence
from functools import wraps
from random import Random
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from ..drivers.asyncio.environment import Environment
from ..errors import ConfigError
from ..observe.hooks import Hook, checked
from ..policy import (
    Addresses,
    Limits,
    Plan,
    Pool,
    PoolRoute,
    Replicate,
    Route,
    State,
    SupervisorSettings,
    compile_plan,
)
from ..policy.limits import VALUE_MAX
from ..policy.warming_settings import WarmingSettings
from .batches import Batches
from .calls import Calls
from .commands import Command, Commands
from .errors import ClientClosed, WrongLoop
from .queries import stats_of_each, version_of_each
from .requests import Key, PlainSerde, RequestWriter, Serde

__all__ = ("Client",)

# Of many processes with a client, each would copy the same keys to a server that came back empty.
_SETTINGS = SupervisorSettings(warming=WarmingSettings(keys_per_s=0))

T = TypeVar("T")
P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., object])
# A second name of a method. Type checkers need a declaration of each method of a public class.
Declared = Callable[["Client"], None]


def _asking(
    command: Callable[Concatenate[Commands, P], Command[T]],
) -> Callable[[Declared], Callable[Concatenate[Client, P], Coroutine[Any, Any, T]]]:
    """Decorates a declaration with the method that sends the command's request and waits for the answer."""

    async def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        asked = command(self._commands, *args, **kwargs)
        if not asked.is_noreply:
            return asked.decode(await self._running().ask(asked.request))
        refusal = await self._running().send(asked.request)
        return cast(T, asked.unanswered) if refusal is None else asked.decode(refusal)

    return lambda declared: _described(method, command)


def _asking_in_batches(
    command: Callable[Concatenate[Commands, P], Batches[T]],
) -> Callable[[Declared], Callable[Concatenate[Client, P], Coroutine[Any, Any, T]]]:
    """Decorates a declaration with the method that sends the command's batches, one after the other."""

    async def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._ask_in_batches(command(self._commands, *args, **kwargs))

    return lambda declared: _described(method, command)


def _described(method: F, command: Callable[..., object]) -> F:
    """Gives the method the command's name, arguments, docstring and result type."""
    wraps(command)(method)
    signature = inspect.signature(command)
    returned = re.sub(r"^\w+\[(.*)\]$", r"\1", signature.return_annotation)
    method.__qualname__ = f"Client.{method.__name__}"
    method.__module__ = __name__
    method.__annotations__ = {**command.__annotations__, "return": returned}
    method.__signature__ = signature.replace(return_annotation=returned)  # type: ignore[attr-defined]
    return method


class Client:
    """A client of many servers with a route, without a proxy. An async context manager.

    Methods, arguments and results are pymemcache's. The client connects at the first request or in `connect`,
    and then belongs to the running loop until the client or that loop is closed. All tasks of that loop may
    use the client at once, and may be cancelled at any point. After a fork the child opens its own
    connections. `expire` is in seconds, as in memcached: 0 is for ever, more than 30 days is a Unix time.
    Every method may raise: IllegalInput before a request is sent, RequestFailed (RequestTimeout, ServerLost,
    NoServer, Overloaded, ServerRefused), RequestRefused, UnknownCommand, UnexpectedReply, ClientClosed,
    WrongLoop. A failure is never returned as a miss.
    """

    def __init__(
        self,
        route: Route | Plan,
        *,
        serde: Serde | None = None,
        key_prefix: Key = b"",
        default_noreply: bool = False,
        allow_unicode_keys: bool = False,
        encoding: str = "ascii",
        settings: SupervisorSettings | None = None,
        limits: Limits | None = None,
        rng: Random | None = None,
        hooks: Sequence[Hook] = (),
        environment: Environment | None = None,
    ) -> None:
        """`serde` converts values to bytes and back; without it the client stores bytes, str and numbers, and
        returns bytes. `key_prefix` goes before every key. With `default_noreply`, the commands for which it
        is in pymemcache return before they are done, and do not report failures. `limits` bounds the size of
        values and the memory of requests in flight. Without `settings`, servers that come back empty are not
        filled from others. `hooks` are functions: each is called with each `StateChange` of a server or pool,
        in a thread of its own. `environment` is for simulations: see `Environment`.

        Raises ConfigError for a route that cannot work, IllegalInput for a prefix that is no key.
        """
        if isinstance(route, str | tuple | list):
            raise ConfigError("route", f"{route!r:.80} is no route; Client.of takes addresses")
        self.plan: Plan = route if isinstance(route, Plan) else compile_plan(route)
        value_max = (limits and limits.value_max) or VALUE_MAX
        serde = serde or PlainSerde()
        write = RequestWriter(serde, key_prefix, encoding, allow_unicode_keys, value_max)
        self._commands = Commands(write, serde, default_noreply)
        self._settings = settings or _SETTINGS
        self._limits = limits
        self._rng = rng
        self._hooks = checked(hooks)
        self._environment = environment
        self._answer_timeout_s = _answer_timeout_s(self.plan)
        self._calls: Calls | None = None
        self._is_closed = False

    @classmethod
    def of(
        cls,
        addresses: Addresses,
        *,
        copies: int = 1,
        connect_timeout_s: float = 0.5,
        reply_timeout_s: float = 0.5,
        deadline_s: float = 1.0,
        serde: Serde | None = None,
        key_prefix: Key = b"",
        default_noreply: bool = False,
        allow_unicode_keys: bool = False,
        encoding: str = "ascii",
        settings: SupervisorSettings | None = None,
        limits: Limits | None = None,
        rng: Random | None = None,
        hooks: Sequence[Hook] = (),
        environment: Environment | None = None,
    ) -> Client:
        """A client of one server or several, with `copies` of each key; the other options are `Client`'s.

        An address is "host:port", "/path" of a unix socket, (host, port) or a Server. In seconds:
        `connect_timeout_s` bounds a connection attempt, `reply_timeout_s` one server's reply, `deadline_s` a
        whole request with its failovers. Raises ConfigError for an invalid address, a time that is not
        positive, or more copies than servers.
        """
        pool = Pool.of(
            "main",
            addresses,
            connect_timeout_s=connect_timeout_s,
            reply_timeout_s=reply_timeout_s,
            deadline_s=deadline_s,
        )
        return cls(
            Replicate(pool, copies) if copies != 1 else PoolRoute(pool),
            serde=serde,
            key_prefix=key_prefix,
            default_noreply=default_noreply,
            allow_unicode_keys=allow_unicode_keys,
            encoding=encoding,
            settings=settings,
            limits=limits,
            rng=rng,
            hooks=hooks,
            environment=environment,
        )

    def __repr__(self) -> str:
        if self._calls is None:
            return f"<Client of {len(self.plan.servers)} servers, {'closed' if self._is_closed else 'idle'}>"
        serving = len(self._calls.routing.supervision.supervisor.serving)
        return f"<Client: {serving} of {len(self.plan.servers)} servers in service>"

    @property
    def serde(self) -> Serde:
        """Converts values to bytes and back."""
        return self._commands.serde

    @property
    def default_noreply(self) -> bool:
        """Whether writes return before they are done, if their argument `noreply` is None."""
        return self._commands.default_noreply

    # ---- life ----

    async def connect(self) -> Client:
        """Returns after one attempt to connect to every server; further attempts go on in the background.

        Optional: the first request connects too. Opens a closed client again.
        """
        if self._calls is None:
            self._is_closed = False
        await self._running().routing.tried()
        return self

    async def reload(self, route: Route | Plan, *, settings: SupervisorSettings | None = None) -> None:
        """Replaces the route, and the settings if they are given; no request fails because of it.

        Requests that begin after the return use the new route; requests in flight end on the route that they
        began on. Raises ConfigError for a route that cannot work, and then keeps the present one.
        """
        plan = route if isinstance(route, Plan) else compile_plan(route)
        await self._running().routing.install(plan, settings)
        self.plan, self._settings = plan, settings or self._settings
        self._answer_timeout_s = _answer_timeout_s(plan)

    async def close(self, limit_s: float = 5.0) -> None:
        """Refuses new requests; closes when requests in flight are answered, or after `limit_s` seconds."""
        calls = self._calls
        if calls is None or calls.routing.is_inherited or calls.loop.is_closed():
            self._is_closed, self._calls = True, None
            return
        if asyncio.get_running_loop() is not calls.loop:
            raise _wrong_loop()
        self._is_closed = True
        try:
            await calls.close(limit_s)
        finally:
            if self._calls is calls:
                self._calls = None

    async def __aenter__(self) -> Client:
        try:
            return await self.connect()
        except BaseException:
            await self.close(0)
            raise

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    def _running(self) -> Calls:
        if self._is_closed:
            raise ClientClosed("the client is closed; connect opens it again")
        calls = self._calls
        if calls is None or calls.routing.is_inherited or calls.is_over:
            self._calls = calls = Calls(
                self.plan, self._settings, self._limits, self._rng, self._hooks, self._environment
            )
        if asyncio.get_running_loop() is not calls.loop:
            raise _wrong_loop()
        return calls

    async def _ask_in_batches(self, batches: Batches[T]) -> T:
        """Runs a command for many keys. Checks every key before the first request is sent."""
        try:
            batch = next(batches)
            while batch is None:
                await asyncio.sleep(0)
                batch = next(batches)
        except StopIteration as end:
            # A closed client raises, even without keys.
            self._running()
            return cast(T, end.value)
        return await self._running().ask_in_batches(batch, batches)

    # ---- commands, with the arguments and docstrings of the methods of Commands ----

    @_asking(Commands.get)
    def get(self) -> None: ...

    @_asking(Commands.gets)
    def gets(self) -> None: ...

    @_asking(Commands.gat)
    def gat(self) -> None: ...

    @_asking(Commands.gats)
    def gats(self) -> None: ...

    @_asking(Commands.set)
    def set(self) -> None: ...

    @_asking(Commands.add)
    def add(self) -> None: ...

    @_asking(Commands.replace)
    def replace(self) -> None: ...

    @_asking(Commands.append)
    def append(self) -> None: ...

    @_asking(Commands.prepend)
    def prepend(self) -> None: ...

    @_asking(Commands.cas)
    def cas(self) -> None: ...

    @_asking(Commands.delete)
    def delete(self) -> None: ...

    @_asking(Commands.incr)
    def incr(self) -> None: ...

    @_asking(Commands.decr)
    def decr(self) -> None: ...

    @_asking(Commands.touch)
    def touch(self) -> None: ...

    @_asking(Commands.flush_all)
    def flush_all(self) -> None: ...

    @_asking_in_batches(Commands.get_many)
    def get_many(self) -> None: ...

    @_asking_in_batches(Commands.gets_many)
    def gets_many(self) -> None: ...

    @_asking_in_batches(Commands.set_many)
    def set_many(self) -> None: ...

    @_asking_in_batches(Commands.delete_many)
    def delete_many(self) -> None: ...

    get_multi = get_many
    set_multi = set_many
    delete_multi = delete_many

    # ---- about servers ----

    async def version(self) -> dict[str, bytes | None]:
        """The version of each server, by the server's name; None: the server did not answer in time."""
        control = self._running().control
        return await version_of_each(control, self.plan.servers, self._answer_timeout_s)

    async def stats(self, *arguments: str) -> dict[str, dict[bytes, Any] | None]:
        """The statistics of each server, by the server's name; None: the server did not answer in time.

        Values have the types of pymemcache's. `arguments` are memcached's: "items", "slabs", "settings" ...
        """
        control = self._running().control
        return await stats_of_each(control, self.plan.servers, self._answer_timeout_s, arguments)

    def server_states(self) -> dict[str, State]:
        """The state of each server, by the server's name."""
        routing = self._running().routing
        state = routing.supervision.supervisor.state
        return {name: state(number) for name, number in routing.engine.server_ids().items()}

    def counters(self) -> dict[str, int]:
        """The counters of this client's engine since the client connected; counters only grow."""
        return dict(self._running().routing.engine.snapshot().counters)


def _answer_timeout_s(plan: Plan) -> float:
    """The timeout of `version` and `stats`, in seconds: the largest deadline of a pool."""
    return max((pool.deadline_s for pool in plan.pools), default=1.0)


def _wrong_loop() -> WrongLoop:
    return WrongLoop(
        "the client was connected on another event loop: have one for each, or close it there first"
    )
