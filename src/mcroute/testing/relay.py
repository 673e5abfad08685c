"""A TCP relay with the faults of networks and dying servers."""

import contextlib
import socket
import threading
import time
from random import Random
from types import TracebackType

from .ports import listener_on


class Relay:
    """Relays connections to a server, from a free port of 127.0.0.1; also a context manager.

    The faults are attributes, and take effect on the next bytes from the server: `delay_s` delays a
    random share of them, `delay_share`, `drop_replies` discards them, `garbage` replaces them, `slice_bytes`
    splits them into pieces of that size.
    `cut` closes all connections now.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.delay_s: float = 0.0
        self.delay_share: float = 1.0
        self._rng = Random(1)
        self.drop_replies = False
        self.garbage: bytes | None = None
        self.slice_bytes: int | None = None
        self._listener = listener_on(0)
        self.host = "127.0.0.1"
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._closed = False

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def start(self) -> "Relay":
        self._run(self._accept)
        return self

    def cut(self) -> None:
        """Close every connection, on both sides; new ones are still accepted."""
        with self._lock:
            for end in self._sockets:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the port and every connection, and wait for the threads."""
        self._closed = True
        with contextlib.suppress(OSError):
            # close() does not wake a thread in accept(); a last connection does, on every system.
            socket.create_connection((self.host, self.port), timeout=1).close()
        self._threads[0].join()
        self._listener.close()
        self.cut()
        for thread in self._threads[1:]:
            thread.join()

    def __enter__(self) -> "Relay":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                # The process has no free descriptor now; the client waits.
                time.sleep(0.01)
                continue
            if self._closed:
                client.close()
                return
            try:
                server = socket.create_connection(self.target, timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._sockets |= {client, server}
            self._run(self._carry, client, server)

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        """One connection: this thread relays the requests, another thread the replies."""
        replies = threading.Thread(target=self._pump, args=(server, client, True), daemon=True)
        replies.start()
        self._pump(client, server, False)
        replies.join()
        with self._lock:
            self._sockets -= {client, server}
        client.close()
        server.close()

    def _pump(self, source: socket.socket, sink: socket.socket, replies: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if replies:
                    self._pass_on(sink, data)
                else:
                    sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _pass_on(self, sink: socket.socket, data: bytes) -> None:
        if self.drop_replies:
            return
        if self.delay_s and self._rng.random() < self.delay_share:
            time.sleep(self.delay_s)
        data = data if self.garbage is None else self.garbage
        size = self.slice_bytes or len(data)
        for start in range(0, len(data), size):
            sink.sendall(data[start : start + size])
