"""A proxy for memcached servers on this host: proxy.py PORT SERVER_PORT... ; ends on SIGTERM or Ctrl-C."""

import asyncio
import signal
import sys

from mcroute.asyncio import start_proxy
from mcroute.policy import Pool, PoolRoute

try:
    from uvloop import run
except ImportError:
    from asyncio import run  # type: ignore[assignment]  # it has fewer arguments


async def main(port: int, *servers: int) -> None:
    pool = Pool.of("main", [f"127.0.0.1:{server}" for server in servers])
    proxy = await start_proxy(PoolRoute(pool), port=port)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await proxy.close()


run(main(*map(int, sys.argv[1:])))
