"""mcroute on any asyncio loop.

`await start_proxy(route)` serves memcached's clients; `Client(route)` is a client without a proxy.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Literal, cast

from .client.errors import (
    ClientClosed,
    IllegalInput,
    NoServer,
    Overloaded,
    RequestFailed,
    RequestRefused,
    RequestTimeout,
    ServerLost,
    ServerRefused,
    UnexpectedReply,
    UnknownCommand,
    WrongLoop,
)
from .client.on_asyncio import Client
from .client.requests import Serde
from .policy import Limits, Plan, Route, StateChange, SupervisorSettings, Upkeep, compile_plan
from .proxy.descriptors import Descriptors
from .proxy.on_asyncio import Proxy
from .proxy.state_file import lent_state

if TYPE_CHECKING:
    from .config import Config
    from .observe.hooks import Hook

__all__ = (
    "Client",
    "ClientClosed",
    "IllegalInput",
    "NoServer",
    "Overloaded",
    "Proxy",
    "RequestFailed",
    "RequestRefused",
    "RequestTimeout",
    "Serde",
    "ServerLost",
    "ServerRefused",
    "StateChange",
    "UnexpectedReply",
    "UnknownCommand",
    "WrongLoop",
    "start_proxy",
)


async def start_proxy(
    route: Route | Plan | Config,
    host: str | None = None,
    port: int | None = None,
    *,
    settings: SupervisorSettings | None = None,
    limits: Limits | None = None,
    rng: Random | None = None,
    path: str = "",
    metrics: tuple[str, int] | None = None,
    state_file: str | os.PathLike[str] | None = None,
    first_use: Literal["trust", "flush"] | None = None,
    journal_file: str | os.PathLike[str] | None = None,
    descriptors: int | None = None,
    hooks: Sequence[Hook] = (),
) -> Proxy:
    """Starts a proxy that listens on `host` and `port` (0: a free one, see `Proxy.port`).

    `route` is a route, a plan or a configuration. With `path` the proxy listens on a unix socket instead.
    `metrics` is a host and a port for Prometheus, see `Proxy.start`. A configuration gives the defaults of
    all arguments; otherwise the default is a free port of 127.0.0.1, without metrics.

    `state_file` is a path: the file keeps the servers' missed writes from one proxy to the next.
    Servers that the file does not list are flushed before use if `first_use` is "flush". A configuration
    without a state file means none here. `journal_file`, another path, needs a state file and Linux: it keeps
    the keys that servers missed, so that the next proxy need not flush these servers. `descriptors` is the
    number of descriptors that the proxy may have open at once: the proxy reserves some of them for
    connections to servers, and further clients wait. `hooks` are functions: each is called with each
    `StateChange` of a server or pool, in a thread of its own. The webhook of a configuration is one more.

    Raises ConfigError for a route that cannot work or too few descriptors, OSError if the address or one of
    the files is not available, ValueError for a journal file without a state file.
    """
    upkeep = Upkeep()
    if isinstance(getattr(route, "plan", None), Plan):
        # Found by its `plan`: on Python 3.10 without tomli, an import of Config would fail.
        config = cast("Config", route)
        host = config.proxy.host if host is None else host
        port = config.proxy.port if port is None else port
        path = config.proxy.path if not host else path
        settings = settings or config.supervisor
        limits = limits or config.proxy.limits
        metrics = metrics or config.proxy.metrics
        if state_file is None and config.proxy.state_file != "none":
            state_file = config.proxy.state_file or None
        first_use = first_use or config.proxy.first_use
        if journal_file is None and state_file is not None:
            journal_file = config.proxy.journal_file or None
        if config.webhook is not None:
            from .observe.webhook import Webhook  # noqa: PLC0415

            hooks = (*hooks, Webhook(config.webhook, config.proxy.listen))
        upkeep = Upkeep(journal_fsync_s=config.proxy.journal_fsync_s)
        plan = config.plan
    else:
        plan = route if isinstance(route, Plan) else compile_plan(cast("Route", route))
    bound = None
    if descriptors is not None:
        bound = Descriptors(descriptors, 0, has_metrics=metrics is not None)
        # Raises ConfigError before the proxy opens a descriptor.
        bound.clients_max(plan)
    with lent_state(state_file, journal_file, limits) as state:
        proxy = Proxy(
            plan,
            settings=settings,
            limits=limits,
            rng=rng,
            state=state,
            first_use=first_use or "trust",
            descriptors=bound,
            upkeep=upkeep,
            hooks=hooks,
        )
    await proxy.start(host or "127.0.0.1", port or 0, path=path, metrics=metrics)
    return proxy
