"""Two of four servers return empty before a slow database: two copies recover, one does not."""

from __future__ import annotations

import pytest

from mcroute.simulation.overload import line_of, recovery_s


@pytest.mark.parametrize(("copies", "recovers"), [(1, False), (2, True)])
def test_who_recovers(copies: int, recovers: bool) -> None:
    time_s = recovery_s(copies, 3)
    assert (time_s is not None) is recovers
    assert time_s is None or time_s < 30


def test_the_summary() -> None:
    assert line_of(1, [None, None]) == "1 copy: 0 of 2 recovered"
    times = [4.0, None, 2.0, 8.0]
    text = "3 of 4 recovered: median 4.0 s, p90 8.0 s, last 8.0 s after the faults"
    assert line_of(2, times) == f"2 copies: {text}"
