"""A process beside the tests: a memcached, and clients of a proxy that need no interpreter of the tests.

outside.py COUNTS [KEY...]: prints the port of its memcached, reads the proxy's from stdin, then asks for each
key on a connection of its own until stdin ends. COUNTS is a file of an unsigned 64-bit number a key: replies.
"""

import contextlib
import mmap
import os
import socket
import struct
import sys
import threading

from mcroute.testing import EmbeddedServer


def ask(port: int, key: bytes, counts: mmap.mmap, place: int) -> None:
    request = b"get %s\r\n" % key
    count = 0
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as client:
        while True:
            client.sendall(request)
            reply = b""
            while not reply.endswith(b"\r\n"):
                piece = client.recv(4096)
                if not piece:
                    return
                reply += piece
            count += 1
            struct.pack_into("=Q", counts, 8 * place, count)


def main(path: str, *keys: str) -> None:
    with EmbeddedServer() as server, open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as counts:
        print(server.port, flush=True)
        port = int(sys.stdin.readline())
        for place, key in enumerate(keys):
            threading.Thread(target=ask, args=(port, key.encode(), counts, place), daemon=True).start()
        sys.stdin.read()
        # The clients may be in the middle of a request.
        os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
