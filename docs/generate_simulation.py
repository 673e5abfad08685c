"""Writes the faults of docs/simulation.md, between `<!-- generated: faults -->` and `<!-- end -->`."""

import re
from pathlib import Path

from mcroute.simulation.faults import FAULTS, Kind

PAGE = Path(__file__).parent / "simulation.md"
PART = re.compile(r"(<!-- generated: faults -->\n).*?(<!-- end -->)", re.DOTALL)


def page() -> str:
    rows = (row(name, kind) for name, kind in FAULTS.items())
    table = "\n".join(["| kind | the fault | `amount` |", "|---|---|---|", *rows])
    return PART.sub(lambda part: f"{part[1]}{table}\n{part[2]}", PAGE.read_text(encoding="utf-8"))


def row(name: str, kind: Kind) -> str:
    return f"| `{name}` | {kind.text} | {f'{kind.amount:g}' if kind.amount else ''} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
