"""Running the proxy until a signal ends it, on the fastest loop that is installed."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from ..asyncio import Proxy, start_proxy
from ..config import Config
from ..errors import ConfigError

__all__ = ("runner", "serve")

_ENDING = ("SIGTERM", "SIGINT")
_RELOADING = ("SIGHUP",)

log = logging.getLogger("mcroute")


def serve(config: Config, reread: Callable[[], Config], listening: Callable[[str, int], None]) -> None:
    """Runs the proxy; `listening` is told host and port once clients can connect.

    The first SIGTERM or SIGINT ends it in peace: requests that have come are answered, within the time that
    the configuration gives. The second one ends it as the system has it. SIGHUP installs the configuration
    that `reread` returns; if that raises ConfigError, the one before stays.

    Raises OSError if it cannot listen.
    """
    runner()(_serve(config, reread, listening))


def runner() -> Callable[[Coroutine[Any, Any, None]], None]:
    """What runs a coroutine to its end: uvloop's `run` where it is installed, else asyncio's."""
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        return asyncio.run
    return uvloop.run


async def _serve(config: Config, reread: Callable[[], Config], listening: Callable[[str, int], None]) -> None:
    stopped, hung_up = asyncio.Event(), asyncio.Event()
    # Before the start: connecting to servers takes a while, and may be interrupted too.
    _on_signals(_ENDING, stopped.set)
    _on_signals(_RELOADING, hung_up.set)
    proxy = await start_proxy(config)
    reloading = _Reloading(proxy, config, reread)
    task = asyncio.create_task(reloading.whenever(hung_up))
    try:
        listening(config.proxy.host, proxy.port)
        await stopped.wait()
    finally:
        _on_signals(_ENDING, None)
        task.cancel()
        await proxy.close(reloading.config.proxy.drain_timeout_s)


class _Reloading:
    """Holds the configuration that is in force, and replaces it."""

    def __init__(self, proxy: Proxy, config: Config, reread: Callable[[], Config]) -> None:
        self.config = config
        self._proxy = proxy
        self._listened = _address(config)
        self._metrics = config.proxy.metrics
        self._reread = reread

    async def whenever(self, wanted: asyncio.Event) -> None:
        while True:
            await wanted.wait()
            # Before the file is read: a signal that comes meanwhile may be about a later version of it.
            wanted.clear()
            try:
                await self._reload()
            except ConfigError as error:
                self._proxy.reload_failed()
                log.error("not reloaded, the configuration of before stays: %s", error)
            except Exception:
                self._proxy.reload_failed()
                log.exception("not reloaded, the configuration of before stays")

    async def _reload(self) -> None:
        # In a thread: the rings of large pools take a while to build.
        config = await asyncio.to_thread(self._reread)
        await self._proxy.reload(config.plan, settings=config.supervisor)
        before, self.config = self.config, config
        log.info("reloaded: %s", _difference(before, config))
        listen = _address(config)
        if listen != self._listened:
            log.warning("proxy.listen: listening on %s instead of %s takes a restart", listen, self._listened)
        if config.proxy.metrics != self._metrics:
            log.warning("proxy.metrics: another address takes a restart")


def _difference(before: Config, after: Config) -> str:
    old, new = ({server.name for server in config.plan.servers} for config in (before, after))
    changes = [
        f"{sign}{name}" for sign, names in (("+", new - old), ("-", old - new)) for name in sorted(names)
    ]
    return f"servers {len(new)}, {' '.join(changes) or 'the same'}"


def _address(config: Config) -> str:
    return f"{config.proxy.host}:{config.proxy.port}"


def _on_signals(names: tuple[str, ...], handler: Callable[[], None] | None) -> None:
    loop = asyncio.get_running_loop()
    for name in names:
        number = getattr(signal, name, None)
        if number is None:
            continue
        try:
            if handler is None:
                loop.remove_signal_handler(number)
            else:
                loop.add_signal_handler(number, handler)
        except NotImplementedError:
            # Windows: Ctrl-C is a KeyboardInterrupt, which closes the proxy too; nothing reloads.
            return
