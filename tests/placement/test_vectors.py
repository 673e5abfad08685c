"""Rings place keys where the real programs were seen to place them (tests/golden/make_vectors.py)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.golden import adapter

VECTORS = Path(__file__).parents[1] / "vectors" / "placement"
KEYS = [bytes.fromhex(line) for line in (VECTORS / "keys.txt").read_text().split()]
CASES = [case for path in sorted(VECTORS.glob("*.json")) for case in json.loads(path.read_text())]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_keys_are_where_the_real_program_has_put_them(case: dict[str, Any]) -> None:
    wrong = [
        (key, owner, found)
        for key, owner in zip(KEYS, case["owners"], strict=True)
        if owner >= 0 and (found := adapter.owner(case, key)) != owner
    ]
    assert wrong == []


def test_vectors_have_every_system_that_could_be_asked() -> None:
    systems = {"twemproxy", "memcached-proxy", "pylibmc", "pymemcache", "uhashring", "meta-memcache", "libmc"}
    assert {case["system"] for case in CASES} >= systems
    assert all(len(case["owners"]) == len(KEYS) for case in CASES)
