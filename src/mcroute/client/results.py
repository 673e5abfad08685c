"""Converts the engine's answers into the results of a client's methods, or into exceptions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeVar, cast

from pymemcache.client.base import STAT_TYPES

from ..errors import McrouteError
from ..policy import Outcome
from .errors import (
    NoServer,
    Overloaded,
    RequestFailed,
    RequestRefused,
    RequestTimeout,
    ServerLost,
    ServerRefused,
    UnexpectedReply,
    UnknownCommand,
)

__all__ = (
    "TOO_LARGE",
    "Answer",
    "Culprit",
    "Item",
    "failure",
    "is_failure",
    "items",
    "line",
    "number",
    "one_of",
    "statistics",
)

T = TypeVar("T")

# Key, flags, token of gets and gats, value.
Item = tuple[bytes, int, int | None, bytes]

_FAILURES: dict[int, type[RequestFailed]] = {
    kind.OUTCOME: kind for kind in (RequestTimeout, ServerLost, NoServer, Overloaded, ServerRefused)
}


class Culprit(NamedTuple):
    """The server that a request failed at, and the error of its last failed connection, if there is one."""

    server: str
    cause: Exception | None = None


class Answer(NamedTuple):
    """The engine's answer to one request: the value of an Outcome, the result, a failure's culprit."""

    outcome: int
    result: object
    culprit: Culprit | None = None


# The answer to a request that is not sent, because no server would store its value.
TOO_LARGE = Answer(Outcome.REFUSED_BY_SERVER, b"SERVER_ERROR object too large for cache")


def is_failure(answer: Answer) -> bool:
    """Whether the outcome is a failure; a miss is none."""
    return answer.outcome >= Outcome.REFUSED_BY_SERVER


def failure(answer: Answer, command: str, keys: Iterable[object]) -> McrouteError:
    """The exception for an answer that is a failure."""
    keys = tuple(keys)
    words = cast(bytes, answer.result)
    about = " ".join([command, *(repr(key) for key in keys[:3])]) + (" ..." if len(keys) > 3 else "")
    if answer.outcome == Outcome.REFUSED_BY_SERVER:
        if words.startswith(b"CLIENT_ERROR"):
            return RequestRefused(f"{about}: {_text(words)}")
        if words.startswith(b"ERROR"):
            return UnknownCommand(f"{about}: the server does not know the command")
    failed = _FAILURES[answer.outcome](f"{about}: {_text(words)}", keys)
    if answer.culprit is not None:
        failed.server, failed.__cause__ = answer.culprit
    return failed


def line(answer: Answer, command: str, *keys: object) -> bytes:
    """The reply of one line. Raises the exception of a failure."""
    if is_failure(answer):
        raise failure(answer, command, keys)
    if isinstance(answer.result, bytes):
        return answer.result
    raise _unexpected(answer, command)


def one_of(answer: Answer, meanings: Mapping[bytes, T], command: str, *keys: object) -> T:
    """The reply's value in `meanings`. Raises the exception of a failure; UnexpectedReply without value."""
    reply = line(answer, command, *keys)
    try:
        return meanings[reply]
    except KeyError:
        raise _unexpected(answer, command) from None


def number(answer: Answer, command: str, *keys: object) -> int | None:
    """The number of the reply, or None for NOT_FOUND. Raises the exception of a failure."""
    if isinstance(answer.result, int):
        return answer.result
    if line(answer, command, *keys) == b"NOT_FOUND":
        return None
    raise _unexpected(answer, command)


def items(answer: Answer, command: str, *keys: object) -> list[Item]:
    """The items that were found. Raises the exception of a failure."""
    if is_failure(answer):
        raise failure(answer, command, keys)
    return cast("list[Item]", answer.result)


def statistics(counts: Mapping[bytes, bytes]) -> dict[bytes, Any]:
    """A server's statistics with pymemcache's types; a value that does not convert stays bytes."""
    return {name: _statistic(name, value) for name, value in counts.items()}


def _statistic(name: bytes, value: bytes) -> Any:
    try:
        return STAT_TYPES.get(name, int)(value)
    except ValueError:
        return value


def _text(words: bytes) -> str:
    """The error line without its first word, which the exception's class stands for."""
    kind, _, rest = words.partition(b" ")
    return (rest or kind).decode("utf-8", "replace")


def _unexpected(answer: Answer, command: str) -> UnexpectedReply:
    return UnexpectedReply(f"{command}: answered {answer.result!r:.80}")
