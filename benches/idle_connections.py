"""Memory of idle clients in a native proxy: idle_connections.py [CLIENTS], by default 10000.

The proxy is a separate process. Its resident memory is compared before the clients connect, after they have
connected, and after one request each; in bytes per client, without the kernel's memory for sockets.
"""

import asyncio
import os
import resource
import subprocess
import sys

from mcroute.native import Proxy
from mcroute.policy import Pool, PoolRoute
from mcroute.testing import EmbeddedServer

AT_ONCE = 200


def serve(address: str) -> None:
    with Proxy(PoolRoute(Pool.of("main", [address])), threads=1) as proxy:
        print(proxy.port, flush=True)
        sys.stdin.read()


def resident_bytes(pid: int) -> int:
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"get k\r\n")
    assert await reader.readline() == b"END\r\n"


async def measure(pid: int, port: int, count: int) -> None:
    clients: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def connect(count: int) -> None:
        for _ in range(0, count, AT_ONCE):
            opening = (asyncio.open_connection("127.0.0.1", port) for _ in range(min(AT_ONCE, count)))
            clients.extend(await asyncio.gather(*opening))

    await connect(AT_ONCE)
    for client in clients:
        await ask(*client)
    before = resident_bytes(pid)
    await connect(count)
    await ask(*clients[-1])
    print(f"{count} connected: {(resident_bytes(pid) - before) / count:.0f} bytes each")
    for client in clients:
        await ask(*client)
    print(f"after one request each: {(resident_bytes(pid) - before) / count:.0f} bytes each")
    for _, writer in clients:
        writer.transport.abort()


def main(count: int = 10_000) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with EmbeddedServer() as server:
        command = [sys.executable, __file__, "serve", server.address]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            asyncio.run(measure(process.pid, int(process.stdout.readline()), count))
            process.communicate()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2])
    else:
        main(*map(int, sys.argv[1:2]))
