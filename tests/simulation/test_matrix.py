"""The table of faults: repeatable injections, a row for each kind of fault, tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mcroute.simulation.faults import FAULTS
from mcroute.simulation.matrix import ROWS, Row, inject, line_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/faults.md").read_text(encoding="utf-8")
ROW = {(row.kind, row.amount): row for row in ROWS}


def test_every_kind_of_fault_of_servers_has_a_row_with_its_figures() -> None:
    assert {row.kind for row in ROWS} == {kind for kind, fault in FAULTS.items() if not fault.of_routers}
    for row in ROWS:
        assert f"| {row.text}, {row.for_s:g} s | " in PAGE


def test_the_page_names_tests_that_exist() -> None:
    named = re.findall(r"`(tests/[\w/.]+)::(\w+)`", PAGE)
    assert len(named) > 15
    for path, name in named:
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("row", "is_found"),
    [(ROW["kill", 0.0], True), (ROW["stop", 0.0], True), (ROW["accept-close", 0.0], False)],
)
def test_an_injection(row: Row, is_found: bool) -> None:
    first = inject(row, 7)
    assert first == inject(row, 7)
    assert (first.out_s is not None) is is_found
    assert (first.errors, first.others, first.laws) == (0, 0, frozenset())
    assert line_of(row, [first]).startswith(f"| {row.text}, 3 s | {int(is_found)} of 1 | ")
