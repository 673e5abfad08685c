"""Writes the Python of README.md and docs/*.md to files, one a snippet, for type checkers.

    python docs/extract_snippets.py FOLDER

A snippet that awaits stands in a coroutine. Those of routes.md share its first one.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def snippets() -> Iterator[tuple[str, str]]:
    """Each one's name and code."""
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        codes = FENCE.findall(page.read_text(encoding="utf-8"))
        for number, code in enumerate(codes):
            shared = codes[0] if page.stem == "routes" and number else ""
            yield f"{page.stem.lower()}_{number + 1}", _runnable(shared + code)


def _runnable(code: str) -> str:
    compiled = compile(code, "snippet", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if not compiled.co_flags & inspect.CO_COROUTINE:
        return code
    return f"async def snippet() -> None:\n{textwrap.indent(code, '    ')}"


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.py"):
        stale.unlink()
    for name, code in snippets():
        (folder / f"{name}.py").write_text(code, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
