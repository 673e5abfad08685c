"""Writes the table of docs/events.md from mcroute.policy.state_changes."""

import re
from pathlib import Path

from mcroute.policy.state_changes import FIGURES, MEANINGS

PAGE = Path(__file__).parent / "events.md"
PART = re.compile(r"(<!-- generated: events -->\n).*?(<!-- end -->)", re.DOTALL)


def page() -> str:
    rows = ["| event | meaning | figures |", "|---|---|---|"]
    for change, meaning in MEANINGS.items():
        figures = ", ".join(f"`{name}`" for name in FIGURES.get(change, ()))
        rows.append(f"| `{change.value}` | {meaning} | {figures} |")
    table = "\n".join(rows)
    return PART.sub(lambda part: f"{part[1]}{table}\n{part[2]}", PAGE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
