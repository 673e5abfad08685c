"""The latency of a native proxy while Python code of its process holds the interpreter.

held_interpreter.py [SECONDS]: a proxy in this process, a memcached and a client outside of it. For so many
seconds each, the interpreter is free, and held for half a second at a time. Prints requests per second,
median and 99th percentile of both, and their ratio.
"""

import ctypes
import multiprocessing
import socket
import sys
import time
from multiprocessing.connection import Connection

from mcroute.native import Proxy
from mcroute.policy import Pool, PoolRoute
from mcroute.testing import MemcachedServer

HOLD_S = 0.5
ROUNDS = 4


def client(pipe: Connection) -> None:
    """Receives a port, then sends requests between two messages, and returns the seconds of each request."""
    with socket.create_connection(("127.0.0.1", pipe.recv())) as proxy:
        while pipe.recv():
            times = []
            while not pipe.poll():
                began = time.perf_counter()
                for _ in range(20):
                    proxy.sendall(b"get k\r\n")
                    assert proxy.recv(64) == b"END\r\n"
                    now = time.perf_counter()
                    times.append(now - began)
                    began = now
            pipe.recv()
            pipe.send(times)


def measure(pipe: Connection, seconds: float, is_held: bool) -> list[float]:
    hold = ctypes.PyDLL(None).usleep
    pipe.send(True)
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if is_held:
            hold(int(1e6 * HOLD_S))
        else:
            time.sleep(min(left, HOLD_S))
    pipe.send(None)
    times: list[float] = pipe.recv()
    return times


def main(seconds: float = 2.0) -> None:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=client, args=(theirs,), daemon=True)
    process.start()
    with (
        MemcachedServer() as server,
        Proxy(PoolRoute(Pool.of("main", [server.address])), threads=1) as proxy,
    ):
        ours.send(proxy.port)
        measure(ours, 0.5, is_held=False)
        times: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(ROUNDS):
            for is_held in times:
                times[is_held] += measure(ours, seconds, is_held)
        ours.send(False)
        process.join()
    shown = {}
    for is_held, taken in times.items():
        taken.sort()
        shown[is_held] = p50, p99 = taken[len(taken) // 2], taken[99 * len(taken) // 100]
        rate = len(taken) / (ROUNDS * seconds)
        name = "held" if is_held else "free"
        print(f"{name}: {rate:8.0f} requests/s, median {1e6 * p50:6.0f} µs, p99 {1e6 * p99:6.0f} µs")
    (free, free99), (held, held99) = shown[False], shown[True]
    print(f"held to free: median {held / free:.2f}, p99 {held99 / free99:.2f}")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:2]))
