"""A memcached that keeps its items over a restart (-e) is known again, and flushed if it missed writes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcroute.policy import HealthSettings, Pool, Replicate, State, SupervisorSettings
from mcroute.testing import MemcachedServer, find_memcached

from .clients import Client
from .drivers import Run, start_proxy
from .test_model_server import shut_down

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
    pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no /dev/shm"),
]

SETTINGS = SupervisorSettings(HealthSettings(retry_base_s=0.1, retry_cap_s=0.2))
# Longer than the slack with which start times are compared.
ALIVE_S = 6.0


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    path = Path("/dev/shm") / f"{tmp_path.parent.name}-{tmp_path.name}"
    try:
        yield path
    finally:
        for each in path.parent.glob(f"{path.name}*"):
            each.unlink()


def test_a_server_that_keeps_its_items_returns_without_old_values(
    run: Run, driver: str, memory: Path
) -> None:
    async def scenario() -> None:
        with MemcachedServer("-e", str(memory)) as warm, MemcachedServer() as other:
            begun_at = time.monotonic()
            pool = Pool("main", Pool.of("main", [warm.address, other.address]).servers, reply_timeout_s=1)
            proxy = await start_proxy(driver, Replicate(pool, copies=2), settings=SETTINGS)
            state = proxy.supervision.supervisor.state
            client = await Client.to(proxy)
            keys = [f"key-{number}" for number in range(20)]
            for key in keys:
                assert await client.ask(f"set {key} 0 0 3\r\nold\r\n".encode()) == b"STORED\r\n"
            await asyncio.sleep(begun_at + ALIVE_S - time.monotonic())
            await asyncio.to_thread(shut_down, warm)
            for key in keys:
                assert await client.ask(f"set {key} 0 0 3\r\nnew\r\n".encode()) == b"STORED\r\n"
            assert state(0) is not State.UP
            # In the next second, or memcached starts without its items.
            await asyncio.sleep(1.1)
            await asyncio.to_thread(warm.start)
            while state(0) is not State.UP:
                await asyncio.sleep(0.02)
            for key in keys:
                assert await client.ask(f"get {key}\r\n".encode()) == f"VALUE {key} 0 3\r\n".encode()
                assert await client.reader.readuntil(b"END\r\n") == b"new\r\nEND\r\n"
            client.writer.close()
            await proxy.close()

    run(scenario())
