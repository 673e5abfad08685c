"""The drivers of a proxy. Acceptance tests run on each driver and expect the same of all."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable, Coroutine
from random import Random
from typing import TYPE_CHECKING, TypeAlias

import pytest

from mcroute.drivers.asyncio.environment import Environment
from mcroute.policy import Limits, Route, SupervisorSettings, Upkeep, compile_plan
from mcroute.proxy.descriptors import Descriptors
from mcroute.proxy.on_asyncio import Proxy

if TYPE_CHECKING:
    from mcroute.proxy.native_service import NativeService

AnyProxy: TypeAlias = "Proxy | NativeService"

HAS_UVLOOP = importlib.util.find_spec("uvloop") is not None
HAS_NATIVE = importlib.util.find_spec("mcroute._loop.threads") is not None
NATIVE = pytest.param("native", marks=pytest.mark.skipif(not HAS_NATIVE, reason="no epoll"))
LOOPS = ["asyncio", pytest.param("uvloop", marks=pytest.mark.skipif(not HAS_UVLOOP, reason="no uvloop"))]
DRIVERS = [*LOOPS, NATIVE]
# A client uses several connections for one key, so that the threads must agree.
NATIVE_THREADS = 2

Run = Callable[[Coroutine[object, object, None]], None]


async def start_proxy(
    driver: str,
    route: Route,
    *,
    settings: SupervisorSettings | None = None,
    threads: int = NATIVE_THREADS,
    path: str = "",
    descriptors: Descriptors | None = None,
    limits: Limits | None = None,
    upkeep: Upkeep | None = None,
    environment: Environment | None = None,
) -> AnyProxy:
    """A proxy on the running loop, or on threads beside it; at this path if there is one."""
    proxy: AnyProxy
    if driver == "native":
        from mcroute.proxy.native_service import NativeService  # noqa: PLC0415

        proxy = NativeService(
            compile_plan(route),
            threads=threads,
            settings=settings,
            limits=limits,
            rng=Random(1),
            descriptors=descriptors,
            upkeep=upkeep,
            environment=environment,
        )
    else:
        proxy = Proxy(
            compile_plan(route),
            settings=settings,
            limits=limits,
            rng=Random(1),
            descriptors=descriptors,
            upkeep=upkeep,
            environment=environment,
        )
    await proxy.start(path=path)
    return proxy


def runner(driver: str) -> Run:
    """Runs a scenario to its end, on the driver's loop, for at most 50 seconds."""

    async def bounded(scenario: Coroutine[object, object, None]) -> None:
        # An event loop may swallow the exception of a signal handler, such as the plugin's own timeout.
        await asyncio.wait_for(scenario, 50)

    def run(scenario: Coroutine[object, object, None]) -> None:
        if driver == "uvloop":
            import uvloop  # noqa: PLC0415

            uvloop.run(bounded(scenario))
        else:
            asyncio.run(bounded(scenario))

    return run
