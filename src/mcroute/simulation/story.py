"""Tells a violation as a story: what happened to its key and its servers, in order, with times."""

from __future__ import annotations

from collections.abc import Iterator

from .checker import Violation
from .history import Call, Event
from .world import Outcome, Scenario

__all__ = ("story_of",)


def story_of(scenario: Scenario, outcome: Outcome, violation: Violation) -> str:
    """Several lines. Times are seconds since the first operation."""
    return "\n".join(_lines(scenario, outcome, violation))


def _lines(scenario: Scenario, outcome: Outcome, violation: Violation) -> Iterator[str]:
    servers = ", ".join(server.name for server in scenario.plan.servers)
    yield f"seed {scenario.seed}: {violation}"
    yield (
        f"  {scenario.proxies} proxies and {scenario.embedded} embedded clients before {servers} "
        f"({scenario.layout or 'one route'}, memcached {scenario.server_options.version}); "
        f"{len(scenario.operations)} operations, {len(scenario.faults)} faults"
    )
    ends_at = max((call.ended_at for call in violation.calls), default=outcome.ended_at)
    for entry in outcome.history:
        at = entry.ended_at if isinstance(entry, Call) else entry.at
        if at <= ends_at and _belongs(entry, violation):
            sign = ">" if entry in violation.calls else " "
            yield f"{sign} {at - outcome.begun_at:10.6f} {entry}"
    yield f"= {violation}"


def _belongs(entry: Call | Event, violation: Violation) -> bool:
    if isinstance(entry, Event):
        return True
    return not violation.key or entry.key == violation.key
