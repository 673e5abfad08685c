"""Commands without a loop, a socket or an engine: bytes out, answers in."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from mcroute.asyncio import Client, IllegalInput, Overloaded, ServerLost
from mcroute.client.batches import Batches
from mcroute.client.commands import Command, Commands
from mcroute.client.requests import PlainSerde, RequestWriter
from mcroute.client.results import Answer
from mcroute.policy import Outcome

T = TypeVar("T")

SERDE = PlainSerde()
OVERLOADED = Answer(Outcome.OVERLOADED, b"SERVER_ERROR in flight")


def commands(*, default_noreply: bool = False) -> Commands:
    return Commands(RequestWriter(SERDE, b"app:"), SERDE, default_noreply)


def line(text: bytes) -> Answer:
    return Answer(Outcome.OK, text)


def found(key: bytes, value: bytes, token: int | None = None) -> tuple[bytes, int, int | None, bytes]:
    return (b"app:" + key, 0, token, value)


HIT = Answer(Outcome.HIT, [found(b"k", b"v")])
TOKEN = Answer(Outcome.HIT, [found(b"k", b"v", 7)])
MISS = Answer(Outcome.MISS, [])


@pytest.mark.parametrize(
    ("make", "request_", "results"),
    [
        (lambda c: c.get("k", 0), b"get app:k\r\n", [(HIT, b"v"), (MISS, 0)]),
        (lambda c: c.gets("k", 0, 1), b"gets app:k\r\n", [(TOKEN, (b"v", b"7")), (MISS, (0, 1))]),
        (lambda c: c.gat("k", 60), b"gat 60 app:k\r\n", [(HIT, b"v"), (MISS, None)]),
        (lambda c: c.gats("k", 60), b"gats 60 app:k\r\n", [(TOKEN, (b"v", b"7")), (MISS, (None, None))]),
        (lambda c: c.set("k", "v", 60), b"set app:k 0 60 1\r\nv\r\n", [(line(b"STORED"), True)]),
        (lambda c: c.add("k", "v", flags=3), b"add app:k 3 0 1\r\nv\r\n", [(line(b"NOT_STORED"), False)]),
        (lambda c: c.replace("k", 1), b"replace app:k 0 0 1\r\n1\r\n", [(line(b"NOT_STORED"), False)]),
        (lambda c: c.append("k", "v"), b"append app:k 0 0 1\r\nv\r\n", [(line(b"STORED"), True)]),
        (lambda c: c.prepend("k", "v"), b"prepend app:k 0 0 1\r\nv\r\n", [(line(b"STORED"), True)]),
        (
            lambda c: c.cas("k", "v", b"7"),
            b"cas app:k 0 0 1 7\r\nv\r\n",
            [(line(b"STORED"), True), (line(b"EXISTS"), False), (line(b"NOT_FOUND"), None)],
        ),
        (
            lambda c: c.delete("k"),
            b"delete app:k\r\n",
            [(line(b"DELETED"), True), (line(b"NOT_FOUND"), False)],
        ),
        (
            lambda c: c.incr("k", 2),
            b"incr app:k 2\r\n",
            [(Answer(Outcome.NUMBER, 5), 5), (line(b"NOT_FOUND"), None)],
        ),
        (lambda c: c.decr("k", 2), b"decr app:k 2\r\n", [(Answer(Outcome.NUMBER, 0), 0)]),
        (lambda c: c.touch("k", 60), b"touch app:k 60\r\n", [(line(b"TOUCHED"), True)]),
        (lambda c: c.flush_all(5), b"flush_all 5\r\n", [(line(b"OK"), True)]),
    ],
)
def test_each_command_has_its_bytes_and_decodes_its_answer(
    make: Callable[[Commands], Command[Any]], request_: bytes, results: list[tuple[Answer, Any]]
) -> None:
    command = make(commands())
    assert (command.request, command.is_noreply) == (request_, False)
    assert [command.decode(answer) for answer, _ in results] == [result for _, result in results]
    with pytest.raises(ServerLost):
        command.decode(Answer(Outcome.LOST, b"SERVER_ERROR lost"))


@pytest.mark.parametrize(
    ("make", "default", "is_noreply", "unanswered"),
    [
        (lambda c: c.set("k", 1), True, True, True),
        (lambda c: c.set("k", 1, noreply=False), True, False, True),
        (lambda c: c.delete("k", noreply=True), False, True, True),
        (lambda c: c.cas("k", 1, 7), True, False, True),
        (lambda c: c.incr("k", 1), True, False, None),
        (lambda c: c.incr("k", 1, noreply=True), False, True, None),
    ],
)
def test_without_a_reply_there_is_a_result_all_the_same(
    make: Callable[[Commands], Command[Any]], default: bool, is_noreply: bool, unanswered: object
) -> None:
    command = make(commands(default_noreply=default))
    assert (command.is_noreply, command.unanswered) == (is_noreply, unanswered)
    with pytest.raises(Overloaded):
        command.decode(OVERLOADED)


def carried_out(batches: Batches[T], answer: Callable[[bytes], Answer | None]) -> T:
    """Runs a command as a client that never waits."""
    answers = None
    while True:
        try:
            batch = batches.send(answers)
        except StopIteration as end:
            result: T = end.value
            return result
        answers = None if batch is None else [answer(request) for request in batch.requests]


def test_commands_for_many_keys_need_no_loop() -> None:
    sent: list[bytes] = []

    def answer(request: bytes) -> Answer:
        sent.append(request)
        if request.startswith(b"get"):
            wanted = [name.removeprefix(b"app:") for name in request.split()[1:]]
            items = [found(name, name, 7) for name in wanted if not name.endswith(b"9")]
            return Answer(Outcome.HIT, items)
        return line(b"NOT_STORED" if b"k9 " in request else b"STORED" if b"set" in request else b"DELETED")

    keys = [f"k{i}" for i in range(1001)]
    there = {key: key.encode() for key in keys if not key.endswith("9")}
    assert carried_out(commands().get_many(keys), answer) == there
    assert len(sent) == 5
    tokens = carried_out(commands().gets_many(keys), answer)
    assert tokens == {key: (value, b"7") for key, value in there.items()}
    assert carried_out(commands().set_many(dict.fromkeys(keys, 1)), answer) == ["k9"]
    assert carried_out(commands().delete_many(keys), answer) is True


def test_of_many_keys_none_is_sent_if_one_cannot_be() -> None:
    with pytest.raises(IllegalInput) as refused:
        carried_out(commands().delete_many(["k", "with blank"]), lambda request: pytest.fail("sent"))
    assert refused.value.place == "keys[1]"


@pytest.mark.parametrize("name", [name for name in vars(Commands) if not name.startswith("_")])
def test_a_method_of_the_client_has_the_arguments_and_the_text_of_its_command(name: str) -> None:
    command, method = getattr(Commands, name), getattr(Client, name)
    asked, called = inspect.signature(command), inspect.signature(method)
    assert (called.parameters, inspect.getdoc(method)) == (asked.parameters, inspect.getdoc(command))
    assert asked.return_annotation in (
        f"{kind}[{called.return_annotation}]" for kind in ("Command", "Batches")
    )
    assert inspect.iscoroutinefunction(method)
    assert method.__qualname__ == f"Client.{name}"
