"""Refused connections and discarded replies are logged by cause, and not one by one."""

from __future__ import annotations

import asyncio
import logging

import pytest

from mcroute._engine.losses import Losses, ServerDesync
from mcroute._engine.snapshots import ServerSnapshot, Snapshot
from mcroute.drivers.asyncio.clock import AsyncioClock
from mcroute.policy import LogIntervals
from mcroute.runtime.loss_log import LossLog


class Engine:
    """Counters that the test sets."""

    def __init__(self) -> None:
        self.counts = Losses(*[0] * len(Losses._fields))
        self.desyncs: list[ServerDesync] = []
        self.skipped: dict[str, dict[str, int]] = {}

    def losses(self) -> Losses:
        return self.counts

    def take_desyncs(self) -> list[ServerDesync]:
        taken, self.desyncs = self.desyncs, []
        return taken

    def snapshot(self) -> Snapshot:
        servers = {name: ServerSnapshot(counters) for name, counters in self.skipped.items()}
        return Snapshot(servers=servers)


class Clock:
    """As much of a clock as the log needs."""

    time = 0.0

    def now(self) -> float:
        return self.time


def test_one_line_of_a_kind_for_a_while(caplog: pytest.LogCaptureFixture) -> None:
    engine, clock = Engine(), Clock()
    loss_log = LossLog(engine, clock, "s{}".format)  # type: ignore[arg-type]
    with caplog.at_level(logging.WARNING, "mcroute"):
        loss_log.look()
        assert caplog.messages == []
        for count in (3, 7, 9):
            engine.counts = engine.counts._replace(refused_memory=count, desyncs=count)
            engine.desyncs = [ServerDesync(1, 2, "get", 5, b"VALUE x")]
            loss_log.look()
        assert caplog.messages == [
            "3 requests refused: the memory for requests or for links is exhausted",
            "server s1 is out of step (2 times): it says b'VALUE x' to get, with 5 requests unanswered",
        ]
        caplog.clear()
        clock.time = LogIntervals().losses_s
        loss_log.look()
        assert caplog.messages == [
            "6 requests refused: the memory for requests or for links is exhausted",
            "server s1 is out of step (4 times): it says b'VALUE x' to get, with 5 requests unanswered",
        ]


def test_skipped_replies_are_logged_by_server(caplog: pytest.LogCaptureFixture) -> None:
    engine, clock = Engine(), Clock()
    loss_log = LossLog(engine, clock, str)  # type: ignore[arg-type]
    for discarded_memory, of_a, of_b in ((3, 1, 2), (5, 1, 4), (6, 2, 4)):
        engine.counts = engine.counts._replace(discarded_memory=discarded_memory)
        engine.skipped = {"a": {"discarded_memory": of_a}, "b": {"discarded_memory": of_b}}
        loss_log.look()
        clock.time += LogIntervals().losses_s
    why = "values discarded: the memory for replies is exhausted"
    assert caplog.messages == [
        f"server a: 1 {why}",
        f"server b: 2 {why}",
        f"server b: 2 {why}",
        f"server a: 1 {why}",
    ]


def test_a_lasting_cause_is_logged_seldom(caplog: pytest.LogCaptureFixture) -> None:
    engine, clock = Engine(), Clock()
    loss_log = LossLog(engine, clock, "s{}".format)  # type: ignore[arg-type]
    line = (
        "%d connections refused: their clients speak the binary protocol; "
        "docs/clients.md has the text-protocol setting of each client"
    )
    for count, now in ((1, 0.0), (2, LogIntervals().losses_s), (3, LogIntervals().other_protocols_s - 1)):
        clock.time = now
        engine.counts = engine.counts._replace(refused_binary=count)
        loss_log.look()
    assert caplog.messages == [line % 1]
    clock.time = LogIntervals().other_protocols_s
    loss_log.look()
    assert caplog.messages == [line % 1, line % 2]


@pytest.mark.parametrize("protocol", ["TLS", "RESP", "SSH"])
def test_the_protocol_of_refused_clients_is_named(protocol: str, caplog: pytest.LogCaptureFixture) -> None:
    engine, clock = Engine(), Clock()
    loss_log = LossLog(engine, clock, "s{}".format)  # type: ignore[arg-type]
    for count, now in ((2, 0.0), (3, 599.0), (7, 600.0)):
        clock.time = now
        engine.counts = engine.counts._replace(**{f"refused_{protocol.lower()}": count})
        loss_log.look()
    first, second = caplog.messages
    assert first.startswith(f"2 connections refused: their clients speak {protocol}")
    assert second.startswith(f"5 connections refused: their clients speak {protocol}")


def test_it_looks_by_itself_and_once_more_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        engine = Engine()
        engine.skipped = {"a": {"too_large": 1}, "b": {"too_large": 0}}
        loss_log = LossLog(engine, AsyncioClock(asyncio.get_running_loop()), str)
        loss_log.begin()
        engine.counts = engine.counts._replace(too_large=1)
        loss_log.close()

    asyncio.run(scenario())
    assert caplog.messages == ["server a: 1 values discarded: they are larger than value_max"]
