"""Proxies that are killed while a server is away: with a journal file the server returns with its items."""

from __future__ import annotations

import sys
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from mcroute.policy import Pool, Replicate, Server, compile_plan
from mcroute.simulation.checker import violations
from mcroute.simulation.faults import Fault
from mcroute.simulation.history import Operation
from mcroute.simulation.world import Outcome, Scenario, run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a journal file needs Linux")

# The proxy is killed while the server is stopped, and starts again before the server goes on or after it.
BEFORE = (Fault("stop", "cache-1", 2, 5), Fault("restart-router", "proxy-1", 4, 0.5))
AFTER = (Fault("stop", "cache-1", 2, 3), Fault("restart-router", "proxy-1", 4, 2.5))


def scenario(seed: int = 1, **changes: Any) -> Scenario:
    """Two hundred requests a second to three servers, by a proxy that has a journal file."""
    rng = Random(seed)
    servers = tuple(Server(f"cache-{n}", f"10.0.0.{n}", 11211) for n in range(1, 4))
    pool = Pool("main", servers, deadline_s=1.0, reply_timeout_s=0.2)
    kinds = rng.choices(["get", "set", "delete"], [6, 3, 1], k=1800)
    times = sorted(rng.uniform(0, 9.0) for _ in kinds)
    operations = tuple(
        Operation(number, rng.randrange(10), at_s, kind, f"key-{rng.randrange(100)}")
        for number, (at_s, kind) in enumerate(zip(times, kinds, strict=True))
    )
    plan = compile_plan(Replicate(pool, copies=2))
    return replace(Scenario(seed=seed, plan=plan, operations=operations, has_journals=True), **changes)


def lines(outcome: Outcome, text: str) -> list[str]:
    return [event.text for event in outcome.history.events if text in event.text]


@pytest.mark.parametrize("faults", [BEFORE, AFTER])
def test_a_restarted_proxy_deletes_what_a_server_missed_before(faults: tuple[Fault, ...]) -> None:
    outcome = run(scenario(faults=faults))
    assert violations(scenario(faults=faults), outcome) == []
    assert lines(outcome, "server cache-1 serves again")
    assert lines(outcome, "keys, which were deleted there")
    assert not lines(outcome, ", flushed")


@pytest.mark.parametrize("faults", [BEFORE, AFTER])
def test_without_the_file_the_server_is_flushed(faults: tuple[Fault, ...]) -> None:
    plain = replace(scenario(faults=faults), has_journals=False)
    outcome = run(plain)
    assert violations(plain, outcome) == []
    assert lines(outcome, ", flushed")


def test_after_a_loss_of_power_the_server_is_flushed() -> None:
    faults = (BEFORE[0], replace(BEFORE[1], kind="power-router"))
    for first_use in ("trust", "flush"):
        changed = scenario(faults=faults, first_use=first_use)
        outcome = run(changed)
        assert violations(changed, outcome) == []
        assert any("cache-1" in line for line in lines(outcome, ", flushed"))
        # A server that was in order is trusted only if the configuration says so.
        assert any("cache-2" in line for line in lines(outcome, ", flushed")) == (first_use == "flush")


def test_a_file_that_loses_keys_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or these simulations would show nothing."""
    monkeypatch.setattr("mcroute.proxy.journal_file._journals", lambda records: {})
    found = [violations(changed, run(changed)) for changed in (scenario(n, faults=BEFORE) for n in range(3))]
    assert any(found)
