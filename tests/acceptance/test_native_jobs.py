"""Jobs of a thread of the native loop: each is done between two turns, or raises an error."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from mcroute.policy import (
    Error,
    HealthSettings,
    Null,
    Pool,
    PoolRoute,
    ServerState,
    SupervisorSettings,
    compile_plan,
)
from mcroute.testing import EmbeddedServer, free_port

from .clients import Client
from .drivers import HAS_NATIVE, runner

pytestmark = pytest.mark.skipif(not HAS_NATIVE, reason="no epoll")

if HAS_NATIVE:
    from mcroute._loop.threads import LoopThread
    from mcroute.drivers.native import driver as native_driver
    from mcroute.drivers.native.engine import NativeEngine
    from mcroute.proxy.native_service import NativeService

run = runner("native")


@pytest.fixture
def notify_fd() -> Iterator[int]:
    notify_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    yield notify_fd
    os.close(notify_fd)


def test_a_job_that_a_loop_does_not_begin_raises_and_is_not_done_later(notify_fd: int) -> None:
    loop = LoopThread(notify_fd, 1, 0.02)
    loop.will_run()
    # No thread runs it: the loop hangs, as seen from here.
    with pytest.raises(RuntimeError, match="has answered nothing"):
        loop.stop()
    with pytest.raises(RuntimeError, match="has answered nothing"):
        loop.clients()
    running = threading.Thread(target=loop.run)
    running.start()
    while True:
        try:
            assert loop.clients() == 0
            break
        except RuntimeError:
            time.sleep(0.005)
    assert running.is_alive()
    loop.stop()
    running.join()


def test_a_proxy_closes_though_a_thread_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    is_over = threading.Event()
    hanging: list[threading.Thread] = []

    class Hanging(LoopThread):
        def __new__(cls, notify_fd: int, seed: int) -> Hanging:
            return LoopThread.__new__(cls, notify_fd, seed, 0.02)

        def run(self) -> None:
            hanging.append(threading.current_thread())
            is_over.wait()

    monkeypatch.setattr(native_driver, "LoopThread", Hanging)
    monkeypatch.setattr(native_driver, "STOP_S", 0.02)

    async def scenario() -> None:
        plan = compile_plan(PoolRoute(Pool.of("main", [f"127.0.0.1:{free_port()}"])))
        proxy = NativeService(plan, threads=2)
        with pytest.raises(RuntimeError, match="has answered nothing"):
            await proxy.start()
        assert not asyncio.get_running_loop().remove_reader(proxy.driver._notify_fd)

    try:
        run(scenario())
    finally:
        is_over.set()
        for thread in hanging:
            thread.join()
        # Descriptors are closed with the loops, to which an error's traceback may refer.
        gc.collect()


# ---- all threads at one moment ----


@contextlib.contextmanager
def run_by_a_thread(loop: LoopThread) -> Iterator[None]:
    """Jobs wait for it already."""
    running = threading.Thread(target=loop.run)
    running.start()
    try:
        yield
    finally:
        loop.stop()
        running.join()


@contextlib.contextmanager
def one_serves_and_one_is_to_come(
    notify_fd: int, timeout_s: float
) -> Iterator[tuple[NativeEngine, LoopThread, socket.socket, threading.Thread]]:
    """Two loops with the plan `Null`, the second of them, a client of the first; what changes to `Error`."""
    loops = LoopThread(notify_fd, 1, timeout_s), LoopThread(notify_fd, 2, timeout_s)
    engine = NativeEngine(loops)
    engine.install(compile_plan(Null()))
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.setblocking(False)
        port = listener.getsockname()[1]
        loops[0].listen(listener.detach())
        error = compile_plan(Error("another plan"))
        engine.admit(error)
        for loop in loops:
            loop.will_run()
        stack.enter_context(run_by_a_thread(loops[0]))
        client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
        yield engine, loops[1], client, threading.Thread(target=engine.install, args=(error,))


def test_no_thread_serves_by_another_plan_before_all_do(notify_fd: int) -> None:
    with one_serves_and_one_is_to_come(notify_fd, 10) as (_, late, client, installing):
        client.sendall(b"get k\r\n")
        assert client.recv(100) == b"END\r\n"
        installing.start()
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            # Requests that it begins before the other thread's job run by the previous plan.
            while True:
                client.sendall(b"get k\r\n")
                assert client.recv(100) == b"END\r\n"
        client.settimeout(10)
        with run_by_a_thread(late):
            # The request may have begun in the turn before.
            assert client.recv(100) in (b"END\r\n", b"SERVER_ERROR another plan\r\n")
            installing.join()
            client.sendall(b"get k\r\n")
            assert client.recv(100) == b"SERVER_ERROR another plan\r\n"


def test_a_thread_that_does_not_reach_the_barrier_does_not_hold_up_the_others(notify_fd: int) -> None:
    with one_serves_and_one_is_to_come(notify_fd, 2) as (engine, late, client, installing):
        installing.start()
        for _ in range(2000):
            client.sendall(b"get k\r\n")
            if client.recv(100) == b"SERVER_ERROR another plan\r\n":
                break
            time.sleep(0.005)
        else:
            pytest.fail("it has waited for the other one")
        installing.join()
        assert late.has_admitted()
        assert engine.free_plans() > 0
        with run_by_a_thread(late):
            while engine.free_plans() > 0:
                time.sleep(0.005)
            assert not late.has_admitted()


# ---- jobs that fail in the middle of something ----


class Late:
    """A thread that does not begin one job in time, once."""

    def __init__(self, thread: LoopThread, job: str) -> None:
        self._thread = thread
        self._job = job
        self.was_late = False

    def __getattr__(self, name: str) -> Any:
        if name != self._job or self.was_late:
            return getattr(self._thread, name)
        self.was_late = True
        return self._be_late

    def _be_late(self, *_: object) -> None:
        raise RuntimeError("a thread of the native loop has answered nothing for 30 s")


def make_late(monkeypatch: pytest.MonkeyPatch, proxy: NativeService, job: str) -> Late:
    """The first thread."""
    first, *others = proxy.driver.threads
    late = Late(first, job)
    monkeypatch.setattr(proxy.engine, "_threads", (late, *others))
    monkeypatch.setattr(proxy.driver, "threads", (late, *others))
    return late


QUICK = SupervisorSettings(HealthSettings(retry_base_s=0.05, retry_cap_s=0.05))


def test_servers_go_out_and_come_back_without_waiting_for_a_thread(
    notify_fd: int, caplog: pytest.LogCaptureFixture
) -> None:
    loops = [LoopThread(notify_fd, seed, 0.02) for seed in (1, 2)]
    engine = NativeEngine(loops)
    engine.install(compile_plan(PoolRoute(Pool.of("main", ["a:1", "b:1"]))))
    for loop in loops:
        loop.will_run()
    # No thread runs them: the loops hang, as seen from here.
    with pytest.raises(RuntimeError, match="has answered nothing"):
        loops[0].clients()
    for server in range(2):
        engine.set_server_state(server, ServerState.EJECTED)
        engine.retry_now(server)
        engine.set_item_size_max(server, 1 << 20)
    assert engine.out() == {0, 1}
    engine.set_server_state(1, ServerState.UP)
    assert engine.out() == {0}
    assert not caplog.messages
    for loop in loops:
        loop.will_run(False)


def test_all_threads_share_a_servers_state_word_when_one_admits_its_plan_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        with EmbeddedServer() as server:
            plan = compile_plan(PoolRoute(Pool.of("main", [server.address])))
            async with NativeService(compile_plan(Null()), threads=2) as proxy:
                await proxy.start()
                with monkeypatch.context() as patch:
                    make_late(patch, proxy, "admit")
                    with pytest.raises(RuntimeError):
                        await proxy.reload(plan)
                await proxy.reload(plan)
                proxy.engine._shared.set_state(proxy.engine.server_ids()[server.address], ServerState.EJECTED)
                name = server.address.encode()
                # Without an await, during which the supervisor would restore the last one.
                for _ in range(8):
                    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
                        client.sendall(b"get k\r\n")
                        assert client.recv(100) == b"SERVER_ERROR server %b is out of service\r\n" % name

    run(scenario())


def test_events_of_a_thread_that_were_not_all_taken_are_read_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(native_driver, "RETRY_S", 0.05)

    async def scenario() -> None:
        # Another thread would wake the supervising one by its own events.
        async with NativeService(compile_plan(Null()), threads=1) as proxy:
            await proxy.start()
            late = make_late(monkeypatch, proxy, "acknowledge")
            client = await Client.to(proxy)
            for _ in range(2):
                assert await client.stats()
            assert late.was_late
            assert "the events of a thread are read again" in caplog.text
            await client.close()

    run(scenario())
