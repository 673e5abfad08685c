"""The cost of a scrape by Prometheus: scrape.py [SERVERS], by default a hundred.

A proxy on asyncio and a native one, each with that many names of one memcached, all of which have answered;
a client in a separate process sends one request after the other. For each proxy: series and size of the
page, CPU time to make it, and the client's slowest request while a page was made, and in an equal time
without; medians of several pages.
"""

import asyncio
import multiprocessing
import socket
import statistics
import sys
import time
from multiprocessing.connection import Connection

from prometheus_client import CollectorRegistry, generate_latest

from mcroute.asyncio import start_proxy
from mcroute.native import Proxy
from mcroute.observe.observation import Observed
from mcroute.observe.prometheus import ProxyCollector
from mcroute.policy import Pool, PoolRoute, Server
from mcroute.testing import MemcachedServer

PAGES = 20
EVERY_SERVER = b"get" + b"".join(b" key:%d" % i for i in range(5000)) + b"\r\n"


def client(pipe: Connection) -> None:
    """Receives a port, sends requests between two messages, and returns the slowest in seconds."""
    with socket.create_connection(("127.0.0.1", pipe.recv())) as proxy:

        def ask(request: bytes) -> float:
            began = time.perf_counter()
            proxy.sendall(request)
            while not proxy.recv(1 << 16).endswith(b"\r\n"):
                pass
            return time.perf_counter() - began

        for request in (EVERY_SERVER, b"set k 0 0 1\r\nv\r\n", b"touch k 9\r\n", b"delete k\r\n"):
            ask(request)
        while pipe.recv():
            slowest = 0.0
            while not pipe.poll():
                slowest = max(slowest, ask(b"get k\r\n"))
            pipe.recv()
            pipe.send(slowest)


def page(registry: CollectorRegistry) -> tuple[bytes, float]:
    began = time.thread_time()
    text = generate_latest(registry)
    return text, time.thread_time() - began


def measure(name: str, observed: Observed, port: int) -> str:
    pipe, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=client, args=(theirs,), daemon=True)
    process.start()
    pipe.send(port)
    registry = CollectorRegistry()
    registry.register(ProxyCollector(observed))
    text, costs = b"", []
    slowest: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(PAGES):
        for is_scraped, taken in slowest.items():
            pipe.send(True)
            time.sleep(0.1)
            if is_scraped:
                text, cost = page(registry)
                costs.append(cost)
            else:
                time.sleep(cost)
            pipe.send(None)
            taken.append(pipe.recv())
    pipe.send(False)
    process.join()
    series = sum(not line.startswith(b"#") for line in text.splitlines())
    cost, while_made, without = (1e3 * statistics.median(v) for v in (costs, slowest[True], slowest[False]))
    return (
        f"{name}: {series} series, {len(text) >> 10} KiB, {cost:.1f} ms of CPU; "
        f"slowest request {while_made:.1f} ms, without {without:.1f} ms"
    )


async def on_asyncio(route: PoolRoute) -> None:
    async with await start_proxy(route) as proxy:
        print(await asyncio.to_thread(measure, "asyncio", proxy, proxy.port))


def native(route: PoolRoute) -> None:
    with Proxy(route, threads=1) as proxy:
        print(measure("native", proxy, proxy.port))


def main(servers: int = 100) -> None:
    with MemcachedServer() as server:
        host, _, port = server.address.rpartition(":")
        names = tuple(Server(f"cache{i}", host, int(port)) for i in range(servers))
        asyncio.run(on_asyncio(PoolRoute(Pool("main", names))))
        native(PoolRoute(Pool("main", names)))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
