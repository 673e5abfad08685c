"""mcroute on asyncio, on any loop.

`await start_proxy(route)`, and memcached's clients are served; `Client(route)` is one that needs no proxy.
"""

from __future__ import annotations

from random import Random

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
from .policy import Plan, Route, SupervisorSettings, compile_plan

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
    route: Route | Plan,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    settings: SupervisorSettings | None = None,
    rng: Random | None = None,
) -> Proxy:
    """A proxy that listens on `host` and `port` (0: a free one, see `Proxy.port`) and routes as told.

    Raises ConfigError for a route that cannot work, OSError if the address is not to be had.
    """
    plan = route if isinstance(route, Plan) else compile_plan(route)
    proxy = Proxy(plan, settings=settings, rng=rng)
    await proxy.start(host, port)
    return proxy
