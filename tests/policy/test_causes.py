"""Each cause has one text, which the log, `stats`, `explain` and the pages for operators show."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import pytest

from mcroute.policy import Cause, Pool, Reason, Replicate, SetState, Supervisor, compile_plan, explain
from mcroute.policy.causes import DETAILED, TEXTS

OPERATIONS = Path(__file__).parent.parent.parent / "docs" / "operations.md"


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_a_text_that_operators_find(cause: Cause) -> None:
    text = str(Reason(cause))
    assert text == TEXTS[cause]
    page = OPERATIONS.read_text(encoding="utf-8").replace("`", "")
    # The text continues after the other server's name.
    assert re.search(re.escape(text).replace("another\\ server\\ under", "server OTHER under"), page)


@pytest.mark.parametrize("cause", DETAILED)
def test_details_stand_in_the_text(cause: Cause) -> None:
    details = ("here", " (pid 7)")[: DETAILED[cause].count("{}")]
    assert all(detail in str(Reason(cause, details)) for detail in details)


def test_the_reason_goes_from_the_failure_to_decisions_reports_and_explanations() -> None:
    plan = compile_plan(Replicate(Pool.of("main", ["a:1", "b:1", "c:1"]), copies=2))
    supervisor = Supervisor(plan, Random(1))
    first = Reason(Cause.UNREACHABLE, ("it cannot be connected to: Connection refused",))
    [decision] = supervisor.connect_failed(0, 0.0, first)
    assert isinstance(decision, SetState) and decision.reason is first
    # The server is out already: a later event is not the reason.
    supervisor.tripped(0, 0.1, Reason(Cause.LOST_WRITES, ("(3)",)))
    assert supervisor.reasons() == {"a:1": first}
    assert supervisor.servers(0.1)["a:1"].reason is first
    key = next(key for key in (b"k%d" % i for i in range(99)) if "a:1" in explain(plan, key).servers())
    assert f"ejected, not asked: {first}" in str(explain(plan, key, ejected=supervisor.reasons()))
    due = supervisor.next_wakeup()
    assert due is not None
    supervisor.tick(due)
    supervisor.probe_answered(0, due)
    supervisor.fence_answered(0, (), due)
    assert supervisor.reasons() == {}
