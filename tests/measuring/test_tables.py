"""Tables: what they say of a run, and that a run can be shown again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benches.proxies.policies import by_prefix
from benches.proxies.tables import BEGIN, END, full_tables, replace_section, result_section
from mcroute.testing import MemcachedServer

ROOT = Path(__file__).parents[2]


def cell(peer: str, row: str, turn: int, us: float, **more: Any) -> dict[str, Any]:
    spent = {"us": us * 1000, "us_per_request": us}
    base = {"peer": peer, "workload": row, "round": turn, "status": 0, "trouble": "", "requests": 1000}
    memory = {"idle_kb": 2048, "filled_kb": 3072, "rss_kb": 4096, "held_kb": 4072}
    seen = {
        "requests_per_s": 1e6 / us,
        "p50_us": us,
        "p99_us": 2 * us,
        "others_cores": 0.1,
        "out_of_order": 0,
    }
    cpu = {"proxy": spent, "servers": spent, "load": spent}
    return {**base, **memory, **seen, "cpu": cpu, "operations_per_key": 1.0, **more}


def run(*cells: dict[str, Any]) -> dict[str, Any]:
    about = {
        "date": "2030-01-02 03:04 UTC",
        "cpu": "A CPU",
        "cores": 2,
        "kernel": "Linux 7",
        "python": "3.14.0",
    }
    about |= {"commit": "abcdef0", "servers": "memcached 1.6", "versions": ["nutcracker-0.5.0"]}
    settings = {"rounds": 3, "seconds": 2.0, "placement": "one", "threads": 1, "nice": 0, "baseline": "base"}
    return {
        "about": about,
        "settings": settings | {"command": "python -m benches.proxies"},
        "peers": {"base": "the base", "other": "another", "gone": "never seen"},
        "notes": ["never seen is left out: it is not here."],
        "cells": list(cells),
    }


def rounds(peer: str, row: str, *figures: float) -> list[dict[str, Any]]:
    return [cell(peer, row, turn, us) for turn, us in enumerate(figures)]


def test_the_ratio_is_the_median_of_the_rounds_ratios() -> None:
    # The ratio of the medians would be 11 / 20; a slow round slows both, and cancels out.
    section = result_section(run(*rounds("base", "b", 10, 20, 40), *rounds("other", "b", 9.5, 11, 30)))
    assert "| CPU a request | the base, µs | another |" in section
    assert "| **b**: 50 connections, GET:SET 9:1, 100 B | 20.0 | 0.75 (0.65-0.85) |" in section


def test_a_round_without_its_counterpart_is_no_ratio() -> None:
    section = result_section(run(*rounds("base", "b", 10, 20), *rounds("other", "b", 10, 10, 1)))
    assert "| 15.0 | 0.75 (0.62-0.88) |" in section


def test_the_section_names_its_date_machine_and_missing_peers() -> None:
    section = result_section(run(*rounds("base", "a", 43.21, 42, 44)))
    for text in ("2030-01-02", "abcdef0", "A CPU, 2 cores", "Linux 7", "nutcracker-0.5.0", "3 rounds of 2 s"):
        assert text in section
    assert "* never seen is left out: it is not here." in section
    assert section.endswith("```sh\npython -m benches.proxies\n```")
    assert "never seen |" not in section


def test_memory_of_idle_connections_is_a_row_of_its_own() -> None:
    section = result_section(run(*rounds("base", "g", 10), *rounds("base", "i", 10)))
    assert "| idle | 2.00 |" in section
    assert "| more after row g | 2.00 |" in section
    assert "| bytes for an idle connection, of 10,000 | 1,024 |" in section
    assert "**i**" not in section


def test_a_wrong_value_is_not_overlooked() -> None:
    tables = full_tables(run(cell("base", "c", 0, 5.0, status=3, trouble="other bytes in k7")))
    assert "* **the base, row c, round 0: other bytes in k7**" in tables


def test_values_in_another_order_are_reported_once() -> None:
    unordered = [cell("base", "d", turn, 5.0, out_of_order=7) for turn in range(3)]
    assert result_section(run(*unordered)).count("the base: the values of a multiget are not") == 1


def test_the_section_replaces_the_text_between_the_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    replace_section(page, "µs")
    replace_section(page, "new µs")
    assert page.read_text(encoding="utf-8") == f"before\n{BEGIN}\n\nnew µs\n\n{END}\nafter\n"


def test_a_page_without_marks_stays_as_it_is(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("text", encoding="utf-8")
    with pytest.raises(ValueError, match="has no"):
        replace_section(page, "new")
    assert page.read_text(encoding="utf-8") == "text"


def test_the_page_has_the_marks() -> None:
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert 0 < text.find(BEGIN) < text.find(END)


@pytest.mark.usefixtures("programs")
def test_a_run_is_recorded_and_can_be_shown_again(memcached_server: MemcachedServer, tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    brief = "--rounds 1 --seconds 0.1 --workloads c --retries 0 --nice 0 --peers mcroute,direct"

    def tables(*options: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "benches.proxies", *options],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    shown = tables(*brief.split(), "--out", str(file))
    recorded = json.loads(file.read_text(encoding="utf-8"))
    assert tables("--table", str(file)) == shown
    assert "| CPU a request | mcroute, µs | no proxy: memcached itself |" in shown
    assert [measured["peer"] for measured in recorded["cells"]] == ["mcroute", "direct"]
    for measured in recorded["cells"]:
        assert measured["status"] == 0
        assert measured["operations_per_key"] == pytest.approx(1.0, abs=0.01)


def test_pools_by_prefix_are_one_for_each_prefix() -> None:
    text = by_prefix(100)
    assert text.count("[pools.pool-") == 100
    assert '"p99:" = "pool-99"' in text
