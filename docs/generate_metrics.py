"""Writes the table of docs/metrics.md, between `<!-- generated: metrics -->` and `<!-- end -->`."""

import re
from pathlib import Path

from mcroute.observe.metrics import METRICS
from mcroute.observe.observation import Metric

PAGE = Path(__file__).parent / "metrics.md"
PART = re.compile(r"(<!-- generated: metrics -->\n).*?(<!-- end -->)", re.DOTALL)


def page() -> str:
    table = "\n".join(["| name | type | labels | meaning |", "|---|---|---|---|", *map(row, METRICS)])
    return PART.sub(lambda part: f"{part[1]}{table}\n{part[2]}", PAGE.read_text(encoding="utf-8"))


def row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `mcroute_{metric.name}` | {metric.kind.value} | {labels} | {metric.help} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
