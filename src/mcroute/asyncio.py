"""mcroute on asyncio, on any loop.

`await start_proxy(route)`, and memcached's clients are served; `Client(route)` is one that needs no proxy.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, cast

from .adapters.asyncio_client import Client
from .adapters.asyncio_proxy import Proxy
from .adapters.client_errors import (
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
from .adapters.client_requests import Serde
from .policy import Limits, Plan, Route, SupervisorSettings, compile_plan

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
) -> Proxy:
    """A proxy that listens on `host` and `port` (0: a free one, see `Proxy.port`) and routes as told.

    With `path` it listens on a unix socket there instead. `metrics` is a host and a port for Prometheus, see
    `Proxy.start`. What is not given comes from the configuration, if `route` is one; else it is a free port
    of 127.0.0.1, and no metrics.
    Raises ConfigError for a route that cannot work, OSError if the address is not to be had.
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
        plan = config.plan
    else:
        plan = route if isinstance(route, Plan) else compile_plan(cast("Route", route))
    proxy = Proxy(plan, settings=settings, limits=limits, rng=rng)
    await proxy.start(host or "127.0.0.1", port or 0, path=path, metrics=metrics)
    return proxy
