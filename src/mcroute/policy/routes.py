"""The routes: frozen values that users compose into a policy. `compile_plan` turns them into a plan.

A route describes the result, never the means: it has no state, and two equal routes are interchangeable.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args, overload, runtime_checkable

from ..errors import ConfigError
from .nodes import Group, Outcome
from .servers import Pool
from .steps import Reply, Request, Step

__all__ = (
    "AllAsync",
    "AllFastest",
    "AllMajority",
    "AllSync",
    "ByCommand",
    "ByPrefix",
    "CustomRoute",
    "Error",
    "Failover",
    "MissFailover",
    "Null",
    "PoolRoute",
    "Replicate",
    "Route",
    "Warm",
)

WriteMode = Literal["all", "quorum", "first", "async", "backup"]
ReadMode = Literal["first", "random"]
# memcached takes a longer lifetime for a date.
TTL_MAX_S = 30 * 24 * 3600


@dataclass(frozen=True, slots=True)
class PoolRoute:
    """Sends each key to the one server of the pool that owns it; flush_all goes to every server."""

    pool: Pool


@dataclass(frozen=True, slots=True)
class Replicate:
    """Keeps each key on `copies` servers of one pool, so that the loss of one server loses no key.

    Reads ask one copy and go on to the next after an error or a miss: `read="first"` begins at the owner,
    `"random"` anywhere. Stores, deletes and touches go to all copies at once. They are answered with
    `"all"`: when every copy has answered or failed, if one succeeded;
    `"quorum"`: when more than half have succeeded, and only then with success;
    `"first"`: when one has succeeded, but deletes wait for all: a copy without the delete could be read;
    `"async"`: when one has succeeded, deletes too;
    `"backup"`: stores go to the first copy in service, which answers, and to the others when it has stored
    the value, and only then; deletes and touches as with `"all"`.
    Commands that must not run twice (incr, cas, append) run on one copy and delete the others; an add is
    stored on all copies, or on none.
    """

    pool: Pool
    copies: int = 2
    write: WriteMode = "all"
    read: ReadMode = "first"

    def __post_init__(self) -> None:
        place = f"Replicate({getattr(self.pool, 'name', self.pool)})"
        if self.write not in get_args(WriteMode):
            raise ConfigError(f"{place}.write", f"{self.write!r} is none of {', '.join(get_args(WriteMode))}")
        if self.read not in get_args(ReadMode):
            raise ConfigError(f"{place}.read", f"{self.read!r} is none of {', '.join(get_args(ReadMode))}")


@dataclass(frozen=True, slots=True, init=False)
class _Several:
    """Base of routes with a list of children; any sequence is accepted and stored as a tuple."""

    children: tuple[Route, ...]

    def __init__(self, children: Sequence[Route]) -> None:
        if not isinstance(children, Iterable):
            raise ConfigError(type(self).__name__, f"a list of routes is needed, not {str(children)[:80]}")
        object.__setattr__(self, "children", tuple(children))


@dataclass(frozen=True, slots=True, init=False)
class Failover(_Several):
    """Asks the first route, and the next one only if the first failed: error, timeout or ejected server.

    A miss is an answer. Commands that must not run twice (incr, cas, add, append) do not fail over after a
    timeout. flush_all goes to all children.

    With `ttl_max_s`, the later routes are stand-ins: values that they take live so many seconds at most and
    are deleted there when the earlier routes serve again. Until then no stand-in is asked for these keys.
    """

    ttl_max_s: int

    def __init__(self, children: Sequence[Route], ttl_max_s: int = 0) -> None:
        _Several.__init__(self, children)
        if not 0 <= ttl_max_s <= TTL_MAX_S:
            raise ConfigError("Failover.ttl_max_s", f"{ttl_max_s} is not between 0 and {TTL_MAX_S}")
        if ttl_max_s and len(self.children) < 2:
            raise ConfigError("Failover.ttl_max_s", "needs a second route, which stands in for the first")
        object.__setattr__(self, "ttl_max_s", ttl_max_s)


@dataclass(frozen=True, slots=True, init=False)
class MissFailover(_Several):
    """Reads ask one route after the other until one of them has the key.

    Stores go to the first route that works. Deletes, touches and flush_all go to all routes, since a read
    would find the value of any of them. A miss ends gets: its token is valid on one server only.
    """


@dataclass(frozen=True, slots=True)
class Warm:
    """Fills the pool `cold` from the pool `warm`: values that reads find only in the second are copied.

    At most `refill_keys_per_s` keys a second; with 0 none is copied, and reads only pass through. The copy
    has the flags and the remaining lifetime of the item. Stores go to `cold`, and delete the key in `warm`: a
    later miss must not find the old value there. Deletes, touches and flush_all go to both. Commands that
    must not run twice (incr, cas, append) run in the first pool that has the key, and delete it in the other
    one. While `cold` fails, `warm` takes its place.
    """

    cold: Pool
    warm: Pool


@dataclass(frozen=True, slots=True, init=False)
class AllSync(_Several):
    """Asks all routes at once, waits for all, and answers success only if all succeeded."""


@dataclass(frozen=True, slots=True, init=False)
class AllMajority(_Several):
    """Asks all routes at once and answers as soon as more than half of them succeeded."""


@dataclass(frozen=True, slots=True, init=False)
class AllFastest(_Several):
    """Asks all routes at once and answers with the first reply that is no failure; discards the others."""


@dataclass(frozen=True, slots=True, init=False)
class AllAsync(_Several):
    """Asks all routes at once and answers like an empty cache, without waiting for replies."""


@dataclass(frozen=True, slots=True, init=False)
class ByPrefix:
    """Chooses a route by the longest listed prefix that the key begins with, else the default.

    Prefixes are bytes, or str encoded as UTF-8. The key is sent with its prefix.
    """

    routes: tuple[tuple[bytes, Route], ...]
    default: Route

    # A mapping is invariant in its keys: with a union of mappings a literal would have no type.
    @overload
    def __init__(self, routes: Mapping[str, Route], default: Route) -> None: ...
    @overload
    def __init__(self, routes: Mapping[bytes, Route], default: Route) -> None: ...
    @overload
    def __init__(self, routes: Mapping[str | bytes, Route], default: Route) -> None: ...
    def __init__(self, routes: Mapping[Any, Route], default: Route) -> None:
        pairs = {p.encode() if isinstance(p, str) else p: route for p, route in routes.items()}
        if len(pairs) < len(routes):
            raise ConfigError("ByPrefix", "a prefix is given twice, as text and as bytes")
        if b"" in pairs:
            raise ConfigError("ByPrefix", "the empty prefix is what `default` is for")
        object.__setattr__(self, "routes", tuple(sorted(pairs.items(), key=_longest_first)))
        object.__setattr__(self, "default", default)


def _longest_first(pair: tuple[bytes, Route]) -> tuple[int, bytes]:
    return -len(pair[0]), pair[0]


@dataclass(frozen=True, slots=True, init=False)
class ByCommand:
    """Chooses a route by the kind of command, else the default.

    Kinds are `Group` members or their names in any case: "read", "store", "delete", "arithmetic", ...
    """

    routes: tuple[tuple[Group, Route], ...]
    default: Route

    @overload
    def __init__(self, routes: Mapping[str, Route], default: Route) -> None: ...
    @overload
    def __init__(self, routes: Mapping[Group, Route], default: Route) -> None: ...
    @overload
    def __init__(self, routes: Mapping[str | Group, Route], default: Route) -> None: ...
    def __init__(self, routes: Mapping[Any, Route], default: Route) -> None:
        pairs = {_group(kind): route for kind, route in routes.items()}
        if len(pairs) < len(routes):
            raise ConfigError("ByCommand", "a kind of command is given twice")
        object.__setattr__(self, "routes", tuple(sorted(pairs.items(), key=_kind)))
        object.__setattr__(self, "default", default)


def _kind(pair: tuple[Group, Route]) -> int:
    return pair[0]


def _group(kind: str | Group) -> Group:
    if isinstance(kind, Group):
        return kind
    try:
        return Group[kind.upper()]
    except KeyError:
        known = ", ".join(g.name.lower() for g in Group)
        raise ConfigError("ByCommand", f"{kind!r} is none of {known}") from None


@dataclass(frozen=True, slots=True)
class Null:
    """Answers like an empty cache: reads miss, writes are not stored. Nothing is sent."""


@dataclass(frozen=True, slots=True)
class Error:
    """Answers every request with SERVER_ERROR and the message. Nothing is sent."""

    message: str = "refused by configuration"

    def __post_init__(self) -> None:
        if not self.message.isprintable():
            raise ConfigError("Error.message", "has to be one line of printable text")


@runtime_checkable
class CustomRoute(Protocol):
    """A user's route: `children` that it may ask, and `steps` that decides.

    `steps` returns a reply that it received, or an `Outcome`, for which the engine writes the plain reply.
    """

    @property
    def children(self) -> tuple[Route, ...]:
        """The routes that `Ask(0)`, `Ask(1)` ... run."""

    def steps(self, request: Request) -> Generator[Step, Any, Reply | Outcome]:
        """Called once per request. An exception is answered with SERVER_ERROR, and logged."""


Route = (
    PoolRoute
    | Replicate
    | Failover
    | MissFailover
    | Warm
    | AllSync
    | AllMajority
    | AllFastest
    | AllAsync
    | ByPrefix
    | ByCommand
    | Null
    | Error
    | CustomRoute
)
