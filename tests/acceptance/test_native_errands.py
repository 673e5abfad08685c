"""What is asked of a thread of the native loop: done between two turns, or an error."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import Iterator

import pytest

from mcroute.policy import Pool, PoolRoute, compile_plan
from mcroute.testing import free_port

from .carriers import HAS_NATIVE, runner

pytestmark = pytest.mark.skipif(not HAS_NATIVE, reason="no epoll")

if HAS_NATIVE:
    from mcroute._loop.threads import LoopThread
    from mcroute.adapters import native_carrier
    from mcroute.adapters.native_proxy import Proxy

run = runner("native")


@pytest.fixture
def bell() -> Iterator[int]:
    bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    yield bell
    os.close(bell)


def test_a_loop_that_does_not_answer_is_an_error_and_what_was_asked_is_not_done_later(bell: int) -> None:
    loop = LoopThread(bell, 1, 0.02)
    loop.will_run()
    # Nobody runs it: it hangs, as seen from here.
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
        def __new__(cls, bell: int, seed: int) -> Hanging:
            return LoopThread.__new__(cls, bell, seed, 0.02)

        def run(self) -> None:
            hanging.append(threading.current_thread())
            is_over.wait()

    monkeypatch.setattr(native_carrier, "LoopThread", Hanging)
    monkeypatch.setattr(native_carrier, "STOP_S", 0.02)

    async def scenario() -> None:
        plan = compile_plan(PoolRoute(Pool.of("main", [f"127.0.0.1:{free_port()}"])))
        proxy = Proxy(plan, threads=2)
        with pytest.raises(RuntimeError, match="has answered nothing"):
            await proxy.start()
        assert not asyncio.get_running_loop().remove_reader(proxy.carrier._bell)

    try:
        run(scenario())
    finally:
        is_over.set()
        for thread in hanging:
            thread.join()
        # Descriptors go with the loops, which an error's traceback may hold.
        gc.collect()
