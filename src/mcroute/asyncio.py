"""mcroute on asyncio, on any loop.

`await start_proxy(route)`, and memcached's clients are served; `Client(route)` is one that needs no proxy.
"""

from __future__ import annotations

import os
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
from .policy import Limits, Plan, Route, SupervisorSettings, compile_plan
from .proxy.descriptors import Descriptors
from .proxy.on_asyncio import Proxy
from .proxy.state_file import lent_state

if TYPE_CHECKING:
    from .config import Config

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
    descriptors: int | None = None,
) -> Proxy:
    """A proxy that listens on `host` and `port` (0: a free one, see `Proxy.port`) and routes as told.

    With `path` it listens on a unix socket there instead. `metrics` is a host and a port for Prometheus, see
    `Proxy.start`. What is not given comes from the configuration, if `route` is one; else it is a free port
    of 127.0.0.1, and no metrics.

    `state_file` is the path of what an earlier proxy has left, and this one leaves: which servers have missed
    writes. Servers that it says nothing of are flushed before they are used if `first_use` is "flush". A
    configuration that names no file means none here. `descriptors` is how many the proxy may have open at
    once: clients for which none would be left wait, so that connections to servers can always be made.

    Raises ConfigError for a route that cannot work or too few descriptors, OSError if the address or the
    state file is not to be had.
    """
    if isinstance(getattr(route, "plan", None), Plan):
        # Told by its look: where nothing reads TOML, the class cannot be imported.
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
        plan = config.plan
    else:
        plan = route if isinstance(route, Plan) else compile_plan(cast("Route", route))
    bound = None
    if descriptors is not None:
        bound = Descriptors(descriptors, 0, has_metrics=metrics is not None)
        # Before anything is made of which there might not be enough.
        bound.clients_max(plan)
    with lent_state(state_file) as state:
        proxy = Proxy(
            plan,
            settings=settings,
            limits=limits,
            rng=rng,
            state=state,
            first_use=first_use or "trust",
            descriptors=bound,
        )
    await proxy.start(host or "127.0.0.1", port or 0, path=path, metrics=metrics)
    return proxy
