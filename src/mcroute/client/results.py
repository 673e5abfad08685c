"""What became of a client's requests, as the values that its methods return, or as exceptions."""

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
    """The server that a request has failed at, and why that could not be used, if the system has said so."""

    server: str
    cause: Exception | None = None


class Answer(NamedTuple):
    """What the engine says of one request: the value of an Outcome, its result, and who has failed it."""

    outcome: int
    result: object
    culprit: Culprit | None = None


# What is not sent, because no server would store it.
TOO_LARGE = Answer(Outcome.REFUSED_BY_SERVER, b"SERVER_ERROR object too large for cache")


def is_failure(answer: Answer) -> bool:
    """Whether no server has done or known what was asked."""
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
    """The reply of one line. Raises what stands for a failure."""
    if is_failure(answer):
        raise failure(answer, command, keys)
    if isinstance(answer.result, bytes):
        return answer.result
    raise _unexpected(answer, command)


def one_of(answer: Answer, meanings: Mapping[bytes, T], command: str, *keys: object) -> T:
    """What the reply means. Raises what stands for a failure, UnexpectedReply if it means nothing."""
    reply = line(answer, command, *keys)
    try:
        return meanings[reply]
    except KeyError:
        raise _unexpected(answer, command) from None


def number(answer: Answer, command: str, *keys: object) -> int | None:
    """The number, or None if there was none. Raises what stands for a failure."""
    if isinstance(answer.result, int):
        return answer.result
    if line(answer, command, *keys) == b"NOT_FOUND":
        return None
    raise _unexpected(answer, command)


def items(answer: Answer, command: str, *keys: object) -> list[Item]:
    """The items that were found. Raises what stands for a failure."""
    if is_failure(answer):
        raise failure(answer, command, keys)
    return cast("list[Item]", answer.result)


def statistics(counts: Mapping[bytes, bytes]) -> dict[bytes, Any]:
    """What a server counts, each value as pymemcache converts it; as it is, where that fails."""
    return {name: _statistic(name, value) for name, value in counts.items()}


def _statistic(name: bytes, value: bytes) -> Any:
    try:
        return STAT_TYPES.get(name, int)(value)
    except ValueError:
        return value


def _text(words: bytes) -> str:
    """Without the word that the exception's class says already."""
    kind, _, rest = words.partition(b" ")
    return (rest or kind).decode("utf-8", "replace")


def _unexpected(answer: Answer, command: str) -> UnexpectedReply:
    return UnexpectedReply(f"{command}: answered {answer.result!r:.80}")
