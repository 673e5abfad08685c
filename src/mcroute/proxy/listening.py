"""Listening sockets for clients."""

from __future__ import annotations

import contextlib
import os
import socket
import stat

__all__ = ("BACKLOG", "listening_path", "listening_sockets")

# memcached's value, for clients that connect at the same moment. One more retries after a second.
BACKLOG = 1024


def listening_sockets(host: str, port: int, count: int) -> list[list[socket.socket]]:
    """For each of `count` threads, the sockets that it listens on: one per address of the host.

    Threads have separate sockets if the system can divide clients among sockets of one address; otherwise
    the result is one list. Port 0 chooses a free port, the same for all. Raises OSError if the address is not
    available.
    """
    # As bytes if it is ASCII: for a str, Python would load the codec of international names.
    name = host.encode() if host.isascii() else host
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # Host and port, for IPv6 also flow and scope.
    ends = dict.fromkeys((family, (str(address[0]), *address[2:])) for family, *_, address in found)
    count = count if hasattr(socket, "SO_REUSEPORT") else 1
    with contextlib.ExitStack() as undo:
        threads: list[list[socket.socket]] = [[] for _ in range(count)]
        for family, (number, *scope) in ends:
            # With SO_REUSEPORT from the start, two proxies could share a port. The first socket takes the
            # port alone, and admits the other sockets of this process afterwards.
            first, *others = threads
            first.append(undo.enter_context(_listener(family, (number, port, *scope))))
            port = first[-1].getsockname()[1]
            if others:
                first[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            for sockets in others:
                sockets.append(undo.enter_context(_listener(family, (number, port, *scope), is_shared=True)))
        undo.pop_all()
    return threads


def _listener(family: int, address: tuple[str | int, ...], *, is_shared: bool = False) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        # Also decides between two sockets bound at the same time, which SO_REUSEADDR allows.
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def listening_path(path: str) -> socket.socket:
    """A listening unix socket. A socket file that a dead process left behind is replaced.

    Raises OSError if the path is not available, also when another process listens there.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_dead(path)
        listener.bind(path)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _remove_dead(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.setblocking(False)
            try:
                client.connect(path)
            except ConnectionRefusedError:
                os.unlink(path)
