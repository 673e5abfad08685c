"""The client on asyncio: pymemcache's methods as coroutines, over an engine in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from random import Random
from typing import Any, TypeVar, cast

from ..errors import ConfigError
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
from .batches import Pieces, change_each, fetch_each, send_each, written
from .calls import Calls
from .errors import ClientClosed, IllegalInput, UnexpectedReply, WrongLoop
from .queries import stats_of_each, version_of_each
from .requests import Key, PlainSerde, RequestWriter, Serde, several
from .results import Item, items, number, one_of

__all__ = ("Client",)

T = TypeVar("T")

_STORED: dict[bytes, bool | None] = {b"STORED": True, b"NOT_STORED": False}
_SWAPPED: dict[bytes, bool | None] = {b"STORED": True, b"EXISTS": False, b"NOT_FOUND": None}
_DELETED: dict[bytes, bool | None] = {b"DELETED": True, b"NOT_FOUND": False}
_TOUCHED: dict[bytes, bool | None] = {b"TOUCHED": True, b"NOT_FOUND": False}
_FLUSHED: dict[bytes, bool | None] = {b"OK": True}


class Client:
    """A client of many servers, routed as told, without a proxy between. An async context manager.

    Methods, arguments and results are pymemcache's. It connects at the first request, or in `connect`, and
    belongs to the loop on which it did until it is closed, or that loop is. All tasks of that loop may use
    it at once, and be cancelled at any point. After a fork the child begins with connections of its own.
    Every method raises, besides what is said there: IllegalInput before anything is sent, RequestFailed
    (RequestTimeout, ServerLost, NoServer, Overloaded, ServerRefused), RequestRefused, UnknownCommand,
    UnexpectedReply, ClientClosed, WrongLoop. A failure is never taken for a miss.
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
    ) -> None:
        """`serde` turns values into bytes and back; without it bytes, str and numbers are stored, and bytes
        come back. `key_prefix` goes before every key. `default_noreply` is for the writes of which pymemcache
        says so: they return before they are done, and their failures are not told. `limits` bounds
        values, and the memory that requests under way take.

        Raises ConfigError for a route that cannot work, IllegalInput for a prefix that is no key.
        """
        if isinstance(route, str | tuple | list):
            raise ConfigError("route", f"{route!r:.80} is no route; Client.of takes addresses")
        self.plan: Plan = route if isinstance(route, Plan) else compile_plan(route)
        self.serde: Serde = serde or PlainSerde()
        self.default_noreply = default_noreply
        value_max = (limits and limits.value_max) or VALUE_MAX
        self._write = RequestWriter(self.serde, key_prefix, encoding, allow_unicode_keys, value_max)
        self._settings = settings
        self._limits = limits
        self._rng = rng
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
    ) -> Client:
        """A client of one server or several, each key on `copies` of them; the other options are `Client`'s.

        An address is "host:port", "/path" of a unix socket, (host, port) or a Server. Times are in seconds:
        for making a connection, for one server's reply, and for a whole request with all its failovers.
        Raises ConfigError for addresses that are none, times that are not positive, more copies than servers.
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
        )

    def __repr__(self) -> str:
        if self._calls is None:
            return f"<Client of {len(self.plan.servers)} servers, {'closed' if self._is_closed else 'idle'}>"
        serving = len(self._calls.routing.supervision.supervisor.serving)
        return f"<Client: {serving} of {len(self.plan.servers)} servers in service>"

    # ---- life ----

    async def connect(self) -> Client:
        """Returns when every server was tried once; those that cannot be reached are tried on and on.

        Not needed before the first request. Opens a closed client again.
        """
        if self._calls is None:
            self._is_closed = False
        await self._running().routing.tried()
        return self

    async def reload(self, route: Route | Plan, *, settings: SupervisorSettings | None = None) -> None:
        """Goes on with another route, and these settings if given; no request fails for it.

        Requests that begin once this has returned are routed by it; those under way end as they began.
        Raises ConfigError for a route that cannot work, and goes on as before.
        """
        plan = route if isinstance(route, Plan) else compile_plan(route)
        await self._running().routing.install(plan, settings)
        self.plan, self._settings = plan, settings or self._settings
        self._answer_timeout_s = _answer_timeout_s(plan)

    async def close(self, limit_s: float = 5.0) -> None:
        """Takes no more requests; leaves when those under way are answered, or after `limit_s` seconds."""
        calls = self._calls
        if calls is None or calls.routing.is_inherited or calls.loop.is_closed():
            self._is_closed, self._calls = True, None
            return
        self._check_loop(calls)
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
            self._calls = calls = Calls(self.plan, self._settings, self._limits, self._rng)
        self._check_loop(calls)
        return calls

    def _check_loop(self, calls: Calls) -> None:
        if asyncio.get_running_loop() is not calls.loop:
            raise WrongLoop(
                "the client was connected on another event loop: have one for each, or close it there first"
            )

    # ---- reading ----

    async def get(self, key: Key, default: Any = None) -> Any:
        """The value, or `default`."""
        sent = self._write.key(key)
        for item in items(await self._running().ask(b"get %b\r\n" % sent), "get", key):
            return self._value(key, item)
        return default

    async def gets(self, key: Key, default: Any = None, cas_default: Any = None) -> tuple[Any, Any]:
        """The value and its token for `cas`, as bytes; or both defaults."""
        sent = self._write.key(key)
        for item in items(await self._running().ask(b"gets %b\r\n" % sent), "gets", key):
            return self._value_and_token(key, item)
        return default, cas_default

    async def get_many(self, keys: Iterable[Key]) -> dict[Key, Any]:
        """The values of those keys that were found, by the keys as they were given, in their order.

        If a server that is needed for one of them fails, all fail. Of many keys 1000 are asked for at a time.
        """
        return await self._fetch(b"get", keys, self._value)

    async def gets_many(self, keys: Iterable[Key]) -> dict[Key, tuple[Any, Any]]:
        """As `get_many`, values with their tokens."""
        return await self._fetch(b"gets", keys, self._value_and_token)

    async def gat(self, key: Key, expire: int = 0, default: Any = None) -> Any:
        """Gets the value, which from now on lives for `expire` seconds; or `default`."""
        request = self._write.get_and_touch(b"gat", key, expire)
        for item in items(await self._running().ask(request), "gat", key):
            return self._value(key, item)
        return default

    async def gats(
        self, key: Key, expire: int = 0, default: Any = None, cas_default: Any = None
    ) -> tuple[Any, Any]:
        """As `gat`, with the token for `cas`."""
        request = self._write.get_and_touch(b"gats", key, expire)
        for item in items(await self._running().ask(request), "gats", key):
            return self._value_and_token(key, item)
        return default, cas_default

    async def _fetch(
        self, command: bytes, keys: Iterable[Key], convert: Callable[[Key, Item], T]
    ) -> dict[Key, T]:
        keys = several(keys)
        names = await written(lambda i, key: self._write.key(key, f"keys[{i}]"), keys)
        write = partial(self._write.get, command)
        return await fetch_each(self._running(), command.decode(), names, keys, write, convert)

    def _value(self, key: Key, item: Item) -> Any:
        return self.serde.deserialize(key, item[3], item[1])

    def _value_and_token(self, key: Key, item: Item) -> tuple[Any, Any]:
        if item[2] is None:
            raise UnexpectedReply(f"gets {key!r}: answered without a token")
        return self._value(key, item), b"%d" % item[2]

    # ---- storing ----

    async def set(
        self, key: Key, value: Any, expire: int = 0, noreply: bool | None = None, flags: int | None = None
    ) -> bool:
        """True once it is stored. `flags` go in place of those of the serde."""
        return await self._store(b"set", key, value, expire, noreply, flags)

    async def add(
        self, key: Key, value: Any, expire: int = 0, noreply: bool | None = None, flags: int | None = None
    ) -> bool:
        """Whether it was stored: False if the key has a value."""
        return await self._store(b"add", key, value, expire, noreply, flags)

    async def replace(
        self, key: Key, value: Any, expire: int = 0, noreply: bool | None = None, flags: int | None = None
    ) -> bool:
        """Whether it was stored: False if the key has no value."""
        return await self._store(b"replace", key, value, expire, noreply, flags)

    async def append(
        self, key: Key, value: Any, expire: int = 0, noreply: bool | None = None, flags: int | None = None
    ) -> bool:
        """Whether it was put behind the key's value: False if there is none. Servers ignore `expire`."""
        return await self._store(b"append", key, value, expire, noreply, flags)

    async def prepend(
        self, key: Key, value: Any, expire: int = 0, noreply: bool | None = None, flags: int | None = None
    ) -> bool:
        """Whether it was put before the key's value: False if there is none. Servers ignore `expire`."""
        return await self._store(b"prepend", key, value, expire, noreply, flags)

    async def cas(
        self,
        key: Key,
        value: Any,
        cas: bytes | str | int,
        expire: int = 0,
        noreply: bool = False,
        flags: int | None = None,
    ) -> bool | None:
        """Stores if nobody has since `gets` gave the token: True. False: somebody has. None: it is gone."""
        request = self._write.store(b"cas", key, value, expire, flags, self._write.token(cas))
        return await self._ask(request, noreply, _SWAPPED, "cas", key)

    async def set_many(
        self,
        values: Mapping[Key, Any],
        expire: int = 0,
        noreply: bool | None = None,
        flags: int | None = None,
    ) -> list[Key]:
        """Stores all of them. Returns the keys that were not stored: none, with well-behaved servers.

        If some failed, the others are stored, and the `keys` of the exception are those that failed. When 250
        in a row have no answer in time, the rest is not sent, and fails too. Of many keys with `noreply` only
        the last 1000 are not waited for.
        """
        if not isinstance(values, Mapping):
            raise IllegalInput(f"must be a mapping of keys to values, not {type(values).__name__}", "values")
        # Others may change it meanwhile.
        keys, contents = tuple(values), tuple(values.values())

        def write(i: int, key: Key) -> bytes:
            return self._write.store(b"set", key, contents[i], expire, flags, place=f"values[{key!r}]")

        requests = await written(write, keys)
        return await self._many(requests, keys, noreply, _STORED, "set")

    async def _store(
        self, command: bytes, key: Key, value: Any, expire: int, noreply: bool | None, flags: int | None
    ) -> bool:
        request = self._write.store(command, key, value, expire, flags)
        return cast(bool, await self._ask(request, noreply, _STORED, command.decode(), key))

    # ---- changing ----

    async def delete(self, key: Key, noreply: bool | None = None) -> bool:
        """Whether there was something to delete."""
        return cast(bool, await self._ask(self._write.delete(key), noreply, _DELETED, "delete", key))

    async def delete_many(self, keys: Iterable[Key], noreply: bool | None = None) -> bool:
        """True once none of the keys has a value.

        If some failed, the others are deleted, and the `keys` of the exception are those that failed. Of many
        keys with `noreply` only the last 1000 are not waited for.
        """
        keys = several(keys)
        requests = await written(lambda i, key: self._write.delete(key, f"keys[{i}]"), keys)
        await self._many(requests, keys, noreply, _DELETED, "delete")
        return True

    async def incr(self, key: Key, value: int, noreply: bool = False) -> int | None:
        """The new number, or None if the key has no value. Raises RequestRefused if that is no number."""
        return await self._count(b"incr", key, value, noreply)

    async def decr(self, key: Key, value: int, noreply: bool = False) -> int | None:
        """The new number, at least 0, or None. Raises RequestRefused for a value that is no number."""
        return await self._count(b"decr", key, value, noreply)

    async def touch(self, key: Key, expire: int = 0, noreply: bool | None = None) -> bool:
        """Whether the key has a value, which from now on lives for `expire` seconds."""
        return cast(bool, await self._ask(self._write.touch(key, expire), noreply, _TOUCHED, "touch", key))

    async def flush_all(self, delay: int = 0, noreply: bool | None = None) -> bool:
        """True once every server has dropped its items, or will after `delay` seconds."""
        return cast(bool, await self._ask(self._write.flush_all(delay), noreply, _FLUSHED, "flush_all"))

    async def _count(self, command: bytes, key: Key, value: int, noreply: bool) -> int | None:
        request = self._write.arithmetic(command, key, value)
        if noreply:
            await self._running().send(request, command.decode(), key)
            return None
        return number(await self._running().ask(request), command.decode(), key)

    async def _ask(
        self,
        request: bytes,
        noreply: bool | None,
        meanings: dict[bytes, bool | None],
        command: str,
        *keys: Key,
    ) -> bool | None:
        if self.default_noreply if noreply is None else noreply:
            await self._running().send(request, command, *keys)
            return True
        return one_of(await self._running().ask(request), meanings, command, *keys)

    async def _many(
        self,
        requests: Pieces,
        keys: Sequence[Key],
        noreply: bool | None,
        meanings: dict[bytes, bool | None],
        command: str,
    ) -> list[Key]:
        """The keys for which the reply means no."""
        if self.default_noreply if noreply is None else noreply:
            await send_each(self._running(), command, requests, keys)
            return []
        return await change_each(self._running(), command, requests, keys, meanings)

    # ---- about servers ----

    async def version(self) -> dict[str, bytes | None]:
        """What each server calls its version, by the server's name; None: it did not answer in time."""
        self._running()
        return await version_of_each(self.plan.servers, self._answer_timeout_s)

    async def stats(self, *arguments: str) -> dict[str, dict[bytes, Any] | None]:
        """What each server counts, by the server's name; None: it did not answer in time.

        Values are converted as pymemcache does. `arguments` are memcached's: "items", "slabs", "settings" ...
        """
        self._running()
        return await stats_of_each(self.plan.servers, self._answer_timeout_s, arguments)

    def server_states(self) -> dict[str, State]:
        """Whether each server is in service, by its name."""
        routing = self._running().routing
        state = routing.supervision.supervisor.state
        return {name: state(number) for name, number in routing.engine.server_ids().items()}

    def counters(self) -> dict[str, int]:
        """What this client's engine has counted since it connected; counters only grow."""
        return dict(self._running().routing.engine.snapshot().counters)

    get_multi = get_many
    set_multi = set_many
    delete_multi = delete_many


def _answer_timeout_s(plan: Plan) -> float:
    """How long a server may take to answer about itself."""
    return max((pool.deadline_s for pool in plan.pools), default=1.0)
