"""Writes the docstrings of the .pyx files into their stubs: editors and type checkers read only these.

    python docs/generate_stubs.py

Signatures and types are written by hand, in the .pyi, and so are docstrings for which a .pyx has no place, as
those of attributes. A public class, function or property without any is an error.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "src" / "mcroute"

_DEFINITION = re.compile(r"^( *)(?:cdef |cpdef )?(class|def) (\w+)")
_DOCSTRING = re.compile(r'\s*"""(.*?)"""', re.DOTALL)
_Definition = ast.ClassDef | ast.FunctionDef


def docstrings(source: str) -> dict[str, str]:
    """Those of a .pyx, by dotted names; lines after the first are dedented."""
    found: dict[str, str] = {}
    within: list[tuple[int, str]] = []
    lines = source.splitlines(keepends=True)
    for number, line in enumerate(lines):
        match = _DEFINITION.match(line)
        if match is None:
            continue
        indent, name = len(match[1]), match[3]
        within = [(outer, known) for outer, known in within if outer < indent]
        path = ".".join((*(known for _, known in within), name))
        if match[2] == "class":
            within.append((indent, name))
        text = _DOCSTRING.match(_body("".join(lines[number:])))
        if text is not None:
            found[path] = _dedented(text[1], indent + 4)
    return found


def _body(text: str) -> str:
    """The definition's lines after its signature."""
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == ":" and depth == 0:
            return text[place + 1 :]
    return ""


def _dedented(text: str, indent: int) -> str:
    return "\n".join(line.removeprefix(" " * indent).rstrip() for line in text.split("\n")).rstrip()


def public(tree: ast.Module) -> Iterator[tuple[str, _Definition]]:
    """A stub's public classes and functions, by dotted names."""
    for node in tree.body:
        if not isinstance(node, _Definition) or node.name.startswith("_"):
            continue
        yield node.name, node
        for member in node.body if isinstance(node, ast.ClassDef) else ():
            if isinstance(member, ast.FunctionDef) and not member.name.startswith("_"):
                yield f"{node.name}.{member.name}", member


def documented(stub: str, found: dict[str, str]) -> str:
    """The stub with these docstrings. Raises LookupError with the names that have none at all."""
    lines = stub.splitlines(keepends=True)
    missing = []
    # From the end, so that earlier places stay what they are.
    for name, node in sorted(public(ast.parse(stub)), key=lambda pair: -pair[1].lineno):
        first = node.body[0]
        if name not in found:
            if not _is_constant(first, str):
                missing.append(name)
            continue
        text = _quoted(found[name], node.col_offset + 4)
        if _is_constant(first, str):
            lines[first.lineno - 1 : first.end_lineno] = [text]
        elif _is_constant(first, type(...)):
            line = lines[first.lineno - 1]
            lines[first.lineno - 1] = f"{line[: first.col_offset].rstrip()}\n{text}"
        else:
            decorators = getattr(first, "decorator_list", [])
            lines.insert(min(place.lineno for place in (first, *decorators)) - 1, f"{text}\n")
    if missing:
        raise LookupError(f"no docstring: {', '.join(sorted(missing))}")
    return "".join(lines)


def _quoted(text: str, indent: int) -> str:
    margin = " " * indent
    first, *others = text.split("\n")
    lines = [f'"""{first}', *others, '"""'] if others else [f'"""{first}"""']
    return "".join(f"{margin}{line}\n" if line else "\n" for line in lines)


def _is_constant(node: ast.stmt, kind: type) -> bool:
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, kind)


def stubs() -> Iterator[tuple[Path, str]]:
    """Each stub with what is to stand in it. Raises LookupError for a public name without a docstring."""
    for path in sorted(PACKAGE.rglob("*.pyi")):
        found = docstrings(path.with_suffix(".pyx").read_text(encoding="utf-8"))
        try:
            yield path, documented(path.read_text(encoding="utf-8"), found)
        except LookupError as error:
            raise LookupError(f"{path.relative_to(PACKAGE)}: {error}") from None


if __name__ == "__main__":
    for path, text in list(stubs()):
        path.write_text(text, encoding="utf-8")
