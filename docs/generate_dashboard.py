"""Writes examples/dashboard.json, a dashboard for Grafana, from the table below."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "examples" / "dashboard.json"
ERRORS = "refused_by_server|ejected|lost|timeout|overloaded"
WIDTH, HEIGHT = 8, 7  # of a panel, of which three stand side by side
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True)
class Panel:
    """`expressions` by their legends.

    P stands for the chosen proxies, S for the chosen servers of theirs, G for the chosen pools.
    """

    title: str
    expressions: dict[str, str]
    unit: str = "short"
    type: str = "timeseries"


def quantiles(metric: str, by: str, mark: str) -> dict[str, str]:
    rate = f"rate({metric}_bucket{{{mark}}}[$__rate_interval])"
    return {
        f"p{name} {{{{{by}}}}}": f"histogram_quantile({share}, sum by ({by}, le) ({rate}))"
        for name, share in (("50", 0.5), ("99", 0.99))
    }


def of_pools(metric: str, mark: str = "") -> str:
    """What is counted by server, added up by pool; a server of several pools counts in each."""
    rate = f"rate({metric}{{P{', ' * bool(mark)}{mark}}}[$__rate_interval])"
    joined = f"mcroute_pool_server_info{{G}} * on (job, instance, server) group_left () {by_server(rate)}"
    return f"sum by (pool) ({joined})"


def by_server(rate: str) -> str:
    return f"sum by (job, instance, server) ({rate})"


ROWS = {
    "What clients see": (
        Panel(
            "Requests",
            {"{{command}}": "sum by (command) (rate(mcroute_requests_total{P}[$__rate_interval]))"},
            "reqps",
        ),
        Panel(
            "Errors",
            {
                "{{outcome}}": "sum by (outcome) "
                f'(rate(mcroute_requests_total{{P, outcome=~"{ERRORS}"}}[$__rate_interval]))',
                "refused as no request": "sum(rate(mcroute_requests_refused_total{P}[$__rate_interval]))",
            },
            "reqps",
        ),
        Panel("Latency", quantiles("mcroute_request_duration_seconds", "command", "P"), "s"),
        Panel(
            "Hit ratio",
            {
                "hits": 'sum(rate(mcroute_requests_total{P, outcome="hit"}[$__rate_interval]))'
                ' / sum(rate(mcroute_requests_total{P, outcome=~"hit|miss"}[$__rate_interval]))'
            },
            "percentunit",
        ),
        Panel("Clients", {"{{instance}}": "mcroute_current_connections{P}"}),
        Panel(
            "Bytes",
            {
                "read": "sum(rate(mcroute_read_bytes_total{P}[$__rate_interval]))",
                "written": "sum(rate(mcroute_written_bytes_total{P}[$__rate_interval]))",
            },
            "Bps",
        ),
    ),
    "Servers": (
        Panel(
            "In service",
            {
                "{{server}}": "min by (server) (sum without (state) "
                '(mcroute_server_state{S, state=~"up|slow"}))'
            },
            type="state-timeline",
        ),
        Panel("Latency", quantiles("mcroute_backend_request_duration_seconds", "server", "S"), "s"),
        Panel(
            "Waiting for a reply",
            {"{{server}}": "sum by (server) (mcroute_backend_requests_in_flight{S})"},
        ),
        Panel(
            "Requests",
            {"{{server}}": "sum by (server) (rate(mcroute_backend_requests_total{S}[$__rate_interval]))"},
            "reqps",
        ),
        Panel(
            "Failures",
            {
                "{{server}} {{outcome}}": "sum by (server, outcome) "
                f'(rate(mcroute_backend_requests_total{{S, outcome=~"{ERRORS}"}}[$__rate_interval]))'
            },
            "reqps",
        ),
        Panel(
            "Hit ratio",
            {
                "{{server}}": "sum by (server) "
                '(rate(mcroute_backend_requests_total{S, outcome="hit"}[$__rate_interval]))'
                " / sum by (server) "
                '(rate(mcroute_backend_requests_total{S, outcome=~"hit|miss"}[$__rate_interval]))'
            },
            "percentunit",
        ),
    ),
    "Pools": (
        Panel("Requests", {"{{pool}}": of_pools("mcroute_backend_requests_total")}, "reqps"),
        Panel(
            "Hit ratio",
            {
                "{{pool}}": of_pools("mcroute_backend_requests_total", 'outcome="hit"')
                + " / "
                + of_pools("mcroute_backend_requests_total", 'outcome=~"hit|miss"')
            },
            "percentunit",
        ),
        Panel(
            "In service",
            {
                "{{pool}}": "min by (pool) (mcroute_pool_servers_up{G} / mcroute_pool_servers{G})",
                "{{pool}}: panic": "max by (pool) (mcroute_panic_mode{G}) > 0",
            },
            "percentunit",
        ),
    ),
    "Failover": (
        Panel(
            "Ejections and returns",
            {
                "{{server}} out: {{reason}}": "sum by (server, reason) "
                "(increase(mcroute_ejections_total{S}[$__rate_interval])) > 0",
                "{{server}} returns": "sum by (server) "
                "(increase(mcroute_server_returns_total{S}[$__rate_interval])) > 0",
                "{{server}} is flushed": "sum by (server) "
                "(increase(mcroute_server_flushes_total{S}[$__rate_interval])) > 0",
                "{{server}}: missed keys are deleted": "sum by (server) "
                "(increase(mcroute_server_replays_total{S}[$__rate_interval])) > 0",
            },
        ),
        Panel(
            "Failovers",
            {
                "after {{reason}}": "sum by (reason) (rate(mcroute_failovers_total{P}[$__rate_interval]))",
                "retries {{outcome}}": "sum by (outcome) (rate(mcroute_retries_total{P}[$__rate_interval]))",
            },
            "reqps",
        ),
        Panel(
            "Kept in spite of failures",
            {"{{server}}": "sum by (server) (rate(mcroute_ejections_overflow_total{S}[$__rate_interval]))"},
        ),
        Panel(
            "Missed writes",
            {"{{server}}": "sum by (server) (rate(mcroute_missed_writes_total{S}[$__rate_interval]))"},
            "wps",
        ),
        Panel(
            "Keys in journals",
            {"{{server}}": "sum by (server) (mcroute_journal_keys{S})"},
        ),
        Panel(
            "Connections to servers",
            {
                "{{server}} lost": "sum by (server) "
                "(rate(mcroute_backend_disconnects_total{S}[$__rate_interval])) > 0",
                "{{server}} failed": "sum by (server) "
                "(rate(mcroute_backend_connects_failed_total{S}[$__rate_interval])) > 0",
                "{{server}} out of step": "sum by (server) "
                "(rate(mcroute_desync_detected_total{S}[$__rate_interval])) > 0",
            },
        ),
        Panel("Configurations in force", {"{{hash}}": "count by (hash) (mcroute_config_hash_info{P})"}),
    ),
    "Processes": (
        Panel("CPU", {"{{instance}}": "rate(process_cpu_seconds_total{P}[$__rate_interval])"}, "percentunit"),
        Panel("Memory", {"{{instance}}": "process_resident_memory_bytes{P}"}, "bytes"),
        Panel("Requests and replies under way", {"{{instance}}": "mcroute_buffer_bytes{P}"}, "bytes"),
    ),
}


def page() -> str:
    dashboard = {
        "title": "mcroute",
        "uid": "mcroute",
        "tags": ["memcached"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [*variables()]},
        "panels": [*panels()],
    }
    return json.dumps(dashboard, indent=2) + "\n"


def variables() -> Iterator[dict[str, Any]]:
    yield {"name": "datasource", "type": "datasource", "query": "prometheus"}
    for name, query in (
        ("job", "label_values(mcroute_up, job)"),
        ("instance", 'label_values(mcroute_up{job=~"$job"}, instance)'),
        ("pool", 'label_values(mcroute_pool_servers{job=~"$job"}, pool)'),
        ("server", 'label_values(mcroute_pool_server_info{job=~"$job", pool=~"$pool"}, server)'),
    ):
        yield {
            "name": name,
            "type": "query",
            "query": {"query": query, "refId": name},
            "datasource": SOURCE,
            "refresh": 2,
            "multi": True,
            "includeAll": True,
            "sort": 1,
            "current": {"text": "All", "value": "$__all"},
        }


def panels() -> Iterator[dict[str, Any]]:
    y = 0
    for title, row in ROWS.items():
        yield {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": place(0, y, 24, 1)}
        y += 1
        for i, panel in enumerate(row):
            yield drawn(panel, place(i % 3 * WIDTH, y + i // 3 * HEIGHT, WIDTH, HEIGHT))
        y += (len(row) + 2) // 3 * HEIGHT


def place(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}


def drawn(panel: Panel, where: dict[str, int]) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + i), "expr": chosen(expression), "legendFormat": legend, "datasource": SOURCE}
        for i, (legend, expression) in enumerate(panel.expressions.items())
    ]
    field: dict[str, Any] = {"unit": panel.unit, "min": 0}
    if panel.type == "state-timeline":
        states = {"0": {"text": "out or failing", "color": "red"}, "1": {"text": "up", "color": "green"}}
        field = {"mappings": [{"type": "value", "options": states}], "custom": {"fillOpacity": 80}}
    return {
        "type": panel.type,
        "title": panel.title,
        "datasource": SOURCE,
        "gridPos": where,
        "targets": targets,
        "fieldConfig": {"defaults": field, "overrides": []},
    }


def chosen(expression: str) -> str:
    proxies = 'job=~"$job", instance=~"$instance"'
    servers, pools = f'{proxies}, server=~"$server"', f'{proxies}, pool=~"$pool"'
    for mark, selector in (("P", proxies), ("S", servers), ("G", pools)):
        expression = expression.replace(f"{{{mark}}}", f"{{{selector}}}")
        expression = expression.replace(f"{{{mark}, ", f"{{{selector}, ")
    return expression


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
