"""A proxy in one page, over the splitter: `python proxy.py HOST:PORT HOST:PORT ...` listens on a free port.

Each client has separate links, so replies need no matching: they come in the order of the requests.
"""

import asyncio
import sys

from splitter import Splitter, reply_size


async def read_reply(link: asyncio.StreamReader, waiting: bytearray) -> bytes:
    """One whole reply; later bytes stay in `waiting`. Raises ConnectionError."""
    while (size := reply_size(waiting)) == 0:
        data = await link.read(65536)
        if not data:
            raise ConnectionError("the server has closed the connection")
        waiting += data
    if size < 0:
        raise ConnectionError("the server does not speak memcached's protocol")
    reply = bytes(waiting[:size])
    del waiting[:size]
    return reply


async def serve(splitter: Splitter, client: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    addresses = [name.rsplit(":", 1) for name in splitter.ring.servers]
    links = [await asyncio.open_connection(host, int(port)) for host, port in addresses]
    replies = [bytearray() for _ in links]
    requests, excess, close = bytearray(), 0, False
    try:
        while not close and (data := await client.read(65536)):
            requests += data
            excess -= (dropped := min(excess, len(requests)))
            del requests[:dropped]
            taken, outputs, order, close = splitter.split(requests)
            excess += max(0, taken - len(requests))
            del requests[:taken]
            for (_, link), output in zip(links, outputs, strict=True):
                link.write(output)
            for answer in order:
                is_ours = isinstance(answer, bytes)
                writer.write(answer if is_ours else await read_reply(links[answer][0], replies[answer]))
            await writer.drain()
    finally:
        for _, link in (*links, (client, writer)):
            link.close()


async def main(servers: list[str]) -> None:
    splitter = Splitter(servers)
    listener = await asyncio.start_server(lambda *client: serve(splitter, *client), "127.0.0.1", 0)
    print(listener.sockets[0].getsockname()[1], flush=True)
    await listener.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
