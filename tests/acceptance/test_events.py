"""A real server is killed and comes back: the JSON log parses, and hooks get the events."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from mcroute.asyncio import Client, start_proxy
from mcroute.config import load_config
from mcroute.errors import McrouteError
from mcroute.policy import (
    Change,
    HealthSettings,
    Pool,
    Replicate,
    StateChange,
    SupervisorSettings,
)
from mcroute.policy.causes import FlushCause
from mcroute.testing import MemcachedServer, find_memcached, free_port
from tests.observe.receivers import Receiver
from tests.preloading import child_environment

from .clients import Client as DirectClient
from .drivers import NATIVE
from .service import service

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
    pytest.mark.skipif(sys.platform == "win32", reason="signals"),
]

SETTINGS = SupervisorSettings(HealthSettings(retry_base_s=0.05, retry_cap_s=0.1, jitter=0.0))
RETURN = ["out_of_service", "probing", "fencing", "returned"]
FIELDS = {"time", "level", "message", "event", "server", "pools", "before", "after", "cause", "reason"}
FIELDS |= {"figures"}


async def lines_of(process: asyncio.subprocess.Process) -> AsyncIterator[dict[str, Any]]:
    assert process.stderr is not None
    while line := await process.stderr.readline():
        yield json.loads(line)


async def until(lines: AsyncIterator[dict[str, Any]], text: str) -> list[dict[str, Any]]:
    """The lines up to the first one whose message has this text."""
    found = []
    async for fields in lines:
        found.append(fields)
        if text in fields["message"]:
            return found
    raise AssertionError(found)


@pytest.mark.parametrize("loop", ["asyncio", NATIVE])
def test_every_line_of_the_json_log_is_an_object(loop: str, tmp_path: Path) -> None:
    async def run() -> None:
        port, file = free_port(), tmp_path / "mcroute.toml"
        with MemcachedServer() as server, MemcachedServer() as other:
            file.write_text(
                f'[proxy]\nlisten = "127.0.0.1:{port}"\n[pools.main]\ncopies = 2\n'
                f'servers = ["{server.address}", "{other.address}"]\n'
                "[health]\nretry_base_s = 0.05\nretry_cap_s = 0.1\n"
            )
            command = ["-m", "mcroute", "proxy", "--loop", loop, "--log-format", "json", str(file)]
            process = await asyncio.create_subprocess_exec(
                sys.executable, *command, stderr=asyncio.subprocess.PIPE, env=child_environment()
            )
            try:
                lines = lines_of(process)
                [first] = await until(lines, "listens on")
                assert (first["level"], first["message"].split(" (")[0]) == (
                    "info",
                    f"mcroute listens on 127.0.0.1:{port}",
                )
                server.kill()
                found = await until(lines, "is out of service")
                server.start()
                found += await until(lines, "serves again")
                file.write_text("[pools.main]\nservers = []\n")
                process.send_signal(signal.SIGHUP)
                [*_, failed] = await until(lines, "reload failed")
                assert failed["level"] == "error"
                process.send_signal(signal.SIGTERM)
                # To the end: each line is parsed.
                assert [fields async for fields in lines] == []
            finally:
                if process.returncode is None:
                    process.kill()
                await process.wait()
        events = [fields for fields in found if fields.get("server") == server.address]
        assert [fields["event"] for fields in events] == RETURN
        assert all(fields.keys() == FIELDS for fields in events)
        assert {fields["cause"] for fields in events} <= {"unreachable"}
        assert [fields["level"] for fields in events] == ["warning", "debug", "debug", "warning"]
        out_s = events[-1]["figures"]["out_s"]
        assert f"serves again after {out_s:.1f} s" in events[-1]["message"]

    asyncio.run(asyncio.wait_for(run(), 50))


@pytest.mark.parametrize(("content", "status"), [("[pools", 2), ('[proxy]\nlisten = "192.0.2.1:1"\n', 1)])
def test_errors_at_the_start_are_objects_too(content: str, status: int, tmp_path: Path) -> None:
    async def run() -> None:
        file = tmp_path / "mcroute.toml"
        file.write_text(content + ('[pools.main]\nservers = ["127.0.0.1:1"]\n' if status == 1 else ""))
        command = [sys.executable, "-m", "mcroute", "proxy", "--log-format", "json", str(file)]
        process = await asyncio.create_subprocess_exec(
            *command, stderr=asyncio.subprocess.PIPE, env=child_environment()
        )
        *_, last = [fields async for fields in lines_of(process)]
        assert await process.wait() == status
        assert last["level"] == "error"
        assert str(file) in last["message"] or "192.0.2.1:1" in last["message"]

    asyncio.run(asyncio.wait_for(run(), 50))


# ---- the webhook ----


def configured(file: Path, port: int, servers: Sequence[MemcachedServer], url: str) -> None:
    secret = file.with_name("secret")
    secret.write_text("c2VjcmV0\n")
    addresses = ", ".join(f'"{server.address}"' for server in servers)
    file.write_text(
        f'[proxy]\nlisten = "127.0.0.1:{port}"\n[pools.main]\ncopies = 2\nservers = [{addresses}]\n'
        "[health]\nretry_base_s = 0.05\nretry_cap_s = 0.1\n"
        f'[webhook]\nurl = "{url}"\nsecret_file = "{secret}"\nretry_base_s = 0.01\n'
    )


@pytest.mark.parametrize("loop", ["asyncio", NATIVE])
def test_the_webhook_gets_the_events_although_its_receiver_fails_now_and_then(
    loop: str, tmp_path: Path
) -> None:
    async def run() -> None:
        port, file = free_port(), tmp_path / "mcroute.toml"
        with MemcachedServer() as server, MemcachedServer() as other, Receiver(500, 503) as receiver:

            async def posted(last: str) -> list[str]:
                events: list[str] = []
                while last not in events:
                    fields = (await asyncio.to_thread(receiver.posted.get)).fields
                    assert fields["proxy"]["listen"] == f"127.0.0.1:{port}"
                    if fields["server"] == server.address:
                        events.append(fields["event"])
                return events

            configured(file, port, [server, other], receiver.url)
            async with service(loop, file, file.read_text(), port) as proxy:
                server.kill()
                # The first one is sent three times.
                assert await posted("out_of_service") == RETURN[:1]
                server.start()
                assert (await posted("returned"))[-3:] == RETURN[1:]
                client = DirectClient(*await asyncio.open_connection("127.0.0.1", port))
                while (rows := await client.stats())["events_waiting"] != "0" or rows["events_sent"] < "4":
                    await asyncio.sleep(0.01)
                assert (rows["events_failed"], rows["events_dropped"]) == ("0", "0")
                await client.close()
                text = file.read_text()
                proxy.hang_up(text.replace("hooks", "others"))
                while "webhook: another one needs a restart" not in (line := await proxy.line()):
                    assert line

    asyncio.run(asyncio.wait_for(run(), 50))


@pytest.mark.parametrize("loop", ["asyncio", NATIVE])
def test_a_receiver_that_hangs_holds_up_neither_requests_nor_the_end(loop: str, tmp_path: Path) -> None:
    async def run() -> None:
        port, file = free_port(), tmp_path / "mcroute.toml"
        with MemcachedServer() as server, MemcachedServer() as other, Receiver(*["hang"] * 99) as receiver:
            configured(file, port, [server, other], receiver.url)
            async with service(loop, file, file.read_text(), port) as proxy:
                server.kill()
                await asyncio.to_thread(receiver.posted.get)
                client = DirectClient(*await asyncio.open_connection("127.0.0.1", port))
                for number in range(100):
                    assert await client.ask(b"set k%d 0 0 1\r\nx\r\n" % number) == b"STORED\r\n"
                    assert await client.get(f"k{number}") == b"x"
                await client.close()
                # The reply's timeout is 5 s.
                proxy.process.send_signal(signal.SIGTERM)
                await asyncio.wait_for(proxy.process.wait(), 30)
                assert proxy.process.returncode == 0

    asyncio.run(asyncio.wait_for(run(), 50))


def test_a_proxy_of_a_configuration_in_another_process_posts_too(tmp_path: Path) -> None:
    async def run() -> None:
        file = tmp_path / "mcroute.toml"
        with MemcachedServer() as server, MemcachedServer() as other, Receiver() as receiver:
            configured(file, free_port(), [server, other], receiver.url)
            async with await start_proxy(load_config(file)):
                server.kill()
                posted = await asyncio.to_thread(receiver.posted.get)
        assert posted.fields["event"] == "out_of_service"

    asyncio.run(asyncio.wait_for(run(), 50))


def test_without_a_secret_the_proxy_does_not_start(tmp_path: Path) -> None:
    async def run() -> None:
        file = tmp_path / "mcroute.toml"
        configured(file, free_port(), [], "http://127.0.0.1:1/")
        file.write_text(file.read_text().replace("servers = []", 'servers = ["127.0.0.1:1", "127.0.0.1:2"]'))
        (tmp_path / "secret").unlink()
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "mcroute", "proxy", str(file)],
            stderr=asyncio.subprocess.PIPE,
            env=child_environment(),
        )
        _, errors = await process.communicate()
        assert process.returncode == 2
        assert errors.decode().startswith("Error: webhook.secret_file: ")

    asyncio.run(asyncio.wait_for(run(), 50))


# ---- hooks ----

Hook = Callable[[StateChange], object]
Opened = Callable[[Replicate, Hook], AbstractAsyncContextManager[object]]


@asynccontextmanager
async def a_client(route: Replicate, hook: Hook) -> AsyncIterator[None]:
    async with Client(route, settings=SETTINGS, hooks=[hook]):
        yield


@asynccontextmanager
async def a_proxy(route: Replicate, hook: Hook) -> AsyncIterator[None]:
    async with await start_proxy(route, settings=SETTINGS, hooks=[hook]):
        yield


@asynccontextmanager
async def a_native_proxy(route: Replicate, hook: Hook) -> AsyncIterator[None]:
    native = pytest.importorskip("mcroute.native", reason="no epoll")
    proxy = native.Proxy(route, threads=2, settings=SETTINGS, hooks=[hook])
    await asyncio.to_thread(proxy.start)
    try:
        yield
    finally:
        await asyncio.to_thread(proxy.stop)


@pytest.mark.parametrize("opened", [a_client, a_proxy, a_native_proxy])
def test_hooks_see_a_server_that_is_killed_and_comes_back(opened: Opened) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        seen: asyncio.Queue[StateChange] = asyncio.Queue()

        def hook(change: StateChange) -> None:
            loop.call_soon_threadsafe(seen.put_nowait, change)

        async def found(last: Change) -> list[str]:
            changes: list[StateChange] = []
            while not changes or changes[-1].what is not last:
                changes.append(await seen.get())
            return [change.what.value for change in changes if change.server == server.address]

        with MemcachedServer() as server, MemcachedServer() as other:
            route = Replicate(Pool.of("main", [server.address, other.address]), 2)
            async with opened(route, hook):
                server.kill()
                assert await found(Change.OUT_OF_SERVICE) == RETURN[:1]
                server.start()
                assert await found(Change.RETURNED) == RETURN[1:]

    asyncio.run(asyncio.wait_for(run(), 50))


def test_a_server_that_missed_writes_is_replayed_or_flushed_and_gets_its_keys_again() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        seen: asyncio.Queue[StateChange] = asyncio.Queue()

        def hook(change: StateChange) -> None:
            if change.server == server.address:
                loop.call_soon_threadsafe(seen.put_nowait, change)

        async def until(last: Change) -> list[StateChange]:
            changes: list[StateChange] = []
            while not changes or changes[-1].what is not last:
                changes.append(await seen.get())
            return changes

        with MemcachedServer() as server, MemcachedServer() as other:
            pool = Pool.of("main", [server.address, other.address], reply_timeout_s=0.1, deadline_s=0.5)
            async with await start_proxy(Replicate(pool, 2), settings=SETTINGS, hooks=[hook]) as proxy:
                client = await DirectClient.to(proxy)

                async def write(value: int) -> None:
                    for number in range(20):
                        await client.ask(b"set k%d 0 0 1\r\n%d\r\n" % (number, value))

                await write(1)
                server.pause()
                await write(2)
                await until(Change.OUT_OF_SERVICE)
                await write(3)
                server.resume()
                [*steps, returned] = await until(Change.RETURNED)
                replayed = next(change for change in steps if change.what is Change.REPLAYED)
                keys = replayed.figures["deleted_keys"]
                assert keys > 0
                assert returned.figures["deleted_keys"] >= keys
                assert returned.figures["flushes"] == 0

                server.kill()
                await write(4)
                await until(Change.OUT_OF_SERVICE)
                server.start()
                [*steps, returned] = await until(Change.RETURNED)
                flushed = next(change for change in steps if change.what is Change.FLUSHED)
                assert flushed.cause is FlushCause.OTHER_PROCESS
                assert returned.figures["flushes"] == 1
                [*steps, warmed] = await until(Change.WARMED)
                assert Change.WARMING in [change.what for change in steps]
                assert warmed.figures["keys_copied"] + warmed.figures["keys_present"] == 20
                await client.close()

    asyncio.run(asyncio.wait_for(run(), 50))


def test_a_hook_that_hangs_does_not_hold_requests_up_nor_the_end() -> None:
    async def run() -> None:
        called, goes_on = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def hanging(change: StateChange) -> None:
            loop.call_soon_threadsafe(called.set)
            asyncio.run_coroutine_threadsafe(goes_on.wait(), loop).result()

        with MemcachedServer() as server, MemcachedServer() as other:
            route = Replicate(Pool.of("main", [server.address, other.address]), 2)
            async with Client(route, settings=SETTINGS, hooks=[hanging]) as client:
                server.kill()
                await called.wait()
                for number in range(100):
                    assert await client.set(f"k{number}", b"x")
            # The end has not waited for it without a limit.
            with pytest.raises(McrouteError):
                await client.get("k1")
        goes_on.set()

    asyncio.run(asyncio.wait_for(run(), 50))
