"""Writes the table of docs/faults.md: as a script only, since it takes a quarter of an hour.

python docs/generate_faults.py [INJECTIONS [JOBS]]
"""

import re
import sys
from pathlib import Path

from mcroute.simulation.matrix import lines_of

PAGE = Path(__file__).parent / "faults.md"
PART = re.compile(r"(<!-- generated: matrix -->\n).*?(<!-- end -->)", re.DOTALL)


def page(table: str) -> str:
    text = PAGE.read_text(encoding="utf-8")
    return PART.sub(lambda part: f"{part[1]}{table}\n{part[2]}", text)


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    table = "\n".join(lines_of(*(numbers or [200])))
    PAGE.write_text(page(table), encoding="utf-8")
