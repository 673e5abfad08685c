"""Supervision of an engine that is watched: what it is told, and in which order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

from mcroute._engine.engine import Engine
from mcroute.adapters.supervision import Supervision
from mcroute.policy import HealthSettings, Plan, Pool, PoolRoute, SupervisorSettings, compile_plan

SETTINGS = SupervisorSettings(HealthSettings(jitter=0.0))


class Watched(Engine):
    """Notes whom it is told to keep, and who is to serve or not."""

    notes: list[tuple[str, int, int]]

    def keep(self, server: int, is_kept: bool) -> None:
        self.notes.append(("keep", server, is_kept))
        super().keep(server, is_kept)

    def set_server_state(
        self, server: int, state: int, missed: int | None = None, unless_stale: bool = False
    ) -> None:
        self.notes.append(("state", server, state))
        super().set_server_state(server, state, missed, unless_stale)


def plan(*names: str) -> Plan:
    return compile_plan(PoolRoute(Pool.of("main", [f"{name}:1" for name in names])))


def supervised(first: Plan, scenario: Callable[[Watched, Supervision], None]) -> None:
    async def run() -> None:
        engine = Watched(first)
        engine.notes = []
        supervision = Supervision(first, engine, {}, asyncio.get_running_loop(), Random(1), SETTINGS)
        try:
            scenario(engine, supervision)
        finally:
            supervision.close()

    asyncio.run(run())


def test_the_engine_is_told_who_is_the_last_one() -> None:
    def scenario(engine: Watched, supervision: Supervision) -> None:
        assert engine.notes == []
        supervision.connect_failed(0)
        assert engine.notes == [("state", 0, 1), ("keep", 1, True)]

    supervised(plan("a", "b"), scenario)


def test_nobody_is_kept_while_another_one_serves() -> None:
    """Between the two a thread could trip."""

    def scenario(engine: Watched, supervision: Supervision) -> None:
        supervision.connect_failed(0)
        engine.notes.clear()
        now = supervision.supervisor.next_wakeup()
        supervision.supervisor.tick(now)
        supervision.supervisor.probe_answered(0, now)
        supervision._carry_out(supervision.supervisor.fence_answered(0, (), now))
        assert engine.notes[:2] == [("keep", 1, False), ("state", 0, 0)]

    supervised(plan("a", "b"), scenario)


def test_another_plan_keeps_others() -> None:
    def scenario(engine: Watched, supervision: Supervision) -> None:
        for names, kept in ((("a", "b"), [("keep", 0, False)]), (("b",), [("keep", 1, True)])):
            engine.notes.clear()
            engine.install(plan(*names))
            supervision.install(plan(*names), engine.server_ids(), (), None)
            assert [note for note in engine.notes if note[0] == "keep"] == kept

    supervised(plan("a"), scenario)
