"""Supervision of a watched engine: the calls on the engine, and their order."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from mcroute._engine.engine import Engine
from mcroute.drivers.asyncio.addresses import Resolver
from mcroute.drivers.asyncio.clock import AsyncioClock
from mcroute.drivers.asyncio.control import AsyncioControl
from mcroute.drivers.asyncio.lookups import Lookups
from mcroute.policy import (
    Cause,
    Condition,
    Fence,
    Flush,
    HealthSettings,
    Plan,
    Pool,
    PoolRoute,
    Reason,
    ServerState,
    ServerStats,
    State,
    SupervisorSettings,
    Upkeep,
    compile_plan,
)
from mcroute.policy.causes import FlushCause
from mcroute.runtime.server_log import ServerLog
from mcroute.runtime.supervision import Supervision

SETTINGS = SupervisorSettings(HealthSettings(jitter=0.0))


class Watched(Engine):
    """Notes which servers are protected, and which states are set."""

    notes: list[tuple[str, int, int]]

    def protect(self, server: int, is_protected: bool) -> None:
        self.notes.append(("protect", server, is_protected))
        super().protect(server, is_protected)

    def set_server_state(
        self, server: int, state: int, missed: int | None = None, unless_stale: bool = False
    ) -> None:
        self.notes.append(("state", server, state))
        super().set_server_state(server, state, missed, unless_stale)


def plan(*names: str) -> Plan:
    return compile_plan(PoolRoute(Pool.of("main", [f"{name}:1" for name in names])))


def watching(
    first: Plan,
    engine: Watched,
    links: dict[int, Any],
    settings: SupervisorSettings,
    upkeep: Upkeep | None = None,
) -> Supervision:
    """On the running loop."""
    clock = AsyncioClock(asyncio.get_running_loop())
    control = AsyncioControl(Resolver(Lookups()), Random(1))
    return Supervision(first, engine, links, clock, control, Random(1), settings, upkeep=upkeep)


def supervised(
    first: Plan,
    scenario: Callable[[Any, Supervision], None],
    settings: SupervisorSettings = SETTINGS,
    kind: type[Watched] = Watched,
) -> None:
    async def run() -> None:
        engine = kind(first)
        engine.notes = []
        supervision = watching(first, engine, {}, settings)
        try:
            scenario(engine, supervision)
        finally:
            supervision.close()

    asyncio.run(run())


def test_the_engine_protects_the_last_server() -> None:
    def scenario(engine: Watched, supervision: Supervision) -> None:
        assert engine.notes == []
        supervision.connect_failed(0, Reason(Cause.UNREACHABLE))
        # A thread could trip between the two, and none of the pool would serve.
        assert engine.notes == [("protect", 1, True), ("state", 0, 1)]

    supervised(plan("a", "b"), scenario)


def test_the_last_one_is_kept_until_another_one_serves() -> None:
    def scenario(engine: Watched, supervision: Supervision) -> None:
        supervision.connect_failed(0, Reason(Cause.UNREACHABLE))
        engine.notes.clear()
        now = supervision.supervisor.next_wakeup()
        supervision.supervisor.tick(now)
        supervision.supervisor.probe_answered(0, now)
        supervision._carry_out(supervision.supervisor.fence_answered(0, (), now))
        assert engine.notes[-2:] == [("state", 0, 0), ("protect", 1, False)]

    supervised(plan("a", "b"), scenario)


def test_another_plan_keeps_others() -> None:
    def scenario(engine: Watched, supervision: Supervision) -> None:
        for names, kept in ((("a", "b"), [("protect", 0, False)]), (("b",), [("protect", 1, True)])):
            engine.notes.clear()
            another = plan(*names)
            supervision.install(another, engine.admit(another), (), None)
            engine.install(another)
            assert [note for note in engine.notes if note[0] == "protect"] == kept

    supervised(plan("a"), scenario)


def test_another_plan_keeps_the_last_one_at_every_moment() -> None:
    def scenario(engine: Watched, supervision: Supervision) -> None:
        again = plan("a")
        engine.notes.clear()
        supervision.install(again, engine.admit(again), (), None)
        engine.install(again)
        assert engine.notes == []

    supervised(plan("a"), scenario)


class Seen(Watched):
    """Takes servers out as a thread does, unseen until it is looked for."""

    gone: frozenset[int] = frozenset()
    old: frozenset[int] = frozenset()

    def server_state(self, server: int) -> int:
        return ServerState.EJECTED if server in self.gone else super().server_state(server)

    def out(self) -> set[int]:
        return {*self.gone, *super().out()}

    def stale(self) -> set[int]:
        return {*self.old}

    def set_server_state(
        self, server: int, state: int, missed: int | None = None, unless_stale: bool = False
    ) -> None:
        super().set_server_state(server, state, missed, unless_stale)
        self.gone -= {server}


@pytest.mark.parametrize("slow", [0, 1])
def test_of_two_that_go_out_at_once_the_one_without_old_values_is_kept(slow: int) -> None:
    def scenario(engine: Seen, supervision: Supervision) -> None:
        engine.gone = frozenset({0, 1})
        engine.old = frozenset({1 - slow})
        supervision.look_for_trips()
        states = [note for note in engine.notes if note[0] == "state"]
        assert states == [("state", 1 - slow, ServerState.EJECTED), ("state", slow, ServerState.UP)]

    # Otherwise a panic would restore both.
    supervised(
        plan("a", "b"), scenario, SupervisorSettings(HealthSettings(jitter=0.0), panic_share=1.0), Seen
    )


# ---- what is logged ----


class Settled:
    """Links that are connected and have answered."""

    connected = 2
    are_connected = True
    addresses = frozenset[str]()

    def retry_now(self) -> None:
        pass

    async def settled(self) -> None:
        pass


def returning(
    server: int, links: dict[int, Any] | None = None, upkeep: Upkeep | None = None
) -> tuple[Watched, Supervision]:
    """A server that has answered its probe; belongs to the running loop."""
    engine = Watched(plan("a", "b"))
    engine.notes = []
    links = links or {server: Settled()}
    supervision = watching(plan("a", "b"), engine, links, SETTINGS, upkeep)
    supervision.link_lost(server, "127.0.0.1:5001", 1, 0)
    now = supervision.supervisor.next_wakeup()
    assert now is not None
    supervision.supervisor.tick(now)
    supervision._carry_out(supervision.supervisor.probe_answered(server, now)[:1])
    return engine, supervision


@pytest.mark.parametrize(("error", "why"), [(TimeoutError(), "TimeoutError"), (OSError("no"), "no")])
def test_a_fence_that_fails_says_why(
    error: Exception, why: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any) -> set[str]:
        raise error

    async def run() -> None:
        _, supervision = returning(0)
        monkeypatch.setattr(AsyncioControl, "listed_connections", fails)
        await supervision._returns._fence(Fence(0, frozenset({"127.0.0.1:5001"})))
        assert supervision.supervisor.state(0) is State.EJECTED
        supervision.close()

    asyncio.run(run())
    assert f"server a:1 cannot be fenced: {why}" in caplog.messages


class Unsettled(Settled):
    """One of its connections is never answered on."""

    aborted = 0

    async def settled(self) -> None:
        await asyncio.get_running_loop().create_future()

    def abort_unsettled(self) -> None:
        self.aborted += 1


def test_a_fence_behind_an_unanswered_connection_closes_it_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    links = Unsettled()

    async def run() -> None:
        _, supervision = returning(0, {0: links}, Upkeep(control_timeout_s=0.01))
        await supervision._returns._fence(Fence(0, frozenset({"127.0.0.1:5001"})))
        assert supervision.supervisor.state(0) is State.EJECTED
        supervision.close()

    asyncio.run(run())
    assert links.aborted == 1
    why = "some connections to it could not be made, or did not answer, within 0.01 s"
    assert caplog.messages.count(f"server a:1 cannot be fenced: {why}") == 1


def test_a_fence_that_waits_for_departed_servers_in_vain_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:

    async def run() -> None:
        # No plan has the server 2 any more.
        _, supervision = returning(0, {0: Settled(), 2: Settled()}, Upkeep(control_timeout_s=0.01))
        await supervision._returns._fence(Fence(0, frozenset(), awaits_departed=True))
        assert supervision.supervisor.state(0) is State.EJECTED
        supervision.close()

    asyncio.run(run())
    why = "links of removed servers are still open"
    assert caplog.messages.count(f"server a:1 cannot be fenced: {why}") == 1


def test_connections_that_a_return_awaits_are_logged_now_and_then(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lines = ServerLog(lambda _: "a:1")
    for now in (100.0, 101.0, 102.5, 110.0, 162.0, 163.0, 170.0):
        lines.awaited(0, now, frozenset({"127.0.0.1:5001"}), now > 150, SETTINGS)
    assert caplog.messages == [
        "server a:1 still lists 1 lost connections with writes (127.0.0.1:5001): awaited for at most 10 s",
        "server a:1 does not list our connections: 1 lost ones (127.0.0.1:5001) count as closed after 20 s",
    ]


@pytest.mark.parametrize("is_flushed", [False, True])
def test_a_return_says_how_long_it_took_and_whether_the_server_is_empty(
    is_flushed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        _, supervision = returning(0)
        supervisor, now = supervision.supervisor, asyncio.get_running_loop().time() + 100.0
        if is_flushed:
            supervisor.missed_writes(0, 1, 0.0)
        decisions = supervisor.fence_answered(0, (), now)
        if is_flushed:
            assert decisions == (Flush(0),)
            decisions = supervisor.flush_answered(0, ServerStats(items=0), now)
        supervision._carry_out(decisions)
        supervision.close()

    asyncio.run(run())
    why = FlushCause.OTHER_PROCESS.value
    what = f"flushed: {why}" if is_flushed else "not flushed: it missed no write"
    assert re.fullmatch(rf"server a:1 serves again after \d+\.\d s, {what}", caplog.messages[-1])


def test_a_stage_that_begins_ends_the_one_before() -> None:
    """Its report is not about the new one."""

    async def run() -> None:
        _, supervision = returning(0)
        ended: list[str] = []

        async def stage(name: str) -> None:
            try:
                await asyncio.sleep(0 if name == "new" else 1000)
            finally:
                ended.append(name)

        supervision._returns._start(0, stage("old"))
        await asyncio.sleep(0)
        supervision._returns._start(0, stage("new"))
        while supervision._returns._stages:
            await asyncio.sleep(0)
        assert ended == ["old", "new"]
        supervision.close()

    asyncio.run(run())


def test_slow_servers_and_refused_retries_are_logged_and_exported(caplog: pytest.LogCaptureFixture) -> None:
    class Troubled(Watched):
        counts: dict[int, tuple[int, int]]

        def slowness(self) -> dict[int, tuple[int, int]]:
            return getattr(self, "counts", {})

    def scenario(engine: Any, supervision: Supervision) -> None:
        for counts in ({0: (1, 0)}, {0: (2, 3)}, {0: (3, 9), 7: (1, 1)}):
            engine.counts = counts
            supervision.look_for_slow_servers()
        now = asyncio.get_running_loop().time()
        assert supervision.supervisor.condition(0, now) is Condition.SLOW
        assert supervision.supervisor.condition(1, now) is Condition.UP

    supervised(plan("a", "b"), scenario, kind=Troubled)
    assert [record.getMessage() for record in caplog.records] == [
        "server a:1 is slow: its replies take longer than reply_timeout_s",
        "server a:1: the retry budget is spent; "
        "3 requests that timed out there were not sent to another copy so far",
    ]


def test_late_replies_from_before_a_return_do_not_show_the_server_as_slow() -> None:
    class Troubled(Watched):
        counts: dict[int, tuple[int, int]]

        def slowness(self) -> dict[int, tuple[int, int]]:
            return getattr(self, "counts", {})

    def scenario(engine: Any, supervision: Supervision) -> None:
        supervision._tripped(0, Reason(Cause.FAILURES))
        engine.counts = {0: (5, 0)}
        supervision._carry_out(supervision.supervisor._panics._restore(0, asyncio.get_running_loop().time()))
        supervision.look_for_slow_servers()
        assert supervision.supervisor._records[0].slow_at is None

    supervised(plan("a", "b", "c"), scenario, kind=Troubled)
