"""Every answer of the engine is a value or a documented exception, which the right handlers catch."""

from __future__ import annotations

import pickle

import pymemcache
import pytest

from mcroute import asyncio as mcroute
from mcroute import errors
from mcroute.client.results import Answer, failure, items, number, one_of
from mcroute.policy import Outcome

MEANINGS: dict[bytes, bool | None] = {b"STORED": True, b"NOT_STORED": False}

FAILURES = [
    (Outcome.TIMEOUT, b"SERVER_ERROR timeout", mcroute.RequestTimeout, "set 'k': timeout"),
    (Outcome.LOST, b"SERVER_ERROR connection lost", mcroute.ServerLost, "set 'k': connection lost"),
    (Outcome.EJECTED, b"SERVER_ERROR server is out", mcroute.NoServer, "set 'k': server is out"),
    (Outcome.OVERLOADED, b"SERVER_ERROR too many", mcroute.Overloaded, "set 'k': too many"),
    (
        Outcome.REFUSED_BY_SERVER,
        b"SERVER_ERROR out of memory",
        mcroute.ServerRefused,
        "set 'k': out of memory",
    ),
    (Outcome.REFUSED_BY_SERVER, b"SERVER_ERROR", mcroute.ServerRefused, "set 'k': SERVER_ERROR"),
    (Outcome.REFUSED_BY_SERVER, b"CLIENT_ERROR non-numeric", mcroute.RequestRefused, "set 'k': non-numeric"),
    (Outcome.REFUSED_BY_SERVER, b"ERROR", mcroute.UnknownCommand, "set 'k': the server does not know"),
]


@pytest.mark.parametrize(("outcome", "words", "kind", "message"), FAILURES)
def test_each_failure_has_its_class(
    outcome: Outcome, words: bytes, kind: type[Exception], message: str
) -> None:
    for read in (
        lambda answer: one_of(answer, MEANINGS, "set", "k"),
        lambda answer: number(answer, "set", "k"),
        lambda answer: items(answer, "set", "k"),
    ):
        with pytest.raises(errors.McrouteError) as caught:
            read(Answer(outcome, words))
        assert type(caught.value) is kind
        assert str(caught.value).startswith(message)


def test_every_outcome_that_is_a_failure_has_a_class() -> None:
    for outcome in Outcome:
        if outcome >= Outcome.REFUSED_BY_SERVER:
            error = failure(Answer(outcome, b"SERVER_ERROR why"), "get", list("abcd"))
            assert isinstance(error, mcroute.RequestFailed)
            assert (error.outcome, error.keys) == (outcome.name, tuple("abcd"))
            assert str(error) == "get 'a' 'b' 'c' ...: why"


@pytest.mark.parametrize(
    ("kind", "also"),
    [
        (mcroute.IllegalInput, (pymemcache.MemcacheIllegalInputError, errors.LocalProtocolError, ValueError)),
        (mcroute.RequestFailed, (pymemcache.MemcacheServerError, errors.ServerFailure)),
        (mcroute.RequestTimeout, (mcroute.RequestFailed, TimeoutError, OSError)),
        (mcroute.ServerLost, (pymemcache.MemcacheUnexpectedCloseError, ConnectionError)),
        (mcroute.NoServer, (mcroute.RequestFailed, ConnectionError)),
        (mcroute.Overloaded, (mcroute.RequestFailed,)),
        (mcroute.ServerRefused, (mcroute.RequestFailed,)),
        (mcroute.RequestRefused, (pymemcache.MemcacheClientError,)),
        (mcroute.UnknownCommand, (pymemcache.MemcacheUnknownCommandError,)),
        (mcroute.UnexpectedReply, (pymemcache.MemcacheUnknownError, errors.RemoteProtocolError)),
        (mcroute.ClientClosed, (RuntimeError,)),
        (mcroute.WrongLoop, (RuntimeError,)),
    ],
)  # fmt: skip
def test_handlers_of_other_libraries_catch_the_exceptions(
    kind: type[Exception], also: tuple[type[Exception], ...]
) -> None:
    assert issubclass(kind, errors.McrouteError)
    for other in also:
        assert issubclass(kind, other)


@pytest.mark.parametrize(("outcome", "words", "kind", "message"), FAILURES)
def test_exceptions_survive_pickling(
    outcome: Outcome, words: bytes, kind: type[Exception], message: str
) -> None:
    error = failure(Answer(outcome, words), "set", ["k"])
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (kind, str(error), vars(error))


def test_values() -> None:
    assert one_of(Answer(Outcome.STORED, b"STORED"), MEANINGS, "set") is True
    assert one_of(Answer(Outcome.NOT_STORED, b"NOT_STORED"), MEANINGS, "set") is False
    assert number(Answer(Outcome.NUMBER, 7), "incr") == 7
    assert number(Answer(Outcome.NOT_FOUND, b"NOT_FOUND"), "incr") is None
    found = [(b"k", 0, None, b"v")]
    assert items(Answer(Outcome.HIT, found), "get") == found


def test_an_unexpected_reply_is_quoted() -> None:
    with pytest.raises(mcroute.UnexpectedReply, match="set: answered b'TOUCHED'"):
        one_of(Answer(Outcome.TOUCHED, b"TOUCHED"), MEANINGS, "set")
    with pytest.raises(mcroute.UnexpectedReply, match="incr: answered b'OK'"):
        number(Answer(Outcome.OK, b"OK"), "incr")
    with pytest.raises(mcroute.UnexpectedReply, match="delete: answered 7"):
        one_of(Answer(Outcome.NUMBER, 7), MEANINGS, "delete")
