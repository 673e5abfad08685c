"""What is said first on a connection to a server, and why one could not be made."""

from __future__ import annotations

import errno
import os

__all__ = ("HANDSHAKE", "NO_ADDRESS", "OURS", "why_failed", "why_lost")

# What is sent, and what the answer begins with. No request is sent before that has come.
HANDSHAKE = ((b"version\r\n", b"VERSION "),)
# Instead of errno: no address of the server is known.
NO_ADDRESS = -1
# errno of failures of this process, or its machine: they say nothing about the server.
OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def why_lost(error: int) -> str:
    """Why a connection is no more, from errno, which is 0 if the server has closed it in order."""
    return os.strerror(error) if error else "the server has closed it"


def why_failed(error: int, is_late: bool, greeting: bytes, lookup: str = "") -> str:
    """The reason in words, as it follows `server NAME is out of service:`. Before a colon stands its kind.

    `error` is errno, or NO_ADDRESS, of which `lookup` is the system's reason. If it is 0 the connection was
    made, and `greeting` is what the server answered to the handshake. If it answered nothing, `is_late` says
    whether the time was up or the server closed the connection.
    """
    if error == NO_ADDRESS:
        reason = f" ({lookup})" if lookup else ""
        return f"it cannot be connected to: no address is known for its name{reason}"
    if error:
        return f"it cannot be connected to: {os.strerror(error)}"
    if not greeting:
        return "it takes connections and " + ("answers nothing in time" if is_late else "closes them at once")
    said = f"it answers {greeting!r} to version"
    if greeting.startswith(b"ERROR Too many open connections"):
        return f"its connection limit is reached: {said}"
    if b"unauthenticated" in greeting or greeting.startswith((b"CLIENT_ERROR auth", b"-NOAUTH")):
        return f"it wants a password: {said}"
    if greeting.startswith(HANDSHAKE[0][1]):
        return f"it answers more than it was asked: {said}"
    return f"it is no memcached: {said}"
