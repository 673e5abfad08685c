"""What a client raises. Each class is also the one that pymemcache's users, or the standard library's, catch.

They stand apart from `mcroute.errors` so that only clients load pymemcache.
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
    """No server gave an answer to count on, for one of the reasons below.

    `keys` are those it concerns, as the caller gave them. A failed write may have been executed after a
    RequestTimeout or ServerLost, after the others not, at least not by all copies.
    """

    # What the engine calls it; one for each subclass.
    OUTCOME: ClassVar[Outcome]

    def __init__(self, message: str, keys: Iterable[object] = ()) -> None:
        super().__init__(message, outcome=self.OUTCOME.name)
        self.keys: tuple[object, ...] = tuple(keys)


class RequestTimeout(RequestFailed, TimeoutError):
    """The request's deadline has come, or no server that could have answered did so in its reply time."""

    OUTCOME: ClassVar[Outcome] = Outcome.TIMEOUT


class ServerLost(RequestFailed, MemcacheUnexpectedCloseError, ConnectionError):
    """The connection could not be made, or went before the reply came."""

    OUTCOME: ClassVar[Outcome] = Outcome.LOST


class NoServer(RequestFailed, ConnectionError):
    """Every server that may hold the key is out of service; nothing was sent."""

    OUTCOME: ClassVar[Outcome] = Outcome.EJECTED


class Overloaded(RequestFailed):
    """Too many requests are in flight, on this client or to that server; nothing was sent."""

    OUTCOME: ClassVar[Outcome] = Outcome.OVERLOADED


class ServerRefused(RequestFailed):
    """A server answered SERVER_ERROR, or the route does; the message has its words."""

    OUTCOME: ClassVar[Outcome] = Outcome.REFUSED_BY_SERVER


class RequestRefused(McrouteError, MemcacheClientError):
    """A server answered CLIENT_ERROR: it understood, and the request does not fit what it holds."""


class UnknownCommand(McrouteError, MemcacheUnknownCommandError):
    """A server answered ERROR: it is too old for the command, or forbids it."""


class UnexpectedReply(RemoteProtocolError, MemcacheUnknownError):
    """A server's reply is none of those that the command has."""


class ClientClosed(McrouteError, RuntimeError):
    """The client is closed, or was while the request was under way, whose outcome is then unknown."""


class WrongLoop(McrouteError, RuntimeError):
    """The client belongs to another event loop than the running one."""
