"""Whole scenarios: one history for a seed, no law broken, bugs found."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from mcroute.drivers.asyncio.control import AsyncioControl
from mcroute.policy.census import Census
from mcroute.policy.panics import Panics
from mcroute.runtime.standins import StandIns
from mcroute.simulation.campaign import run_seed, run_seeds
from mcroute.simulation.checker import violations
from mcroute.simulation.faults import FAULTS, Fault
from mcroute.simulation.scenarios import scenario_of
from mcroute.simulation.shrinking import shrink
from mcroute.simulation.story import story_of
from mcroute.simulation.transports import SimulatedTransport
from mcroute.simulation.world import run

from .worlds import look_instead, settle_only, take_only, trust_late_replies

DIGEST = """
import hashlib, sys
from mcroute.simulation.scenarios import scenario_of
from mcroute.simulation.world import run
text = "\\n".join(run(scenario_of(int(sys.argv[1]), operations=300)).history.lines())
print(hashlib.sha256(text.encode()).hexdigest())
"""


@pytest.mark.parametrize("seed", [3, 11, 104])
def test_one_seed_has_one_history_in_any_process(seed: int) -> None:
    history = "\n".join(run(scenario_of(seed, operations=300)).history.lines())
    digests = {hashlib.sha256(history.encode()).hexdigest()}
    for hash_seed in ("1", "2"):
        command = [sys.executable, "-c", DIGEST, str(seed)]
        env = os.environ | {"PYTHONHASHSEED": hash_seed}
        digests.add(
            subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout.strip()
        )
    assert len(digests) == 1


def test_random_scenarios_break_no_law() -> None:
    campaign = run_seeds(range(20), operations=500, jobs=1)
    assert campaign.failed == []
    assert (campaign.seeds, campaign.faults) == (20, 100)
    # Or the simulation would show nothing.
    assert campaign.calls > 9000
    assert len({kind for kind, _ in campaign.met}) > 20
    assert len(campaign.layouts) > 4
    assert campaign.table()


@pytest.mark.parametrize("kind", FAULTS)
def test_every_kind_of_fault_begins_and_ends(kind: str) -> None:
    """Two at once, so that one begins at a server that suffers already."""
    scenario = scenario_of(5, operations=600, faults=0)
    target = "proxy-1" if FAULTS[kind].of_routers else "cache-1"
    faults = tuple(Fault(kind, target, at_s, 2.0, FAULTS[kind].amount) for at_s in (0.5, 1.5, 5.0))
    scenario = replace(scenario, faults=faults, proxies=1, embedded=0)
    outcome = run(scenario)
    assert violations(scenario, outcome) == []
    begun = [event.text for event in outcome.history.events if event.where == "fault"]
    assert len(begun) == 6


# ---- bugs on purpose, each with the first seed that finds it ----

OPERATIONS = 500
REPLAY, CAP, LATE, STANDIN, FLUSH = 4, 30, 83, 6, 51


@pytest.mark.parametrize("seed", [REPLAY, CAP, LATE, STANDIN, FLUSH])
def test_without_a_bug_these_seeds_break_no_law(seed: int) -> None:
    assert run_seed(seed, OPERATIONS).laws == {}


def test_an_ignored_cap_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing protects the last server of a pool, nor the pools in panic."""
    monkeypatch.setattr(Panics, "is_protected", lambda self, server: False)
    monkeypatch.setattr(Census, "is_last", lambda self, server: False)
    assert "empty pool" in run_seed(CAP, OPERATIONS).laws


def test_a_late_reply_that_is_trusted_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimulatedTransport, "receive", trust_late_replies(SimulatedTransport.receive))
    assert "invented count" in run_seed(LATE, OPERATIONS).laws


def test_a_stand_in_that_keeps_what_it_took_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StandIns, "_delete", settle_only)
    assert "stale value" in run_seed(STANDIN, OPERATIONS).laws


def test_a_flush_that_is_left_out_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AsyncioControl, "flush", look_instead)
    assert "stale value" in run_seed(FLUSH, OPERATIONS).laws


def test_a_bug_is_found_made_small_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers return without the replay of their journals."""
    monkeypatch.setattr(AsyncioControl, "delete", take_only)
    assert "stale value" in run_seed(REPLAY, OPERATIONS).laws
    scenario = scenario_of(REPLAY, OPERATIONS)
    shrunk = shrink(scenario, frozenset({"stale value"}), runs_max=60)
    assert len(shrunk.scenario.faults) <= len(scenario.faults)
    assert len(shrunk.scenario.operations) < 100
    story = story_of(shrunk.scenario, shrunk.outcome, shrunk.violations[0])
    assert "serves again" in story
    assert story.count("> ") >= 3


def test_a_scenario_that_fails_nothing_cannot_be_shrunk() -> None:
    with pytest.raises(ValueError, match="breaks none of stale value"):
        shrink(scenario_of(2, operations=50), frozenset({"stale value"}))
