"""Grey and flapping servers in virtual time: who is ejected, and how soon."""

from __future__ import annotations

import re
from itertools import pairwise
from random import Random

import pytest

from mcroute.policy import Pool, Replicate, Server, compile_plan
from mcroute.simulation.checker import violations
from mcroute.simulation.faults import Fault
from mcroute.simulation.history import Operation
from mcroute.simulation.world import Outcome, Scenario, run

OUT = re.compile(r"server (\S+) is out of service: (.*)")
VICTIM = "cache-2"


def scenario(seed: int, *faults: Fault, writes: float = 0.1, span_s: float = 7.0) -> Scenario:
    """Two hundred requests a second to four servers."""
    rng = Random(seed)
    servers = tuple(Server(f"cache-{n}", f"10.0.0.{n}", 11211) for n in range(1, 5))
    times = sorted(rng.uniform(0, span_s) for _ in range(int(200 * span_s)))
    return Scenario(
        seed=seed,
        plan=compile_plan(Replicate(Pool("main", servers), copies=2, read="random")),
        operations=tuple(
            Operation(
                number,
                rng.randrange(20),
                at_s,
                "set" if rng.random() < writes else "get",
                f"key-{rng.randrange(200)}",
            )
            for number, at_s in enumerate(times)
        ),
        faults=faults,
    )


def ejections(outcome: Outcome) -> list[tuple[float, str, str]]:
    """The times since the start, the servers, and the reasons."""
    lines = ((event.at - outcome.begun_at, OUT.search(event.text)) for event in outcome.history.events)
    return [(at_s, *found.groups()) for at_s, found in lines if found is not None]


@pytest.mark.parametrize(
    ("kind", "amount"), [("slow", 0.02), ("slow", 0.2), ("jitter", 0.1)], ids=["20", "200", "jitter"]
)
def test_a_grey_server_is_out_within_two_seconds(kind: str, amount: float) -> None:
    for seed in range(5):
        plan = scenario(seed, Fault(kind, VICTIM, 2.0 + 0.13 * seed, 4.0, amount))
        outcome = run(plan)
        assert not list(violations(plan, outcome))
        out = ejections(outcome)
        assert {server for _, server, _ in out} == {VICTIM}
        assert 0 < out[0][0] - plan.faults[0].at_s <= 2.0
        assert not outcome.unsettled


@pytest.mark.parametrize(
    "fault",
    [
        None,
        Fault("tail", VICTIM, 1.5, 5.0, 0.2),
        Fault("loss", VICTIM, 1.5, 5.0, 0.01),
        Fault("slow", VICTIM, 1.5, 5.0, 0.002),
    ],
    ids=["none", "tail", "loss", "slow"],
)
def test_a_server_that_is_good_enough_stays(fault: Fault | None) -> None:
    for seed in range(5):
        assert ejections(run(scenario(seed, *([fault] if fault else [])))) == []


def test_a_server_whose_connections_break_is_flapping() -> None:
    """Reads alone: a lost write would eject it by another rule."""
    reasons = []
    for seed in range(5):
        plan = scenario(seed, Fault("reset", VICTIM, 1.5, 5.0, 0.05), writes=0.0)
        reasons += [reason for _, _, reason in ejections(run(plan))]
    assert any(reason.startswith("its connections break again and again") for reason in reasons)


@pytest.mark.parametrize(("kind", "amount"), [("flap", 0.4), ("reset", 0.05)], ids=["flap", "reset"])
def test_a_server_that_fails_again_and_again_is_out_for_longer_and_longer(kind: str, amount: float) -> None:
    outcome = run(scenario(3, Fault(kind, VICTIM, 2.0, 60.0, amount), span_s=60.0))
    times = [at_s for at_s, server, _ in ejections(outcome) if server == VICTIM]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    # Without the growth there would be one each second or two.
    assert 2 <= len(times) <= 12
    assert max(gaps[len(gaps) // 2 :]) > 2 * min(gaps)
    assert not outcome.unsettled
