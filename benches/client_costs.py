"""The cost of mcroute.asyncio.Client, compared between trees: client_costs.py SRC [SRC].

    python benches/client_costs.py src ../before/src

Each SRC is the `src` of a built tree. CPU time per key, in microseconds: with a route that answers by itself
(the client's own part), and over one memcached. Trees take turns in short rounds; the table has medians.
The last column is the median of the ratios, first tree to second.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from mcroute.asyncio import Client
from mcroute.policy import Null
from mcroute.testing import MemcachedServer

CALLS = 2000
ROUNDS = 15
TOGETHER = 50
KEYS = 100
VALUE = b"x" * 100


def workloads(client: Any) -> dict[str, Callable[[], Awaitable[object]]]:
    """By name: a coroutine; the name has its number of keys."""
    names = [f"key:{i}" for i in range(KEYS)]
    return {
        "get": lambda: client.get("key:0"),
        "set": lambda: client.set("key:0", VALUE),
        "set noreply": lambda: client.set("key:0", VALUE, noreply=True),
        f"get, {TOGETHER} at once": lambda: asyncio.gather(*(client.get("key:0") for _ in range(TOGETHER))),
        f"get_many of {KEYS}": lambda: client.get_many(names),
        f"set_many of {KEYS}": lambda: client.set_many(dict.fromkeys(names, VALUE)),
    }


def keys_of(name: str) -> int:
    return next((int(word) for word in name.split() if word.isdigit()), 1)


async def work(address: str) -> None:
    """Reads a route and a workload, a line each, and prints microseconds."""
    async with Client(Null()) as alone, Client.of(address) as client:
        told = {"alone": workloads(alone), "memcached": workloads(client)}
        for line in sys.stdin:
            route, name = line.rstrip("\n").split("\t")
            do, rounds = told[route][name], CALLS // keys_of(name)
            began = time.process_time()
            for _ in range(rounds):
                await do()
            await told[route]["get"]()  # pending requests without a reader are answered
            print((time.process_time() - began) / (rounds * keys_of(name)) * 1e6, flush=True)


def compare(trees: list[str], address: str) -> None:
    command = [sys.executable, __file__, "--work", address]
    workers = []
    for tree in trees:
        environment = {**os.environ, "PYTHONPATH": tree}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        workers.append(subprocess.Popen(command, env=environment, **pipes))

    def cost(worker: subprocess.Popen[str], route: str, name: str) -> float:
        print(route, name, sep="\t", file=worker.stdin, flush=True)
        return float(worker.stdout.readline())

    for route in ("alone", "memcached"):
        for name in workloads(None):
            rounds = [[cost(worker, route, name) for worker in workers] for _ in range(ROUNDS)]
            medians = " ".join(f"{statistics.median(costs):8.2f}" for costs in zip(*rounds, strict=True))
            ratio = f"  {statistics.median(r[0] / r[1] for r in rounds):.2f}" if len(trees) == 2 else ""
            print(f"{route:10} {name:16} {medians}{ratio}")
    for worker in workers:
        worker.stdin.close()
        worker.wait()


def main(arguments: list[str]) -> None:
    if arguments[0] == "--work":
        asyncio.run(work(arguments[1]))
        return
    with MemcachedServer() as server:
        compare(arguments, server.address)


main(sys.argv[1:])
