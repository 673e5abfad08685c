"""Every option of the configuration, declared once: what is read, checked and documented comes from here.

Rule 1: defaults that a policy class has are taken from that class, never repeated.
Rule 2: docs/config.md is generated from these tables by docs/generate_config.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from enum import Enum
from typing import Any, get_args

from .._ring import DISTRIBUTIONS
from ..policy import routes as r
from ..policy.nodes import Group, Plan
from ..policy.servers import Pool, Server

__all__ = (
    "COMMAND_KINDS",
    "POOL",
    "PROXY",
    "REQUIRED",
    "RETRY",
    "ROUTES",
    "SECTIONS",
    "SERVER",
    "Kind",
    "Option",
)

REQUIRED: Any = object()
COMMAND_KINDS = tuple(group.name.lower() for group in Group)


class Kind(Enum):
    """What may stand to the right of the equals sign, in the words of error messages."""

    TEXT = "a text in quotes"
    INTEGER = "an integer"
    NUMBER = "a number"
    SERVERS = "an array of servers"
    POOL = "the name of a pool"
    ROUTE = "a route"
    ROUTES = "an array of routes"
    ROUTES_BY_PREFIX = "a table of prefix = route"
    ROUTES_BY_COMMAND = "a table of kind of command = route"


@dataclass(frozen=True, slots=True)
class Option:
    """One option. `example` is TOML, shown where something else was written; `unit` is that of a number."""

    name: str
    kind: Kind
    help: str
    example: str
    default: Any = REQUIRED
    unit: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RouteType:
    """A value of `type` in a route: the class that it makes; options are named like its arguments."""

    build: Callable[..., r.Route]
    options: tuple[Option, ...]


def _default(owner: type, name: str) -> Any:
    default = next(field.default for field in fields(owner) if field.name == name)
    return REQUIRED if default is MISSING else default


def _of(
    owner: type, name: str, kind: Kind, help: str, *, unit: str = "", choices: tuple[str, ...] = ()
) -> Option:
    """An option that `owner` declares too: the default is its own, and serves as the example."""
    default = _default(owner, name)
    shown = f'"{default}"' if isinstance(default, str) else str(default)
    return Option(name, kind, help, shown, default, unit, choices)


PROXY = (
    Option(
        "listen",
        Kind.TEXT,
        "Where the proxy accepts clients: host:port, [v6]:port or unix:/path.",
        '"127.0.0.1:11311"',
        "127.0.0.1:11311",
    ),
)

RETRY = (
    Option(
        "share",
        Kind.NUMBER,
        "Failing over after a timeout doubles the load, so it may happen for this share of requests ...",
        "0.2",
        _default(Plan, "retry_share"),
        "a share of requests",
    ),
    Option(
        "floor_per_s",
        Kind.NUMBER,
        "... and for so many more, however few requests there are.",
        "10",
        _default(Plan, "retry_floor_per_s"),
        "per second",
    ),
)

SERVER = (
    Option("address", Kind.TEXT, "host:port, host:port:weight, [v6]:port or unix:/path.", '"10.0.0.1:11211"'),
    Option(
        "name",
        Kind.TEXT,
        "What the ring hashes and metrics show; a new address under an old name moves no keys. "
        "Left out, the address is the name.",
        '"cache-1"',
        "",
    ),
    _of(Server, "weight", Kind.INTEGER, "Share of the pool's keys, relative to the other servers' weights."),
)

POOL = (
    Option(
        "servers",
        Kind.SERVERS,
        "The servers, as addresses or as tables of the options below.",
        '["10.0.0.1:11211", "10.0.0.2:11211"]',
    ),
    _of(Pool, "distribution", Kind.TEXT, "How keys are spread over the servers.", choices=DISTRIBUTIONS),
    _of(
        Pool,
        "connect_timeout_s",
        Kind.NUMBER,
        "Patience with a connection that is being made.",
        unit="seconds",
    ),
    _of(Pool, "reply_timeout_s", Kind.NUMBER, "Patience with one reply of one server.", unit="seconds"),
    _of(Pool, "deadline_s", Kind.NUMBER, "For a whole request, with all its failovers.", unit="seconds"),
    _of(
        Pool,
        "trip_after",
        Kind.INTEGER,
        "So many failures in a row take a server out of service.",
    ),
    _of(Pool, "links", Kind.INTEGER, "Connections to each server."),
)

_POOL = Option("pool", Kind.POOL, "The pool to ask.", '"main"')
_CHILDREN = Option("children", Kind.ROUTES, "The routes, in order.", '["main", "spare"]')
_DEFAULT = Option("default", Kind.ROUTE, "The route of everything else.", '"main"')

ROUTES = {
    "pool": RouteType(r.PoolRoute, (_POOL,)),
    "replicate": RouteType(
        r.Replicate,
        (
            _POOL,
            _of(r.Replicate, "copies", Kind.INTEGER, "Servers that hold each key."),
            _of(
                r.Replicate,
                "write",
                Kind.TEXT,
                "When a write is answered.",
                choices=get_args(r.WriteMode),
            ),
            _of(r.Replicate, "read", Kind.TEXT, "Where a read begins.", choices=get_args(r.ReadMode)),
        ),
    ),
    "failover": RouteType(r.Failover, (_CHILDREN,)),
    "miss_failover": RouteType(r.MissFailover, (_CHILDREN,)),
    "all_sync": RouteType(r.AllSync, (_CHILDREN,)),
    "all_majority": RouteType(r.AllMajority, (_CHILDREN,)),
    "all_fastest": RouteType(r.AllFastest, (_CHILDREN,)),
    "all_async": RouteType(r.AllAsync, (_CHILDREN,)),
    "by_prefix": RouteType(
        r.ByPrefix,
        (
            Option(
                "routes", Kind.ROUTES_BY_PREFIX, "Prefixes of keys, and their routes.", '{ "user:" = "main" }'
            ),
            _DEFAULT,
        ),
    ),
    "by_command": RouteType(
        r.ByCommand,
        (
            Option(
                "routes", Kind.ROUTES_BY_COMMAND, "Kinds of command, and their routes.", '{ delete = "main" }'
            ),
            _DEFAULT,
        ),
    ),
    "null": RouteType(r.Null, ()),
    "error": RouteType(r.Error, (_of(r.Error, "message", Kind.TEXT, "What follows SERVER_ERROR."),)),
}

SECTIONS = {
    "proxy": "The process: where clients connect.",
    "pools": "Servers that share a key space: one table a pool.",
    "route": "What happens to a request. Left out, it goes to the pool, if there is only one.",
    "retry": "The budget of failovers after timeouts.",
}
