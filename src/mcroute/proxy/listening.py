"""Sockets that listen for clients."""

from __future__ import annotations

import contextlib
import os
import socket
import stat

__all__ = ("BACKLOG", "listening_path", "listening_sockets")

# Clients that connect at the same time, as memcached has it. One more waits a second for its next try.
BACKLOG = 1024


def listening_sockets(host: str, port: int, count: int) -> list[list[socket.socket]]:
    """For each of `count` threads the sockets that it listens on, one for each address that the host has.

    Where the system can divide clients among sockets of one address each thread has its own; where not there
    is one list. Port 0 is a free one, the same for all. Raises OSError if the address is not to be had.
    """
    # As bytes if it is ASCII: for a str, Python would load the codec of international names.
    name = host.encode() if host.isascii() else host
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # Host, and of IPv6 flow and scope too.
    ends = dict.fromkeys((family, (str(address[0]), *address[2:])) for family, *_, address in found)
    count = count if hasattr(socket, "SO_REUSEPORT") else 1
    with contextlib.ExitStack() as undo:
        threads: list[list[socket.socket]] = [[] for _ in range(count)]
        for family, (number, *scope) in ends:
            # Sockets that share their port would share it with another proxy's too. The first one has it
            # alone, or not at all. Opened to others of its kind, it still keeps away everybody's first one.
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
        # Also decides between two that were bound at the same time, which SO_REUSEADDR lets them.
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def listening_path(path: str) -> socket.socket:
    """A unix socket that listens. One that a dead process has left is replaced.

    Raises OSError if the path is not to be had, also when somebody else listens there.
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
