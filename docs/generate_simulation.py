"""Writes the tables of docs/simulation.md: the faults, and the options of fault scripts.

Each is between `<!-- generated: NAME -->` and `<!-- end -->`.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from mcroute.config.schema import REQUIRED, Option
from mcroute.simulation.faults import FAULTS, Kind
from mcroute.simulation.scripts import FAULT, MEMCACHED, WORKLOAD

PAGE = Path(__file__).parent / "simulation.md"
PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def page() -> str:
    tables = {
        "faults": faults(),
        "workload": options(WORKLOAD),
        "memcached": options(MEMCACHED),
        "fault": options(FAULT),
    }
    text = PAGE.read_text(encoding="utf-8")
    return PART.sub(lambda part: f"{part[1]}{tables[part[2]]}\n{part[3]}", text)


def faults() -> str:
    rows = (row(name, kind) for name, kind in FAULTS.items())
    return "\n".join(["| kind | the fault | `amount` |", "|---|---|---|", *rows])


def row(name: str, kind: Kind) -> str:
    return f"| `{name}` | {kind.text} | {f'{kind.amount:g}' if kind.amount else ''} |"


def options(rows: Iterable[Option]) -> str:
    lines = (f"| `{o.name}` | {o.help.removesuffix('.')} | {o.unit} | {default(o)} |" for o in rows)
    return "\n".join(["| option | meaning | unit | default |", "|---|---|---|---|", *lines])


def default(option: Option) -> str:
    if option.default is REQUIRED:
        return "required"
    if option.default is None or option.default == "":
        return ""
    return f"`{option.example}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
