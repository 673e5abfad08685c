"""Runs the proxy until a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.util
import logging
import os
import signal
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..config import Config, ProxySettings
from ..config.schema import LIMITS
from ..errors import ConfigError
from ..policy import Upkeep
from ..policy.servers import host_and_port
from ..proxy.descriptors import Descriptors
from ..proxy.state_file import StateFile
from .loading import load
from .log_lines import LogFormat, LogLines
from .signals import ENDING, RELOADING, noted_signals

if TYPE_CHECKING:
    from ..observe.hooks import Hook
    from ..proxy.service import Service

__all__ = ("run_proxy", "runner", "serve")

# The limit of open files that a proxy asks for: each client takes one descriptor.
DESCRIPTORS = 1 << 20

log: logging.Logger = logging.getLogger("mcroute")


def run_proxy(
    path: str,
    loop: str | None = None,
    threads: int | None = None,
    log_format: LogFormat | None = None,
) -> int:
    """Runs the proxy by this configuration file until a signal ends it. The other arguments override it.

    Returns the exit status: 0 after a signal, 1 if it cannot listen, 2 for a mistake in the configuration.
    """

    def read(warn: Callable[[str], None]) -> Config:
        loaded = load(path, warn)
        settings = loaded.proxy
        return replace(
            loaded,
            proxy=replace(
                settings,
                loop=loop or settings.loop,
                threads=settings.threads if threads is None else threads,
                log_format=log_format or settings.log_format,
            ),
        )

    lines, warnings = None, list[str]()
    try:
        config = read(warnings.append)
        lines = LogLines(config.proxy.log_format)
        for warning in warnings:
            lines.warning(warning)
        return _run(config, lambda: read(lines.warning), lines, f"{path}.state")
    except ConfigError as error:
        (lines or LogLines(log_format or "text")).error(str(error))
        return 2
    except KeyboardInterrupt:
        return 0


def _run(config: Config, reread: Callable[[], Config], lines: LogLines, state_file: str) -> int:
    def listening(address: str, how: str) -> None:
        lines.info(f"mcroute listens on {address} ({how})")

    try:
        serve(config, reread, listening, state_file)
    except OSError as error:
        where = error.filename or config.proxy.listen
        lines.error(f"cannot listen on {where}: {error.strerror or error}")
        return 1
    return 0


def serve(
    config: Config,
    reread: Callable[[], Config],
    listening: Callable[[str, str], None],
    state_file: str = "",
) -> None:
    """Runs the proxy; calls `listening` with the address and the kind of loop once clients can connect.

    `state_file` is the default where the configuration names none.

    The first SIGTERM or SIGINT drains: pending requests are answered, within the configured time. The second
    one ends the process at once. SIGHUP installs the configuration that `reread` returns; if `reread` raises
    ConfigError, the current configuration stays.

    Raises OSError if the proxy cannot listen, ConfigError for a loop that is not available.
    """
    _raise_descriptor_limit()
    # Native threads carry the bytes by themselves: the loop that supervises them is not worth uvloop's 2 MiB.
    run = runner() if _is_on_asyncio(config) else asyncio.run
    run(_serve(config, reread, listening, _open_state(config.proxy, state_file)))


def runner() -> Callable[[Coroutine[Any, Any, None]], None]:
    """A function that runs a coroutine to its end: uvloop's `run` if uvloop is installed, else asyncio's."""
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        return asyncio.run
    return uvloop.run


def _raise_descriptor_limit() -> None:
    # Windows has no such limit; elsewhere the process may lack permission to raise it.
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource  # noqa: PLC0415

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _descriptors(config: Config, threads: int) -> Descriptors | None:
    """The descriptors of this process, with this number of native threads; None where there is no limit.

    Raises ConfigError if the limit is too low.
    """
    try:
        import resource  # noqa: PLC0415

        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        # Minus the descriptor that lists the directory.
        taken = len(os.listdir("/dev/fd")) - 1
    except (ImportError, OSError):
        return None
    if limit == resource.RLIM_INFINITY:
        return None
    descriptors = Descriptors(limit, taken, threads, has_metrics=config.proxy.metrics is not None)
    # Checked before anything is opened.
    descriptors.clients_max(config.plan)
    return descriptors


def _open_state(settings: ProxySettings, default: str) -> StateFile | None:
    """Opens the files. Warns if `default` cannot be used; raises ConfigError if a configured one cannot."""
    wanted, journal = settings.state_file, settings.journal_file
    if wanted == "none" or not (wanted or default):
        return None
    try:
        return StateFile(wanted or default, journal or None, settings.limits)
    except OSError as error:
        if journal and error.filename == journal:
            raise ConfigError(
                "proxy.journal_file", f"{journal} cannot be used: {error.strerror or error}"
            ) from None
        if wanted or journal:
            raise ConfigError(
                "proxy.state_file", f"{wanted or default} cannot be used: {error.strerror or error}"
            ) from None
        log.warning(
            "no state file, a restart will not know of servers that missed writes: %s: %s", default, error
        )
        return None


def _is_on_asyncio(config: Config) -> bool:
    """Whether the configuration asks for asyncio, or only asyncio is available.

    Raises ConfigError if the configuration asks for a native loop that is not available.
    """
    has_native = importlib.util.find_spec("mcroute._loop.threads") is not None
    if config.proxy.loop == "native" and not has_native:
        raise ConfigError("proxy.loop", "the native loop needs Linux; write asyncio")
    return config.proxy.loop == "asyncio" or not has_native


def _make(config: Config, state: StateFile | None) -> tuple[Service, str]:
    """A proxy that is not started yet, and the kind of its loop in words."""
    # Imported late: a process needs one of the two, and each takes a MiB.
    if _is_on_asyncio(config):
        from ..proxy.on_asyncio import Proxy  # noqa: PLC0415

        proxy = Proxy(
            config.plan,
            hooks=_hooks(config),
            settings=config.supervisor,
            limits=config.proxy.limits,
            state=state,
            first_use=config.proxy.first_use,
            descriptors=_descriptors(config, 0),
            upkeep=Upkeep(journal_fsync_s=config.proxy.journal_fsync_s),
        )
        return proxy, "asyncio"
    from ..proxy.native_service import NativeService, default_threads  # noqa: PLC0415

    threads = config.proxy.threads or default_threads()
    native = NativeService(
        config.plan,
        threads=threads,
        hooks=_hooks(config),
        settings=config.supervisor,
        limits=config.proxy.limits,
        state=state,
        first_use=config.proxy.first_use,
        descriptors=_descriptors(config, threads),
        upkeep=Upkeep(journal_fsync_s=config.proxy.journal_fsync_s),
    )
    count = len(native.driver.threads)
    return native, f"native loop, {count} thread{'s' * (count > 1)}"


def _hooks(config: Config) -> list[Hook]:
    if config.webhook is None:
        return []
    # Imported late: the webhook's libraries take 6 MiB.
    from ..observe.webhook import Webhook  # noqa: PLC0415

    return [Webhook(config.webhook, config.proxy.listen)]


async def _serve(
    config: Config,
    reread: Callable[[], Config],
    listening: Callable[[str, str], None],
    state: StateFile | None,
) -> None:
    stopped, hung_up = asyncio.Event(), asyncio.Event()
    # Before the start: connecting to servers takes time, and may be interrupted too.
    _on_signals(ENDING, stopped)
    _on_signals(RELOADING, hung_up)
    proxy, how = _make(config, state)
    at = config.proxy
    starting = asyncio.create_task(proxy.start(at.host, at.port, path=at.path, metrics=at.metrics))
    if not await _ends_before(starting, stopped):
        return
    reloading = _Reloading(proxy, config, reread)
    task = asyncio.create_task(reloading.whenever(hung_up))
    try:
        listening(at.listen if at.path else host_and_port(at.host, proxy.port), how)
        await stopped.wait()
    finally:
        _on_signals(ENDING, None)
        task.cancel()
        await proxy.close(reloading.config.proxy.drain_timeout_s)


class _Reloading:
    """Holds the current configuration, and replaces it."""

    def __init__(self, proxy: Service, config: Config, reread: Callable[[], Config]) -> None:
        self.config = config
        self._proxy = proxy
        self._begun = config.proxy
        self._begun_webhook = config.webhook
        self._reread = reread

    async def whenever(self, wanted: asyncio.Event) -> None:
        while True:
            await wanted.wait()
            # Cleared before the file is read: a signal that comes meanwhile may be about a later version.
            wanted.clear()
            try:
                await self._reload()
            except ConfigError as error:
                self._proxy.reload_failed()
                log.error("reload failed, still using the previous configuration: %s", error)
            except Exception:
                self._proxy.reload_failed()
                log.exception("reload failed, still using the previous configuration")
            # The previous configuration would stay until the next full collection, and so would freed tuples:
            # CPython keeps up to two thousand of each size, and a reload adds to them.
            gc.collect()

    async def _reload(self) -> None:
        # In a thread: the rings of large pools take long to build.
        config = await asyncio.to_thread(self._reread)
        await self._proxy.reload(config.plan, settings=config.supervisor)
        before, self.config = self.config, config
        log.info("reloaded: %s", _difference(before, config))
        if config.webhook != self._begun_webhook:
            log.warning("webhook: another one needs a restart")
        for option in (*RESTARTING, *(option.name for option in LIMITS)):
            old, new = (_value_in(settings, option) for settings in (self._begun, config.proxy))
            if new != old:
                log.warning("proxy.%s: %s instead of %s needs a restart", option, _shown(new), _shown(old))


# Options of the proxy that need a restart, beside the limits.
RESTARTING = (
    "listen",
    "metrics",
    "loop",
    "threads",
    "log_format",
    "state_file",
    "first_use",
    "journal_file",
    "journal_fsync_s",
)


def _value_in(settings: ProxySettings, option: str) -> object:
    return getattr(settings if hasattr(settings, option) else settings.limits, option)


def _shown(value: object) -> object:
    if isinstance(value, tuple):
        return host_and_port(*value)
    return value or "the default"


def _difference(before: Config, after: Config) -> str:
    old, new = ({server.name for server in config.plan.servers} for config in (before, after))
    changes = [
        f"{sign}{name}" for sign, names in (("+", new - old), ("-", old - new)) for name in sorted(names)
    ]
    return f"servers {len(new)}, {' '.join(changes) or 'the same'}"


async def _ends_before(task: asyncio.Task[None], event: asyncio.Event) -> bool:
    """Whether the task ends before the event, which cancels the task. Raises the task's exception."""
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not task.done():
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return not task.cancelled()


def _on_signals(names: tuple[str, ...], event: asyncio.Event | None) -> None:
    """From now on these signals set the event; signals noted earlier set it at once."""
    loop = asyncio.get_running_loop()
    for name in names:
        number = getattr(signal, name, None)
        if number is None:
            continue
        try:
            if event is None:
                loop.remove_signal_handler(number)
            else:
                loop.add_signal_handler(number, event.set)
        except NotImplementedError:
            # Windows: Ctrl-C raises KeyboardInterrupt, which closes the proxy too; no signal reloads.
            signal.signal(number, signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL)
    if event is not None and noted_signals(names):
        event.set()
