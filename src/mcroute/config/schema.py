"""Every option of the configuration, declared once: what is read, checked and documented comes from here.

Rule 1: defaults that a policy class has are taken from that class, never repeated.
Rule 2: docs/config.md is generated from these tables by docs/generate_config.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from enum import Enum
from typing import Any, get_args

from ..placement import DISTRIBUTIONS, SYSTEMS
from ..policy import routes as r
from ..policy.health import HealthSettings
from ..policy.limits import SHARE_MIN, VALUE_MAX, Limits
from ..policy.nodes import Group, Plan
from ..policy.plan import COPIES_MAX
from ..policy.servers import IDENTITIES, Pool, Server
from ..policy.supervisor_settings import SupervisorSettings

__all__ = (
    "COMMAND_KINDS",
    "HEALTH",
    "LIMITS",
    "PANIC",
    "PLACEMENT",
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
    SIZE = 'a size in bytes, as 1048576 or "1m"'
    SERVERS = "an array of servers"
    PLACEMENT = "a table of like = system, and the options of that"
    POOL = "the name of a pool"
    ROUTE = "a route"
    ROUTES = "an array of routes"
    ROUTES_BY_PREFIX = "a table of prefix = route"
    ROUTES_BY_COMMAND = "a table of kind of command = route"


@dataclass(frozen=True, slots=True)
class Option:
    """One option. `example` is TOML, shown where something else was written; the rest is about its value."""

    name: str
    kind: Kind
    help: str
    example: str
    default: Any = REQUIRED
    unit: str = ""
    choices: tuple[str, ...] = ()
    least: float = 0
    most: float = float("inf")


@dataclass(frozen=True, slots=True)
class RouteType:
    """A value of `type` in a route: the class that it makes; options are named like its arguments."""

    build: Callable[..., r.Route]
    options: tuple[Option, ...]


def _default(owner: type, name: str) -> Any:
    default = next(field.default for field in fields(owner) if field.name == name)
    return REQUIRED if default is MISSING else default


def _of(owner: type, name: str, kind: Kind, help: str, **more: Any) -> Option:
    """An option that `owner` declares too: the default is its own, and serves as the example."""
    default = _default(owner, name)
    shown = f'"{default}"' if isinstance(default, str) else str(default)
    return Option(name, kind, help, shown, default, **more)


def _size(default: int) -> str:
    """As people write it."""
    for power, letter in ((30, "g"), (20, "m"), (10, "k")):
        if default and not default % (1 << power):
            return f'"{default >> power}{letter}"'
    return str(default)


def _bytes(owner: type, name: str, help: str, **more: Any) -> Option:
    default = _default(owner, name)
    return Option(name, Kind.SIZE, help, _size(default), default, **more)


def _seconds(owner: type, name: str, help: str, **more: Any) -> Option:
    return _of(owner, name, Kind.NUMBER, help, unit="seconds", **more)


# Far more than there is to gain: each has links of its own to every server.
THREADS_MAX = 64

PROXY = (
    Option(
        "listen",
        Kind.TEXT,
        "Where clients connect: host:port, [v6]:port or unix:/path.",
        '"127.0.0.1:11311"',
        "127.0.0.1:11311",
    ),
    Option(
        "loop",
        Kind.TEXT,
        "What carries the bytes: `native` needs Linux and is the fastest, `asyncio` is there everywhere. "
        "Left out, native where it is to be had.",
        '"native"',
        "",
        choices=("native", "asyncio"),
    ),
    Option(
        "threads",
        Kind.INTEGER,
        "Threads of the native loop. 0, or left out: one for each core, at most 4.",
        "2",
        0,
        most=THREADS_MAX,
    ),
    Option(
        "metrics",
        Kind.TEXT,
        "Where Prometheus finds /metrics: host:port with a host that only this machine reaches, such as "
        "127.0.0.1, since visitors are not asked who they are. Left out, nowhere.",
        '"127.0.0.1:9151"',
        "",
    ),
    Option(
        "state_file",
        Kind.TEXT,
        "What is known of the servers, for the proxy that is started next: those that were out of service "
        "or missed writes are flushed before it reads them. Each proxy has its own. Left out, this file's "
        'name and ".state", if that can be written; "none" for none.',
        '"/var/lib/mcroute/proxy.state"',
        "",
    ),
    Option(
        "first_use",
        Kind.TEXT,
        "Of a server that the state file says nothing of: `trust` what it holds, or `flush` it first.",
        '"trust"',
        "trust",
        choices=("trust", "flush"),
    ),
    Option(
        "drain_timeout_s",
        Kind.NUMBER,
        "At the end, patience with requests that have come.",
        "5",
        5.0,
        "seconds",
    ),
    Option(
        "authentication",
        Kind.TEXT,
        "Which `set`, first on a connection and with a value of two words, is refused as an attempt to "
        "authenticate, rather than stored: `known-keys` are `auth` and `ASCII_AUTH`, as clients have them.",
        '"known-keys"',
        "known-keys",
        choices=("known-keys", "any-key", "no-key"),
    ),
)

LIMITS = (
    Option(
        "value_max",
        Kind.SIZE,
        "A larger value is refused when a client sends it. Left out, the largest that a server stores.",
        '"8m"',
        0,
        most=VALUE_MAX,
    ),
    _bytes(
        Limits,
        "request_memory_max",
        "Memory for clients' requests, of all threads together, until they are done. Beyond it values are "
        "refused with SERVER_ERROR, first of the client that takes most.",
        least=SHARE_MIN,
    ),
    _bytes(
        Limits,
        "reply_memory_max",
        "Memory for servers' replies, of all threads together, until clients have taken them. Beyond it the "
        "client is closed that leaves most unread; then values without room are answered with SERVER_ERROR.",
        least=SHARE_MIN,
    ),
    _bytes(
        Limits,
        "link_memory_max",
        "Memory for requests that wait to be sent to servers, of all threads together. Beyond it requests "
        "are refused with SERVER_ERROR before any server is asked.",
        least=SHARE_MIN,
    ),
)

# A time of 0 would make the supervisor try again without a pause.
_PAUSE_MIN_S = 0.01

HEALTH = (
    _seconds(
        HealthSettings,
        "retry_base_s",
        "An ejected server is tried again after this time ...",
        least=_PAUSE_MIN_S,
    ),
    _of(
        HealthSettings, "retry_factor", Kind.NUMBER, "... times this for each ejection in a row ...", least=1
    ),
    _seconds(HealthSettings, "retry_cap_s", "... at most after this time ...", least=_PAUSE_MIN_S),
    _of(
        HealthSettings,
        "jitter",
        Kind.NUMBER,
        "... less a random part of up to this, so that many proxies do not come back together.",
        unit="a share of the time",
        most=1,
    ),
    _seconds(HealthSettings, "flap_window_s", "A server ejected again within this time goes on in its row."),
    _seconds(
        HealthSettings,
        "stage_timeout_s",
        "A probe, fence or flush without an answer has failed.",
        least=_PAUSE_MIN_S,
    ),
)

PANIC = (
    _of(
        SupervisorSettings,
        "panic_share",
        Kind.NUMBER,
        "When more than this part of a pool looks bad, servers that are only slow are kept.",
        unit="a share of the servers",
        most=1,
    ),
    _seconds(SupervisorSettings, "suspect_s", "So long a server that was kept is counted as bad."),
    _seconds(
        SupervisorSettings,
        "refence_s",
        "A returning server that still lists a lost connection is asked again after this time ...",
        least=_PAUSE_MIN_S,
    ),
    _seconds(SupervisorSettings, "fence_patience_s", "... and for so long; then it waits for its next try."),
    _seconds(
        SupervisorSettings,
        "fence_listed_s",
        "A lost connection that the server lists for so long, while it answers, has nothing left to run ...",
    ),
    _seconds(
        SupervisorSettings,
        "fence_blind_s",
        "... and after this time where the server lists other addresses than ours (address translation).",
    ),
)

RETRY = (
    Option(
        "share",
        Kind.NUMBER,
        "Failing over from a slow server doubles the load, so it may happen for this share of requests ...",
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
    Option(
        "copies",
        Kind.INTEGER,
        'Servers that hold each key, wherever a route names this pool: `"main"` is then `{ type = '
        '"replicate", pool = "main", copies = ... }`. A route of type `replicate` that says another number '
        "is an error.",
        "2",
        1,
        least=1,
        most=COPIES_MAX,
    ),
    _of(Pool, "distribution", Kind.TEXT, "How keys are spread over the servers.", choices=DISTRIBUTIONS),
    _seconds(Pool, "connect_timeout_s", "Patience with a connection that is being made."),
    _seconds(
        Pool,
        "reply_timeout_s",
        "Timeout of a reply while its connection is silent; behind other replies it may take longer.",
    ),
    _seconds(Pool, "deadline_s", "For a whole request, with all its failovers."),
    _of(
        Pool,
        "trip_after",
        Kind.INTEGER,
        "So many failures in a row take a server out of service; a slow reply is none.",
    ),
    _of(
        Pool,
        "links",
        Kind.INTEGER,
        "Connections to each server, at most 16; each key has one. A change takes a restart.",
    ),
    Option(
        "value_max",
        Kind.SIZE,
        "A larger value is not read from a server: its request is answered with SERVER_ERROR. Left out, each "
        "server's own limit (`-I`), which it is asked for whenever it is connected to.",
        '"8m"',
        0,
        most=VALUE_MAX,
    ),
    _of(
        Pool,
        "identity",
        Kind.TEXT,
        "Another memcached that was running while a server was there, and now answers at its address: "
        "`same` leaves it alone, `any` takes it for the server (a virtual address with a standby, or several "
        "servers behind one address), and allows several servers at one address.",
        choices=IDENTITIES,
    ),
    Option(
        "placement",
        Kind.PLACEMENT,
        "Places keys as another client or proxy does, instead of a distribution: `[pools.NAME.placement]`.",
        '{ like = "twemproxy" }',
        None,
    ),
)

# Beside the options of the system itself, which stand in mcroute.placement.
PLACEMENT = (
    Option("like", Kind.TEXT, "The system.", '"twemproxy"', choices=tuple(SYSTEMS)),
    Option(
        "out",
        Kind.TEXT,
        "Where keys of a server that is out go: on to the next candidate, or where the system sends them.",
        '"skip"',
        "skip",
        choices=("skip", "theirs"),
    ),
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
    "health": "When a server that was taken out of service is tried, and trusted, again.",
    "retry": "The budget of failovers after timeouts.",
}
