"""Asks a running proxy for its `stats`, as any client of memcached may."""

from __future__ import annotations

import contextlib
import socket
import time

from ..errors import McrouteError
from ..policy import Server

__all__ = ("NoProxy", "OtherService", "ask")

# More than any proxy answers: a thousand servers with sixty rows each.
REPLY_MAX = 16 << 20


class NoProxy(McrouteError):
    """Nothing answers as a proxy at this address."""


class OtherService(NoProxy):
    """Something answers, but not as mcroute does."""


def ask(proxy: Server, subject: str, timeout_s: float) -> dict[str, str]:
    """The rows of `stats SUBJECT`, by name; an empty subject is plain `stats`.

    Raises NoProxy if the whole reply has not come within `timeout_s`, or no row at all.
    """
    command = f"stats {subject}".rstrip()
    try:
        reply = _exchange(proxy, f"{command}\r\n".encode(), timeout_s)
    except TimeoutError:
        raise NoProxy(f"{proxy.where} has not answered `{command}` within {timeout_s:.3g} s") from None
    except OSError as error:
        raise NoProxy(f"no proxy answers at {proxy.where}: {error.strerror or error}") from None
    rows = _rows(reply)
    if not rows:
        kind = NoProxy if reply.startswith(b"SERVER_ERROR ") else OtherService
        raise kind(f"{proxy.where} does not answer `{command}` as mcroute does: {reply[:60]!r}")
    return rows


def _exchange(proxy: Server, request: bytes, timeout_s: float) -> bytes:
    """The reply as far as the proxy sends it. Raises OSError, or TimeoutError after `timeout_s`."""
    until = time.monotonic() + timeout_s
    with contextlib.ExitStack() as stack:
        if proxy.path:
            connection = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            connection.settimeout(timeout_s)
            connection.connect(proxy.path)
        else:
            # A proxy that listens on all addresses listens on the loopback address too.
            host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(proxy.host, proxy.host)
            connection = stack.enter_context(socket.create_connection((host, proxy.port), timeout=timeout_s))
        connection.sendall(request)
        reply = b""
        while not _is_complete(reply) and len(reply) < REPLY_MAX:
            left_s = until - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            connection.settimeout(left_s)
            more = connection.recv(1 << 16)
            if not more:
                break
            reply += more
        return reply


def _is_complete(reply: bytes) -> bool:
    """Rows end with END; any other reply is one line."""
    return reply.endswith(b"\r\n" if reply and not reply.startswith(b"STAT ") else b"\r\nEND\r\n")


def _rows(reply: bytes) -> dict[str, str]:
    lines = (line.partition(" ") for line in reply.decode(errors="replace").splitlines())
    rows = (row.partition(" ") for word, _, row in lines if word == "STAT")
    return {name: value for name, _, value in rows}
