"""Hooks get every change in order, in threads of their own; one that raises or hangs harms nobody else."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable

import pytest

from mcroute.observe import hooks as module
from mcroute.observe.hooks import Deliveries, Hooks
from mcroute.policy import Change, Condition, StateChange


def change(number: int) -> StateChange:
    up = Condition.UP
    return StateChange(Change.SLOW, 0.0, f"s{number}", ("main",), up, Condition.SLOW, f"change {number}")


def until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        time.sleep(0.001)


def test_each_hook_is_called_with_each_change_in_order_in_one_thread_of_its_own() -> None:
    found: dict[str, list[tuple[str, int]]] = {"first": [], "second": []}

    def first(change: StateChange) -> None:
        found["first"].append((change.server, threading.get_ident()))

    def second(change: StateChange) -> None:
        found["second"].append((change.server, threading.get_ident()))

    async def run() -> Hooks:
        hooks = Hooks([first, second])
        for number in range(500):
            hooks.put(change(number))
        await hooks.close()
        return hooks

    hooks = asyncio.run(run())
    for seen in found.values():
        assert [server for server, _ in seen] == [f"s{number}" for number in range(500)]
    threads = {thread for seen in found.values() for _, thread in seen}
    assert len(threads) == 2
    assert threading.get_ident() not in threads
    assert set(hooks.deliveries().values()) == {Deliveries(500, 0, 0, 0)}


def test_without_a_change_there_is_no_thread() -> None:
    async def run() -> None:
        hooks = Hooks([print])
        assert not [thread for thread in threading.enumerate() if "hook" in thread.name]
        await hooks.close()

    asyncio.run(run())


def test_a_hook_that_raises_is_called_again_and_logged_seldom(caplog: pytest.LogCaptureFixture) -> None:
    def raising(change: StateChange) -> None:
        raise ValueError(change.server)

    async def run() -> Hooks:
        hooks = Hooks([raising])
        for number in range(100):
            hooks.put(change(number))
        await hooks.close()
        return hooks

    [(name, counts)] = asyncio.run(run()).deliveries().items()
    assert counts == Deliveries(0, 100, 0, 0)
    assert name.endswith("raising")
    [record] = caplog.records
    assert record.getMessage() == f"hook {name} has failed (1 times so far)"
    assert record.exc_info is not None
    assert "s0" in str(record.exc_info[1])


def test_behind_a_hook_that_hangs_the_newest_changes_wait_and_the_others_are_called(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "QUEUE_MAX", 10)
    is_hanging, goes_on = threading.Event(), threading.Event()
    found: list[str] = []
    others: list[str] = []

    class Hanging:
        name = "hanging"

        def __call__(self, change: StateChange) -> None:
            found.append(change.server)
            is_hanging.set()
            goes_on.wait()

    async def run() -> None:
        hooks = Hooks([Hanging(), lambda change: others.append(change.server)])
        hooks.put(change(0))
        is_hanging.wait()
        for number in range(1, 31):
            hooks.put(change(number))
            until(lambda: len(others) == number + 1)  # noqa: B023
        assert hooks.deliveries()["hanging"] == Deliveries(0, 0, 20, 10)
        goes_on.set()
        await hooks.close()
        assert hooks.deliveries()["hanging"] == Deliveries(11, 0, 20, 0)

    asyncio.run(run())
    assert found == ["s0", *(f"s{number}" for number in range(21, 31))]
    assert caplog.messages == ["hook hanging is busy: 1 events dropped so far"]


def test_the_end_does_not_wait_for_a_hook_that_hangs(caplog: pytest.LogCaptureFixture) -> None:
    goes_on = threading.Event()
    called, closed = threading.Event(), threading.Event()

    class Hanging:
        name = "hanging"

        def __call__(self, change: StateChange) -> None:
            called.set()
            goes_on.wait()

        def close(self) -> None:
            closed.set()

    async def run() -> None:
        hooks = Hooks([Hanging()])
        for number in range(5):
            hooks.put(change(number))
        called.wait()
        await hooks.close(limit_s=0.05)
        hooks.put(change(6))
        assert hooks.deliveries() == {"hanging": Deliveries(0, 0, 4, 0)}

    asyncio.run(run())
    assert closed.is_set()
    assert caplog.messages == ["hook hanging is busy at the end: 4 events dropped"]
    goes_on.set()
    [*map(threading.Thread.join, [t for t in threading.enumerate() if "hanging" in t.name])]


def test_a_thread_that_cannot_be_started_is_logged_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    found: list[str] = []

    def fails(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def run() -> None:
        hooks = Hooks([lambda change: found.append(change.server)])
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", fails)
            hooks.put(change(1))
            hooks.put(change(2))
        hooks.put(change(3))
        await hooks.close()

    asyncio.run(run())
    assert found == ["s1", "s2", "s3"]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "can't start new thread" in caplog.text


async def _async_hook(change: StateChange) -> None: ...


@pytest.mark.parametrize("hook", [_async_hook, "print"])
def test_what_cannot_be_called_from_a_thread_is_no_hook(hook: Callable[[StateChange], object]) -> None:
    with pytest.raises(TypeError, match="a plain function"):
        Hooks([hook])
