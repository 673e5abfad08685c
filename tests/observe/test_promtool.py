"""The metrics, rules and dashboard pass Prometheus' own promtool."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from mcroute.asyncio import start_proxy
from mcroute.observe.prometheus import ProxyCollector
from mcroute.policy import Pool, PoolRoute
from mcroute.testing import EmbeddedServer

PROMTOOL = shutil.which("promtool")
ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "examples" / "alerts.yml"
DASHBOARD = ROOT / "examples" / "dashboard.json"
TESTS = Path(__file__).with_name("alerts.yml")

needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="no promtool on the PATH")


def check(*arguments: str | Path, given: bytes = b"") -> None:
    asked = [PROMTOOL or "", *map(str, arguments)]
    done = subprocess.run(asked, input=given, capture_output=True, timeout=50, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()


def check_expressions(expressions: list[str], path: Path) -> None:
    """By way of a file of rules, JSON being YAML: promtool alone reads expressions only to ask a server."""
    rules = [{"record": f"expression:{i}", "expr": text} for i, text in enumerate(expressions)]
    path.write_text(json.dumps({"groups": [{"name": "expressions", "rules": rules}]}), encoding="utf-8")
    check("check", "rules", path)


def of_dashboard() -> Iterator[str]:
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"].replace("$__rate_interval", "5m")


def of_page() -> Iterator[str]:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    questions = page.partition("## Questions, in PromQL")[2].partition("\n## ")[0]
    for expression in re.findall(r"^\| .* \| `(.*)` \|$", questions, re.MULTILINE):
        yield expression.replace("\\|", "|")


@needs_promtool
def test_alerts_are_rules() -> None:
    check("check", "rules", ALERTS)


@needs_promtool
def test_alerts_come_when_they_should_and_no_sooner() -> None:
    check("test", "rules", TESTS)


def test_every_alert_is_tested() -> None:
    named = re.findall(r"- alert: (\w+)", ALERTS.read_text(encoding="utf-8"))
    tested = re.findall(r"- alertname: (\w+)", TESTS.read_text(encoding="utf-8"))
    assert set(named) == set(tested) and len(named) == len(set(named))


@needs_promtool
@pytest.mark.parametrize("source", [of_dashboard, of_page])
def test_expressions_parse(source, tmp_path: Path) -> None:
    expressions = [*source()]
    assert len(expressions) >= 9
    check_expressions(expressions, tmp_path / "rules.json")


@needs_promtool
def test_promtool_accepts_the_metrics() -> None:
    async def page(address: str) -> bytes:
        async with await start_proxy(PoolRoute(Pool.of("main", [address]))) as proxy:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            writer.write(b"get a\r\n")
            assert await reader.readline() == b"END\r\n"
            writer.close()
            registry = CollectorRegistry()
            registry.register(ProxyCollector(proxy))
            return generate_latest(registry)

    with EmbeddedServer() as server:
        check("check", "metrics", given=asyncio.run(page(server.address)))
