"""Finds the texts for connections that could not be made, or were lost."""

from __future__ import annotations

import os

from ..policy.causes import CLOSED_TEXT, CONNECT_TEXTS, ConnectFailure
from .link_values import HELLO_REPLY, NO_ADDRESS

__all__ = ("why_failed", "why_lost")


def why_lost(error: int) -> str:
    """The text for a lost connection, by errno; 0 if the server has closed it in order."""
    return os.strerror(error) if error else CLOSED_TEXT


def why_failed(error: int, is_late: bool, greeting: bytes, lookup: str = "") -> str:
    """One of CONNECT_TEXTS.

    `error` is errno, or NO_ADDRESS, of which `lookup` is the system's reason. If it is 0, the connection was
    made, and `greeting` is the server's answer to the handshake. For an empty answer, `is_late` says whether
    the timeout came or the server closed the connection.
    """
    if error == NO_ADDRESS:
        return CONNECT_TEXTS[ConnectFailure.NO_ADDRESS].format(f" ({lookup})" if lookup else "")
    if error:
        return CONNECT_TEXTS[ConnectFailure.REFUSED].format(os.strerror(error))
    return CONNECT_TEXTS[_failure_by(greeting, is_late)].format(repr(greeting))


def _failure_by(greeting: bytes, is_late: bool) -> ConnectFailure:
    if not greeting:
        return ConnectFailure.SILENT if is_late else ConnectFailure.CLOSED
    if greeting.startswith(b"ERROR Too many open connections"):
        return ConnectFailure.FULL
    if b"unauthenticated" in greeting or greeting.startswith((b"CLIENT_ERROR auth", b"-NOAUTH")):
        return ConnectFailure.PASSWORD
    if greeting.startswith(HELLO_REPLY):
        return ConnectFailure.TOO_MUCH
    return ConnectFailure.OTHER_SERVICE
