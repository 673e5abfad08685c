"""HTTP servers on 127.0.0.1 that get a webhook's requests, in threads: they answer, hang, or drip."""

from __future__ import annotations

import json
import queue
import socket
import ssl
import threading
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ("Posted", "Receiver")


@dataclass(frozen=True)
class Posted:
    path: str
    headers: Message
    body: bytes

    @property
    def fields(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


class Receiver:
    """Answers with these statuses, then with 204. "hang" never answers; "drip" sends a byte now and then."""

    def __init__(self, *answers: int | str, port: int = 0, context: ssl.SSLContext | None = None) -> None:
        self.posted: queue.Queue[Posted] = queue.Queue()
        self._answers = [*answers]
        self._has_ended = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.posted.put(Posted(self.path, self.headers, body))
                receiver._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port: int = self._server.server_address[1]
        self.url = f"http{'s' * (context is not None)}://127.0.0.1:{self.port}/hooks?of=mcroute"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        answer = self._answers.pop(0) if self._answers else 204
        if answer == "drip":
            drops = iter(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 10000)
            while not self._has_ended.wait(0.02):
                try:
                    handler.wfile.write(bytes([next(drops)]))
                except OSError:
                    return
        elif answer == "hang":
            self._has_ended.wait()
        else:
            handler.send_response(int(answer))
            handler.send_header("Content-Length", "0")
            handler.end_headers()

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._has_ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def refusing_port() -> socket.socket:
    """A bound socket that does not listen: connections to its port are refused."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    return bound
