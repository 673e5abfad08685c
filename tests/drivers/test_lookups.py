"""Names that are looked up: a silent, slow or unknown one delays no other."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import Future

import pytest

from mcroute.drivers.asyncio.addresses import place_of
from mcroute.drivers.asyncio.lookup_threads import Answer, LookupThreads
from mcroute.drivers.asyncio.lookups import Lookups
from mcroute.policy import Server


class Names:
    """A system's lookup by table; hosts that begin with "dead" are answered when the test says so."""

    def __init__(self, **known: Sequence[str]) -> None:
        self.known = dict(known)
        self.asked: list[str] = []
        self.answers = threading.Event()

    def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        if host.startswith("dead"):
            assert self.answers.wait(30)
        if host not in self.known:
            raise OSError(f"no such name: {host}")
        return self.known[host]


def test_silent_names_do_not_keep_others_waiting() -> None:
    async def scenario() -> None:
        names = Names(here=["10.0.0.1"])
        lookups = Lookups(LookupThreads(names, 3))
        try:
            # All threads but one.
            dead = await asyncio.gather(
                *(lookups.find(f"dead{i}", 0.01) for i in range(2)), return_exceptions=True
            )
            assert [str(error) for error in dead] == [
                f"no name server has answered for dead{i} yet" for i in range(2)
            ]
            assert await lookups.find("here", 20) == ("10.0.0.1",)
        finally:
            names.answers.set()

    asyncio.run(scenario())


def test_a_name_is_looked_up_once_at_a_time_and_a_late_answer_serves_the_next() -> None:
    async def scenario() -> None:
        names = Names(dead=["10.0.0.2"])
        lookups = Lookups(LookupThreads(names))
        for _ in range(5):
            with pytest.raises(OSError, match="no name server has answered"):
                await lookups.find("dead", 0.01)
        assert names.asked == ["dead"]
        names.answers.set()
        assert await lookups.find("dead", 20) == ("10.0.0.2",)

    asyncio.run(scenario())


def test_an_unknown_name_is_not_looked_up_again_at_once() -> None:
    async def scenario() -> None:
        names = Names()
        lookups = Lookups(LookupThreads(names))
        for _ in range(5):
            with pytest.raises(OSError, match="no such name"):
                await lookups.find("nowhere", 20)
        # 0.25 s, unless this machine is very slow.
        assert len(names.asked) < 5
        names.known["nowhere"] = ["10.0.0.3"]
        while True:
            try:
                assert await lookups.find("nowhere", 20) == ("10.0.0.3",)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                break

    asyncio.run(scenario())


def test_the_reason_of_a_failure_does_not_keep_those_who_heard_it() -> None:
    class Waiter:
        pass

    async def ask(lookups: Lookups, waiter: Waiter) -> None:
        await lookups.find("nowhere", 20)

    async def scenario() -> None:
        lookups, waiter = Lookups(LookupThreads(Names())), Waiter()
        known = weakref.ref(waiter)
        with contextlib.suppress(OSError):
            await ask(lookups, waiter)
        del waiter
        gc.collect()
        assert known() is None
        assert str(lookups.failure("nowhere")) == "no such name: nowhere"

    asyncio.run(scenario())


def test_addresses_found_before_serve_while_no_name_server_answers() -> None:
    async def scenario() -> None:
        names = Names(dead=["10.0.0.4"])
        names.answers.set()
        lookups = Lookups(LookupThreads(names))
        assert await lookups.find("dead", 20) == ("10.0.0.4",)
        names.answers.clear()
        assert await lookups.find("dead", 20) == ("10.0.0.4",)
        names.known["dead"] = ["10.0.0.5"]
        names.answers.set()
        while await lookups.find("dead", 20) == ("10.0.0.4",):
            await asyncio.sleep(0.01)

    asyncio.run(scenario())


def test_a_waiter_that_is_cancelled_leaves_the_lookup_to_others() -> None:
    async def scenario() -> None:
        names = Names(dead=["10.0.0.6"])
        lookups = Lookups(LookupThreads(names))
        first, second = (asyncio.create_task(lookups.find("dead", 20)) for _ in range(2))
        await asyncio.sleep(0.01)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        names.answers.set()
        assert await second == ("10.0.0.6",)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Server("a", "::1", 7), Server("b", "0:0:0:0:0:0:0:1", 7)),
        (Server("a", "10.0.0.1", 7), Server("b", "::ffff:10.0.0.1", 7)),
        (Server("a", path="/tmp/x"), Server("b", path="/tmp/../tmp/x")),
        (Server.parse("10.0.0.1:7"), Server.parse("10.0.0.1:0007")),
    ],
)
def test_one_address_spelled_in_two_ways_is_one_place(one: Server, other: Server) -> None:
    assert place_of(one) == place_of(other) != frozenset()


def test_the_place_of_a_name_is_where_it_leads_to() -> None:
    server = Server("a", "cache.example", 7)
    assert place_of(server) == frozenset()
    assert place_of(server, [("10.0.0.1", 7), ("::1", 7)]) == frozenset({("10.0.0.1", 7), ("::1", 7)})


class Unavailable:
    """A `NameService` that cannot look up so many times, then answers at once."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    def look_up(self, host: str, rank: int, answer: Answer) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("can't start new thread")
        answer(["10.0.0.7"])


def test_a_lookup_that_cannot_begin_is_begun_again_later() -> None:
    async def scenario() -> None:
        now = 100.0
        lookups = Lookups(Unavailable(2), lambda: now)
        for pause in (0.25, 0.5):
            for _ in range(2):
                with pytest.raises(OSError, match="cache cannot be looked up: can't start new thread"):
                    await lookups.find("cache", 20)
            now += pause
        assert await lookups.find("cache", 20) == ("10.0.0.7",)

    asyncio.run(scenario())


def test_a_name_whose_thread_cannot_be_started_is_left_to_a_running_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def scenario() -> None:
        names = Names(dead=["10.0.0.8"], here=["10.0.0.9"])
        lookups = Lookups(LookupThreads(names))
        first = asyncio.create_task(lookups.find("dead", 20))
        while not names.asked:
            await asyncio.sleep(0.01)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", fails)
            second = asyncio.create_task(lookups.find("here", 20))
            await asyncio.sleep(0.01)
        names.answers.set()
        assert await first == ("10.0.0.8",)
        assert await second == ("10.0.0.9",)

    asyncio.run(scenario())


def test_a_thread_that_cannot_be_started_leaves_no_name_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    names = Names(here=["10.0.0.9"])
    threads = LookupThreads(names)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fails)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            threads.look_up("nowhere", 0, lambda answer: None)
    answered: Future[object] = Future()
    threads.look_up("here", 0, answered.set_result)
    assert answered.result(20) == ["10.0.0.9"]
    assert names.asked == ["here"]
