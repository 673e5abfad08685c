"""Draws docs/top.svg: `mcroute top` of a proxy under load, while one of its servers is down.

As a script only: the figures are those of the machine. Needs memcached and Linux.
"""

import asyncio
import contextlib
import re
from pathlib import Path
from random import Random

from mcroute.asyncio import Client
from mcroute.cli.top.app import TopApp
from mcroute.cli.top.commands import Looks
from mcroute.cli.top.figures import SortBy
from mcroute.native import Proxy
from mcroute.policy import HealthSettings, Pool, Replicate, Server, SupervisorSettings
from mcroute.testing import MemcachedServer

PICTURE = Path(__file__).with_name("top.svg")
SIZE = (150, 18)
SERVERS = 8
CLIENTS = 8
LOAD_S = 4.0
SETTINGS = SupervisorSettings(HealthSettings(retry_base_s=3600, retry_cap_s=3600))


async def load(port: int) -> None:
    """One client of the proxy, until it is cancelled."""
    rng = Random(port)
    # The proxy is a memcached to its clients.
    async with Client.of(f"127.0.0.1:{port}") as client:
        while True:
            key = f"user:{int(rng.paretovariate(1.0)) % 500}"
            if await client.get(key) is None:
                await client.set(key, b"x" * 100)
            await asyncio.sleep(0.002)


async def picture() -> str:
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(MemcachedServer()) for _ in range(SERVERS)]
        servers = tuple(Server(f"cache-{i + 1}", s.host, s.port) for i, s in enumerate(processes))
        route = Replicate(Pool("main", servers), 2)
        proxy = stack.enter_context(Proxy(route, threads=2, settings=SETTINGS))
        clients = [asyncio.create_task(load(proxy.port)) for _ in range(CLIENTS)]
        looks = Looks(Server("proxy", "127.0.0.1", proxy.port))
        await asyncio.sleep(LOAD_S / 2)
        processes[2].kill()
        await asyncio.sleep(LOAD_S / 2)
        # The figures are of the time from here to the app's first look.
        looks()
        await asyncio.sleep(LOAD_S / 2)
        app = TopApp("proxy-1:11311", looks, SortBy.STATE, 3600)
        async with app.run_test(size=SIZE) as pilot:
            await pilot.pause(1.0)
            drawn = app.export_screenshot(title="mcroute top proxy-1:11311", simplify=True)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
    # No fonts from elsewhere.
    return re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)


if __name__ == "__main__":
    PICTURE.write_text(asyncio.run(picture()), encoding="utf-8")
