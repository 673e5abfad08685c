"""Commands for many keys: made, sent and read a piece at a time, so that other tasks run meanwhile."""

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
    """Requests to be sent together. With `is_noreply` only those that were not sent have an answer."""

    requests: Sequence[bytes]
    is_noreply: bool = False


Answers = Sequence[Answer | None]
# A command for many keys: yields batches, and None when other tasks may run; is sent the answers to each
# batch, in the order of its requests; returns the command's result.
Batches = Generator[Batch | None, Answers | None, T]

# What is sent for many keys. A piece is let go as it is sent, since freeing very many at once takes time too.
# It is a tuple: the garbage collector looks through it once, and through a list at each of its rounds.
Pieces = deque[tuple[bytes, ...]]

# Looked at between two turns of the loop, which takes about a millisecond.
KEYS_A_TURN = 250
# Of one call under way at once: enough to hide latency, and few enough for a slow server to answer in time.
BATCH_COUNT = 250
BATCH_BYTES = 8 << 20
# So many requests without an answer tell something about all servers.
SILENT_COUNT = 8
# Nobody waits for these, but for the room that they leave to the next ones.
UNOBSERVED_COUNT = 1000
# The values of one request have to come before its deadline, and those of a batch share the network.
KEYS_A_GET = 250
PIECES_A_BATCH = 4


def written(write: Callable[[int, Key], bytes], keys: Sequence[Key]) -> Batches[Pieces]:
    """What `write` makes of each key and its index. Raises what it does."""
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
    """What `read` makes of the items that were found, by their keys.

    `names` are the keys as they are sent, and `write` makes a request for several.
    Raises what the first request that fails stands for, with all `keys`, and asks for no more of them.
    """
    values: dict[Key, T] = {}
    done = 0
    while names:
        batch = [names.popleft() for _ in range(min(len(names), PIECES_A_BATCH))]
        # Two spellings of one key are asked for once.
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
    """The keys for which the reply means no.

    Does what can be done, then raises what the first failure stands for, with the keys of all. When none of a
    batch is answered in time, nothing more is sent, and the keys of the rest are among those that failed.
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
    """Sends without waiting for the last answers; of many requests only so many are under way at once.

    Raises what the first of those that were not sent stands for, with the keys of all of them: Overloaded, or
    ServerRefused for a value that no server stores. When none of a batch is answered in time, nothing more is
    sent: raises RequestTimeout or ServerLost with the other keys.
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
    """The answers to all of them."""
    return cast("Sequence[Answer]", (yield Batch(requests)))


def _is_silent(answers: Answers) -> bool:
    """Whether no server has answered any of several."""
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
