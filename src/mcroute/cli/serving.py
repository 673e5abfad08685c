"""Running the proxy until a signal ends it, on the fastest loop that is installed."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from ..asyncio import start_proxy
from ..config import Config

__all__ = ("runner", "serve")

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def serve(config: Config, listening: Callable[[str, int], None]) -> None:
    """Runs the proxy; `listening` is told host and port once clients can connect.

    The first SIGTERM or SIGINT ends it in peace: requests that have come are answered, within the time that
    the configuration gives. The second one ends it as the system has it. Raises OSError if it cannot listen.
    """
    runner()(_serve(config, listening))


def runner() -> Callable[[Coroutine[Any, Any, None]], None]:
    """What runs a coroutine to its end: uvloop's `run` where it is installed, else asyncio's."""
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        return asyncio.run
    return uvloop.run


async def _serve(config: Config, listening: Callable[[str, int], None]) -> None:
    stopped = asyncio.Event()
    # Before the start: connecting to servers takes a while, and may be interrupted too.
    _on_signals(stopped.set)
    proxy = await start_proxy(config.plan, config.proxy.host, config.proxy.port, settings=config.supervisor)
    try:
        listening(config.proxy.host, proxy.port)
        await stopped.wait()
    finally:
        _on_signals(None)
        await proxy.close(config.proxy.drain_timeout_s)


def _on_signals(handler: Callable[[], None] | None) -> None:
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        try:
            if handler is None:
                loop.remove_signal_handler(number)
            else:
                loop.add_signal_handler(number, handler)
        except NotImplementedError:
            # Windows: Ctrl-C is a KeyboardInterrupt, which closes the proxy too.
            return
