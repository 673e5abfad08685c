"""Commands for many keys: encoded, sent and decoded a piece at a time, so that other tasks run meanwhile."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar, cast

from ..policy import Outcome
from .errors import UnexpectedReply
from .requests import Key
from .results import TOO_LARGE, Answer, Item, failure, is_failure, items, one_of

__all__ = ("Batch", "Batches", "Pieces", "change_each", "fetch_each", "send_each", "written")

T = TypeVar("T")


@dataclass(slots=True)
class Batch:
    """Requests that are sent together. With `is_noreply` only unsent requests get an answer."""

    requests: Sequence[bytes]
    is_noreply: bool = False


Answers = Sequence[Answer | None]
# A command for many keys: yields batches, and None to let other tasks run; receives the answers to each
# batch, in the order of its requests; returns the command's result.
Batches = Generator[Batch | None, Answers | None, T]

# Encoded keys or requests. Each piece is freed when it is sent: to free all of them at once would take long.
# Pieces are tuples: the garbage collector untracks a tuple of bytes, and scans a list in every collection.
Pieces = deque[tuple[bytes, ...]]

# Keys that are encoded between two turns of the loop, in about a millisecond.
KEYS_A_TURN = 250
# Requests of one command in flight: enough to hide latency, few enough for a slow server to answer in time.
BATCH_COUNT = 250
BATCH_BYTES = 8 << 20
# A batch of at least so many requests without any answer stops the command.
SILENT_COUNT = 8
# The same bound with noreply: only the next batch waits for the answers.
UNOBSERVED_COUNT = 1000
# Bounds the values that have to arrive within one request's deadline, and those that share the network.
KEYS_A_GET = 250
PIECES_A_BATCH = 4


def written(write: Callable[[int, Key], bytes], keys: Sequence[Key]) -> Batches[Pieces]:
    """Calls `write` with the index of each key and the key; returns the results. Raises as `write`."""
    pieces = Pieces()
    for start in range(0, len(keys), KEYS_A_TURN):
        if start:
            yield None
        pieces.append(tuple(write(i, key) for i, key in enumerate(keys[start : start + KEYS_A_TURN], start)))
    return pieces


def fetch_each(
    command: str,
    names: Pieces,
    keys: Sequence[Key],
    write: Callable[[Sequence[bytes]], bytes],
    read: Callable[[Key, Item], T],
) -> Batches[dict[Key, T]]:
    """Gets the items of the keys. Returns the result of `read` for each item that was found, by key.

    `names` are the encoded keys; `write` makes a request for several of them. At the first request that
    fails, asks for no more keys, and raises that request's exception with all `keys`.
    """
    values: dict[Key, T] = {}
    done = 0
    while names:
        batch = [names.popleft() for _ in range(min(len(names), PIECES_A_BATCH))]
        # A str and a bytes key may have one encoding: one request asks for it.
        distinct = list(dict.fromkeys(chain.from_iterable(batch)))
        parts = [distinct[i : i + KEYS_A_GET] for i in range(0, len(distinct), KEYS_A_GET)]
        found: dict[bytes, Item] = {}
        for answer in (yield from _asked([write(part) for part in parts])):
            if is_failure(answer):
                raise failure(answer, command, dict.fromkeys(keys))
            found.update((item[0], item) for item in items(answer, command))
        for piece in batch:
            if done:
                yield None
            for key, name in zip(keys[done : done + len(piece)], piece, strict=True):
                if (item := found.get(name)) is not None:
                    values[key] = read(key, item)
            done += len(piece)
    return values


def change_each(
    command: str,
    requests: Pieces,
    keys: Sequence[Key],
    meanings: Mapping[bytes, bool],
) -> Batches[list[Key]]:
    """Sends all requests. Returns the keys whose reply means False.

    If requests failed, raises the first failure's exception, with the keys of all failed requests, after the
    other requests are done. When no request of a batch gets an answer in time, sends no more batches: the
    remaining keys count as failed.
    """
    refused: list[Key] = []
    failed: list[Key] = []
    cause: Answer | UnexpectedReply | None = None
    done = 0
    for batch in _batches(requests, BATCH_COUNT):
        answers = yield from _asked(batch)
        for key, answer in zip(keys[done : done + len(batch)], answers, strict=True):
            try:
                if is_failure(answer):
                    failed.append(key)
                    cause = cause or answer
                elif not one_of(answer, meanings, command, key):
                    refused.append(key)
            except UnexpectedReply as error:
                cause = cause or error
        done += len(batch)
        if _is_silent(answers):
            failed += keys[done:]
            break
    if isinstance(cause, Answer):
        raise failure(cause, command, failed)
    if cause is not None:
        raise cause
    return refused


def send_each(command: str, requests: Pieces, keys: Sequence[Key]) -> Batches[None]:
    """Sends all requests, UNOBSERVED_COUNT at a time, and does not wait for the answers to the last batch.

    If requests could not be sent, raises Overloaded, or ServerRefused for a value that no server stores: the
    first one's exception, with the keys of all of them. When no request of a batch gets an answer in time,
    sends no more batches, and raises RequestTimeout or ServerLost with the remaining keys.
    """
    unsent: list[Key] = []
    refusal: Answer | None = None
    done = 0
    for batch in _batches(requests, UNOBSERVED_COUNT):
        part = keys[done : done + len(batch)]
        done += len(batch)
        is_last = done == len(keys)
        answers = (yield Batch(batch, is_noreply=is_last)) or ()
        if not is_last and _is_silent(answers):
            unsent, refusal = [*unsent, *keys[done:]], answers[0]
            break
        for key, answer in zip(part, answers, strict=True):
            if answer is TOO_LARGE or (answer is not None and answer.outcome == Outcome.OVERLOADED):
                unsent.append(key)
                refusal = refusal or answer
    if refusal is not None:
        raise failure(refusal, command, unsent)


def _asked(requests: Sequence[bytes]) -> Batches[Sequence[Answer]]:
    """Yields a batch of the requests. Returns the answers to all of them."""
    return cast("Sequence[Answer]", (yield Batch(requests)))


def _is_silent(answers: Answers) -> bool:
    """Whether at least SILENT_COUNT requests were sent and no server has answered one."""
    return len(answers) >= SILENT_COUNT and all(
        answer is not None and answer.outcome in (Outcome.TIMEOUT, Outcome.LOST) for answer in answers
    )


def _batches(pieces: Pieces, count: int) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    while pieces:
        for request in pieces.popleft():
            batch.append(request)
            size += len(request)
            if len(batch) == count or size >= BATCH_BYTES:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch
