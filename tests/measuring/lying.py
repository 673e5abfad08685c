"""A memcached that returns the values that were set, except where a test makes it lie."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable
from types import TracebackType

# The key, the flags and the value of each hit of a get, in the order of its keys.
Hits = list[tuple[bytes, bytes, bytes]]


def block(key: bytes, flags: bytes, value: bytes) -> bytes:
    return b"VALUE %s %s %d\r\n%s\r\n" % (key, flags, len(value), value)


def truth(hits: Hits) -> bytes:
    return b"".join(block(*hit) for hit in hits) + b"END\r\n"


class _Conversation(socketserver.StreamRequestHandler):
    server: LyingServer
    disable_nagle_algorithm = True

    def handle(self) -> None:
        for line in self.rfile:
            command, *words = line.split()
            if command == b"set":
                key, flags, _, size = words
                self.server.values[key] = flags, self.rfile.read(int(size) + 2)[:-2]
                self.wfile.write(b"STORED\r\n")
            else:
                reply = self.server.reply([(key, *self.server.values[key]) for key in words])
                if reply is None:
                    return
                self.wfile.write(reply)


class LyingServer(socketserver.ThreadingTCPServer):
    """On a free port, as a context manager. `reply` answers gets; None closes the connection."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.values: dict[bytes, tuple[bytes, bytes]] = {}
        self.reply: Callable[[Hits], bytes | None] = truth
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def __enter__(self) -> LyingServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()
