"""The texts for connections that could not be made, or were lost."""

from __future__ import annotations

import os

from .link_values import HELLO_REPLY, NO_ADDRESS

__all__ = ("why_failed", "why_lost")


def why_lost(error: int) -> str:
    """The text for a lost connection, by errno; 0 if the server has closed it in order."""
    return os.strerror(error) if error else "the server has closed it"


def why_failed(error: int, is_late: bool, greeting: bytes, lookup: str = "") -> str:
    """The text after `server NAME is out of service: `. Its kind stands before the first colon.

    `error` is errno, or NO_ADDRESS, of which `lookup` is the system's reason. If it is 0, the connection was
    made, and `greeting` is the server's answer to the handshake. For an empty answer, `is_late` says whether
    the timeout came or the server closed the connection.
    """
    if error == NO_ADDRESS:
        reason = f" ({lookup})" if lookup else ""
        return f"it cannot be connected to: no address is known for its name{reason}"
    if error:
        return f"it cannot be connected to: {os.strerror(error)}"
    if not greeting:
        return "it takes connections and " + ("answers nothing in time" if is_late else "closes them at once")
    answer = f"it answers {greeting!r} to version"
    if greeting.startswith(b"ERROR Too many open connections"):
        return f"its connection limit is reached: {answer}"
    if b"unauthenticated" in greeting or greeting.startswith((b"CLIENT_ERROR auth", b"-NOAUTH")):
        return f"it wants a password: {answer}"
    if greeting.startswith(HELLO_REPLY):
        return f"it answers more than it was asked: {answer}"
    return f"it is no memcached: {answer}"
