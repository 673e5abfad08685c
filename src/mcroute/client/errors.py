"""The client's exceptions. They derive from pymemcache's or builtin exceptions, which callers already catch.

They are not in `mcroute.errors`, so that only clients import pymemcache.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from pymemcache.exceptions import (
    MemcacheClientError,
    MemcacheIllegalInputError,
    MemcacheServerError,
    MemcacheUnexpectedCloseError,
    MemcacheUnknownCommandError,
    MemcacheUnknownError,
)

from ..errors import LocalProtocolError, McrouteError, RemoteProtocolError, ServerFailure
from ..policy import Outcome

__all__ = (
    "ClientClosed",
    "IllegalInput",
    "NoServer",
    "Overloaded",
    "RequestFailed",
    "RequestRefused",
    "RequestTimeout",
    "ServerLost",
    "ServerRefused",
    "UnexpectedReply",
    "UnknownCommand",
    "WrongLoop",
)


class IllegalInput(LocalProtocolError, MemcacheIllegalInputError):
    """An argument cannot be sent; `place` names it, as in `keys[3]`. Nothing was sent."""

    def __init__(self, message: str, place: str = "") -> None:
        super().__init__(f"{place}: {message}" if place else message)
        self.place = place


class RequestFailed(ServerFailure, MemcacheServerError):
    """No server gave an answer to rely on. Each reason has a subclass.

    `keys` are the keys that failed, as the caller wrote them. After a RequestTimeout or ServerLost, a write
    may have been executed. After the other reasons it was not, at least not by all copies.
    """

    # The engine's outcome; each subclass has its own.
    OUTCOME: ClassVar[Outcome]

    def __init__(self, message: str, keys: Iterable[object] = ()) -> None:
        super().__init__(message, outcome=self.OUTCOME.name)
        self.keys: tuple[object, ...] = tuple(keys)


class RequestTimeout(RequestFailed, TimeoutError):
    """No server answered before the request's deadline, or within the reply timeout."""

    OUTCOME: ClassVar[Outcome] = Outcome.TIMEOUT


class ServerLost(RequestFailed, MemcacheUnexpectedCloseError, ConnectionError):
    """The connection failed, or was lost before the reply came."""

    OUTCOME: ClassVar[Outcome] = Outcome.LOST


class NoServer(RequestFailed, ConnectionError):
    """Every server that may hold the key is out of service; nothing was sent."""

    OUTCOME: ClassVar[Outcome] = Outcome.EJECTED


class Overloaded(RequestFailed):
    """Too many requests are in flight, on this client or to that server; nothing was sent."""

    OUTCOME: ClassVar[Outcome] = Outcome.OVERLOADED


class ServerRefused(RequestFailed):
    """A server or the route answered SERVER_ERROR; the message is the text of that answer."""

    OUTCOME: ClassVar[Outcome] = Outcome.REFUSED_BY_SERVER


class RequestRefused(McrouteError, MemcacheClientError):
    """A server answered CLIENT_ERROR: it cannot apply the command, as incr to a value that is no number."""


class UnknownCommand(McrouteError, MemcacheUnknownCommandError):
    """A server answered ERROR: it is too old for the command, or has it disabled."""


class UnexpectedReply(RemoteProtocolError, MemcacheUnknownError):
    """A server's reply is not one of the command's replies."""


class ClientClosed(McrouteError, RuntimeError):
    """The client is closed. If it was closed during the request, the request's outcome is unknown."""


class WrongLoop(McrouteError, RuntimeError):
    """The client belongs to another event loop than the running one."""
