"""Every option of the configuration, declared once, for reading, checking and documentation.

Rule 1: defaults that a policy class has are taken from that class, never repeated.
Rule 2: docs/config.md is generated from these tables by docs/generate_config.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

from ..placement import DISTRIBUTIONS
from ..policy import routes as r
from ..policy.limits import JOURNAL_SIZE_MIN, SHARE_MIN, VALUE_MAX, Limits
from ..policy.nodes import Group, Plan
from ..policy.plan import COPIES_MAX
from ..policy.server_options import IDENTITIES
from ..policy.servers import Pool, Server
from ..policy.upkeep import Upkeep
from ..policy.webhook_settings import WebhookSettings
from .options import Kind, Option, default_of, option_of, seconds_of, size_of
from .supervision_options import DETECTION, HEALTH, PANIC, WARMING

__all__ = (
    "COMMAND_KINDS",
    "DETECTION",
    "HEALTH",
    "LIMITS",
    "PANIC",
    "POOL",
    "PROXY",
    "RETRY",
    "ROUTES",
    "SECTIONS",
    "SERVER",
    "WARMING",
    "WEBHOOK",
    "placement_options",
)

COMMAND_KINDS = tuple(group.name.lower() for group in Group)


@dataclass(frozen=True, slots=True)
class RouteType:
    """A value of `type` in a route, and its class; the options are named like the class's arguments."""

    build: Callable[..., r.Route]
    options: tuple[Option, ...]


# More would gain nothing: each thread has connections of its own to every server.
THREADS_MAX = 64

PROXY = (
    Option(
        "listen",
        Kind.TEXT,
        "The address to listen on for clients: host:port, [v6]:port or unix:/path.",
        '"127.0.0.1:11311"',
        "127.0.0.1:11311",
    ),
    Option(
        "loop",
        Kind.TEXT,
        "The event loop: `native` needs Linux and is the fastest, `asyncio` runs everywhere. "
        "Default: native on "
        "Linux, else asyncio.",
        '"native"',
        "",
        choices=("native", "asyncio"),
    ),
    Option(
        "threads",
        Kind.INTEGER,
        "Worker threads of the native loop. 0 (the default): one per core, at most 4.",
        "2",
        0,
        most=THREADS_MAX,
    ),
    Option(
        "log_format",
        Kind.TEXT,
        "The log on stderr: lines of text, or `json`, one object a line, with the fields of "
        "[events](events.md).",
        '"json"',
        "text",
        choices=("text", "json"),
    ),
    Option(
        "metrics",
        Kind.TEXT,
        "The address of the Prometheus endpoint /metrics: host:port. It has no authentication, so "
        "the host must "
        "be a loopback address such as 127.0.0.1. Default: no endpoint.",
        '"127.0.0.1:9151"',
        "",
    ),
    Option(
        "state_file",
        Kind.TEXT,
        "A file that keeps the servers' states across a restart: a server that was out of service or missed "
        "writes is flushed before the restarted proxy reads from it. Each proxy needs its own file. Default: "
        'the configuration file\'s name and ".state", if that is writable; "none" disables it.',
        '"/var/lib/mcroute/proxy.state"',
        "",
    ),
    Option(
        "first_use",
        Kind.TEXT,
        "The treatment of servers that the state file does not list: `trust` their items, or `flush` first.",
        '"trust"',
        "trust",
        choices=("trust", "flush"),
    ),
    Option(
        "journal_file",
        Kind.TEXT,
        "A file that keeps the keys whose writes servers missed, also when the proxy is killed: the next "
        "process deletes these keys from a server that returns, and need not flush it. Needs Linux and the "
        "state file. Each proxy needs its own file. Default: no file; after a restart, servers that missed "
        "writes are flushed.",
        '"/var/lib/mcroute/proxy.journal"',
        "",
    ),
    option_of(
        Upkeep,
        "journal_fsync_s",
        Kind.NUMBER,
        "The interval of fsyncs of the journal file, for a loss of power.",
        unit="seconds",
        least=0.01,
    ),
    Option(
        "drain_timeout_s",
        Kind.NUMBER,
        "On shutdown, the timeout for requests in flight.",
        "5",
        5.0,
        "seconds",
    ),
    Option(
        "authentication",
        Kind.TEXT,
        "A `set` that is the first command of a connection and has a value of two words may be an attempt to "
        "authenticate. It is refused, not stored: for the keys `auth` and `ASCII_AUTH` that clients use "
        "(`known-keys`), for any key, or for none.",
        '"known-keys"',
        "known-keys",
        choices=("known-keys", "any-key", "no-key"),
    ),
)

LIMITS = (
    Option(
        "value_max",
        Kind.SIZE,
        "Maximum size of a value that a client may send. Default: the servers' largest `item_size_max`.",
        '"8m"',
        0,
        most=VALUE_MAX,
    ),
    size_of(
        Limits,
        "request_memory_max",
        "Maximum memory for requests in flight, of all threads together. Above it, values are refused with "
        "SERVER_ERROR, those of the client that uses most memory first.",
        least=SHARE_MIN,
    ),
    size_of(
        Limits,
        "reply_memory_max",
        "Maximum memory for replies that clients have not read, of all threads together. Above it, "
        "the client "
        "with the most unread bytes is closed; values that still do not fit are answered with SERVER_ERROR.",
        least=SHARE_MIN,
    ),
    size_of(
        Limits,
        "link_memory_max",
        "Maximum memory for requests queued to servers, of all threads together. Above it, requests are "
        "refused with SERVER_ERROR before any server is asked.",
        least=SHARE_MIN,
    ),
    size_of(
        Limits,
        "journal_memory_max",
        "Maximum memory for the keys whose writes servers out of service have missed. These keys are deleted "
        "from a server that returns; a server whose keys have no room is flushed instead.",
        most=(1 << 31) - 1,
    ),
    option_of(
        Limits,
        "journal_keys_max",
        Kind.INTEGER,
        "Maximum number of these keys for each server.",
        most=(1 << 31) - 1,
    ),
    size_of(
        Limits,
        "journal_size_max",
        "Maximum size of the journal file. Keys without room are not known after a restart: their server is "
        "flushed then. While the file is made anew, another half of this size is used.",
        least=JOURNAL_SIZE_MIN,
        most=(1 << 40) - 1,
    ),
    option_of(
        Limits,
        "refill_keys_per_s",
        Kind.NUMBER,
        "Maximum rate of refills, of all threads together: a key that a read has missed on one copy, and "
        "found on another, is copied back with its flags and its remaining lifetime. 0: no refills. The "
        "route `warm` fills its cold pool by them.",
        unit="keys per second",
    ),
    seconds_of(
        Limits,
        "refill_hold_off_s",
        "Time from such a read to the refill, and from the refill to a second look at its source: what other "
        "proxies have written meanwhile wins.",
    ),
)

RETRY = (
    Option(
        "share",
        Kind.NUMBER,
        "Retry budget: failovers after a timeout are allowed for this share of requests ...",
        "0.2",
        default_of(Plan, "retry_share"),
        "a share of requests",
    ),
    Option(
        "floor_per_s",
        Kind.NUMBER,
        "... plus this many, however few requests there are.",
        "10",
        default_of(Plan, "retry_floor_per_s"),
        "per second",
    ),
    Option(
        "hedge_share",
        Kind.NUMBER,
        "Hedge budget: the next copy is asked too, for reads that wait, for this share of requests.",
        "0.05",
        default_of(Plan, "hedge_share"),
        "a share of requests",
        most=1,
    ),
)

WEBHOOK = (
    Option(
        "url",
        Kind.TEXT,
        "Each [event](events.md) is posted to this URL, http or https, as JSON.",
        '"https://example.org/mcroute"',
    ),
    Option(
        "secret_file",
        Kind.TEXT,
        "A file with the secret that signs the requests, in base64. It is read for each request.",
        '"/etc/mcroute/webhook.secret"',
    ),
    seconds_of(WebhookSettings, "timeout_s", "Timeout of one request.", least=0.01),
    seconds_of(
        WebhookSettings,
        "retry_base_s",
        "Pause after a request that failed, twice as long each time, less a random half ...",
        least=0.01,
    ),
    seconds_of(WebhookSettings, "retry_cap_s", "... up to this ...", least=0.01),
    seconds_of(WebhookSettings, "give_up_s", "... until the event is given up, after this time."),
)

SERVER = (
    Option("address", Kind.TEXT, "host:port, host:port:weight, [v6]:port or unix:/path.", '"10.0.0.1:11211"'),
    Option(
        "name",
        Kind.TEXT,
        "The name that the ring hashes and that metrics show; a new address under an old name moves no keys. "
        "Default: the address.",
        '"cache-1"',
        "",
    ),
    option_of(
        Server, "weight", Kind.INTEGER, "Share of the pool's keys, relative to the other servers' weights."
    ),
    Option(
        "down",
        Kind.SWITCH,
        "The server is asked for nothing, and keeps its place: no key moves, and its keys go to the other "
        "copies or to stand-ins. Once this is false again, it returns as after an absence.",
        "true",
        False,
    ),
)

POOL = (
    Option(
        "servers",
        Kind.SERVERS,
        "The servers: addresses, or tables of the options below.",
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
    option_of(
        Pool, "distribution", Kind.TEXT, "How keys are spread over the servers.", choices=DISTRIBUTIONS
    ),
    seconds_of(Pool, "connect_timeout_s", "Connect timeout."),
    seconds_of(
        Pool,
        "reply_timeout_s",
        "Reply timeout: how long a connection with unanswered requests may be silent.",
    ),
    seconds_of(Pool, "deadline_s", "Timeout of a whole request, with all its failovers."),
    seconds_of(
        Pool,
        "hedge_after_s",
        "Hedged reads: with copies, a read that a server has not answered for this time is asked of the next "
        "copy too, and the first value wins. 0 (the default) switches this off; 0.002 suits a local network.",
    ),
    option_of(
        Pool,
        "hedge_percentile",
        Kind.NUMBER,
        "... and not before this percentile of the pool's recent replies; 0: `hedge_after_s` alone decides.",
        unit="percent",
        most=100,
    ),
    option_of(
        Pool,
        "trip_after",
        Kind.INTEGER,
        "Failures in a row after which a server is ejected; a slow reply is not a failure.",
    ),
    option_of(
        Pool,
        "links",
        Kind.INTEGER,
        "Connections to each server (of each thread), at most 16; a key always uses the same one. "
        "A change needs a "
        "restart.",
    ),
    Option(
        "value_max",
        Kind.SIZE,
        "Maximum size of a value that is read from a server; a request for a larger one is answered with "
        "SERVER_ERROR. Default: each server's own `item_size_max` (`-I`), which is read on each connect.",
        '"8m"',
        0,
        most=VALUE_MAX,
    ),
    option_of(
        Pool,
        "identity",
        Kind.TEXT,
        "The reaction when another memcached, which ran beside the known one, answers at a server's address: "
        "`same` does not use it, `any` uses it as the server (a virtual address with a standby, or several "
        "servers behind one address), and allows several servers at one address.",
        choices=IDENTITIES,
    ),
    Option(
        "placement",
        Kind.PLACEMENT,
        "Places keys as another client or proxy does, instead of by `distribution`: "
        "`[pools.NAME.placement]`.",
        '{ like = "twemproxy" }',
        None,
    ),
)


def placement_options() -> tuple[Option, ...]:
    """The options of `placement`, beside the options of each system, which mcroute.placement declares."""
    # Imported late: most configurations need no table of systems.
    from ..placement import SYSTEMS  # noqa: PLC0415

    out = (
        "Where the keys of an ejected server go: to the next candidate (`skip`), or where the "
        "system sends them."
    )
    return (
        Option("like", Kind.TEXT, "The system.", '"twemproxy"', choices=tuple(SYSTEMS)),
        Option("out", Kind.TEXT, out, '"skip"', "skip", choices=("skip", "theirs")),
    )


_POOL = Option("pool", Kind.POOL, "The pool to ask.", '"main"')
_CHILDREN = Option("children", Kind.ROUTES, "The routes, in order.", '["main", "spare"]')
_DEFAULT = Option("default", Kind.ROUTE, "The route of all other requests.", '"main"')

ROUTES = {
    "pool": RouteType(r.PoolRoute, (_POOL,)),
    "replicate": RouteType(
        r.Replicate,
        (
            _POOL,
            option_of(r.Replicate, "copies", Kind.INTEGER, "Servers that hold each key."),
            option_of(
                r.Replicate,
                "write",
                Kind.TEXT,
                "Which copies must have a write before it is acknowledged.",
                choices=get_args(r.WriteMode),
            ),
            option_of(
                r.Replicate, "read", Kind.TEXT, "Which copy a read asks first.", choices=get_args(r.ReadMode)
            ),
        ),
    ),
    "failover": RouteType(
        r.Failover,
        (
            _CHILDREN,
            Option(
                "ttl_max_s",
                Kind.INTEGER,
                "The later routes are stand-ins: values live there for so long at most, and are deleted when "
                "the earlier routes serve again. 0: the values stay.",
                "10",
                0,
                unit="seconds",
                most=r.TTL_MAX_S,
            ),
        ),
    ),
    "miss_failover": RouteType(r.MissFailover, (_CHILDREN,)),
    "warm": RouteType(
        r.Warm,
        (
            Option("cold", Kind.POOL, "The pool to fill.", '"new"'),
            Option("warm", Kind.POOL, "The pool that has the items.", '"old"'),
        ),
    ),
    "all_sync": RouteType(r.AllSync, (_CHILDREN,)),
    "all_majority": RouteType(r.AllMajority, (_CHILDREN,)),
    "all_fastest": RouteType(r.AllFastest, (_CHILDREN,)),
    "all_async": RouteType(r.AllAsync, (_CHILDREN,)),
    "by_prefix": RouteType(
        r.ByPrefix,
        (
            Option("routes", Kind.ROUTES_BY_PREFIX, "Key prefixes and their routes.", '{ "user:" = "main" }'),
            _DEFAULT,
        ),
    ),
    "by_command": RouteType(
        r.ByCommand,
        (
            Option(
                "routes", Kind.ROUTES_BY_COMMAND, "Command groups and their routes.", '{ delete = "main" }'
            ),
            _DEFAULT,
        ),
    ),
    "null": RouteType(r.Null, ()),
    "error": RouteType(r.Error, (option_of(r.Error, "message", Kind.TEXT, "The text behind SERVER_ERROR."),)),
}

SECTIONS = {
    "proxy": "The process: where clients connect.",
    "pools": "Servers that share a key space: one table per pool.",
    "route": "How requests are routed. Default: to the pool, if there is only one.",
    "detection": "When a server that answers is ejected: it is slower than the pool's others, more of its "
    "requests fail, or its connections break again and again.",
    "health": "When an ejected server is probed and restored.",
    "warming": "How a server that came back empty gets its keys again: from the servers of its pool that "
    "hold the other copies.",
    "retry": "The budgets for failovers after timeouts, and for hedged reads.",
    "webhook": "Who is told of changes of servers' states. Without this table, nobody.",
}
