"""Writes the tables of docs/simulation.md: the faults, and the options of fault scripts.

Each is between `<!-- generated: NAME -->` and `<!-- end -->`. As a script it also runs the commands of
`<!-- run: COMMAND -->`, and inserts their outputs. `page` leaves these as they are: most changes of the
policy change some of their times.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from mcroute.config.options import REQUIRED, Option
from mcroute.simulation.faults import FAULTS, Kind
from mcroute.simulation.scripts import FAULT, MEMCACHED, WORKLOAD

PAGE = Path(__file__).parent / "simulation.md"
PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
RUN = re.compile(r"(<!-- run: mcroute (.*?) -->\n```\n).*?(```\n<!-- end -->)", re.DOTALL)


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


def output(command: str) -> str:
    """Of a command of mcroute, in the root of the repository."""
    words = [sys.executable, "-m", "mcroute", *shlex.split(command)]
    return subprocess.run(words, cwd=PAGE.parents[1], check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    text = RUN.sub(lambda part: f"{part[1]}{output(part[2])}{part[3]}", page())
    PAGE.write_text(text, encoding="utf-8", newline="\n")
