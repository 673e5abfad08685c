"""Imports point down: in .py, .pyx and .pxd alike. The picture is in docs/architecture.md."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "mcroute"

# Lowest first. A part may import the parts of lower rows, and itself.
LAYERS = [
    {"errors", "_hashing"},
    {"placement"},
    {"_distributions", "_protocol"},
    {"_ring"},
    {"policy"},
    {"_engine"},
    {"compat", "config", "testing"},
    {"runtime"},
    {"_loop"},
    {"drivers"},
    {"observe"},
    {"proxy", "client"},
    {"asyncio", "native"},
    {"cli"},
    {"__main__"},
]
RANK = {part: rank for rank, parts in enumerate(LAYERS) for part in parts}

# The engine carries, policy decides: it knows the vocabulary of plans (nodes, options of servers, steps of
# users' routes) and nothing that makes plans.
VOCABULARY = ("mcroute.policy.nodes", "mcroute.policy.server_options", "mcroute.policy.steps")
FORBIDDEN = {("_engine", "policy"), ("testing", "_engine")}

# Below the drivers, time is an argument and bytes are handed in.
SANS_IO = {
    "errors",
    "_hashing",
    "placement",
    "_distributions",
    "_ring",
    "_protocol",
    "policy",
    "_engine",
    "runtime",
}
OUTSIDE_WORLD = {"asyncio", "select", "selectors", "socket", "subprocess", "threading", "time"}

IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(?P<base>[.\w]+)[ \t]+c?import[ \t]+(?P<names>\([^)]*\)|[^#\n]+)"
    r"|c?import[ \t]+(?P<modules>[^#\n]+))",
    re.MULTILINE,
)


def module_name(path: Path) -> str:
    parts = ("mcroute", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def absolute(base: str, path: Path) -> str:
    """`..nodes` as seen from `path`, as a full name."""
    depth = len(base) - len(base.lstrip("."))
    if depth == 0:
        return base
    package = ["mcroute", *path.relative_to(PACKAGE).parent.parts]
    kept = package[: len(package) - depth + 1]
    return ".".join([*kept, base[depth:]] if base[depth:] else kept)


def imported_modules(path: Path) -> Iterator[str]:
    """The full names that a file imports or cimports; a name taken from a part counts with it."""
    for match in IMPORT.finditer(path.read_text()):
        if match["modules"]:
            yield from (part.split()[0] for part in match["modules"].split(","))
            continue
        base = absolute(match["base"], path)
        if base.split(".")[0] == "mcroute":
            names = re.sub(r"[()]|#.*", " ", match["names"]).split(",")
            yield from (f"{base}.{name.split()[0]}" for name in names if name.strip())
        else:
            yield base


def part_of(module: str) -> str | None:
    """`policy` for `mcroute.policy.routes`; None for the package's own face and for foreign modules."""
    top, _, rest = module.partition(".")
    part = rest.split(".")[0]
    return part if top == "mcroute" and part and not part.startswith("__version") else None


FILES = sorted(path for suffix in ("py", "pyx", "pxd") for path in PACKAGE.rglob(f"*.{suffix}"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_down(path: Path) -> None:
    part = part_of(module_name(path))
    if part is None:
        return
    assert part in RANK, f"{part}: new parts of mcroute get a row in LAYERS"
    for module in imported_modules(path):
        other = part_of(module)
        if other in (None, part) or (part == "_engine" and module.startswith(VOCABULARY)):
            continue
        assert RANK[other] < RANK[part], f"{module} is not below {part}"
        assert (part, other) not in FORBIDDEN, f"{part} must not know {other}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_nothing_below_the_drivers_meets_the_outside_world(path: Path) -> None:
    if part_of(module_name(path)) in SANS_IO:
        met = {module.split(".")[0] for module in imported_modules(path)} & OUTSIDE_WORLD
        assert not met


def test_all_spellings_of_an_import_are_seen(tmp_path: Path) -> None:
    source = PACKAGE / "policy" / "nodes.py"
    found = tmp_path / "x.pyx"
    found.write_text(
        "import mcroute.a, mcroute.b as b\n"
        "from mcroute.c cimport d\n"
        "cimport mcroute.e\n"
        "from mcroute cimport (\n    _f,  # why\n    _g,\n)\n"
        "    from mcroute import h as other\n"
    )
    assert {part_of(module) for module in imported_modules(found)} == {"a", "b", "c", "e", "_f", "_g", "h"}
    assert absolute("..errors", source) == "mcroute.errors"
    assert absolute(".routes", source) == "mcroute.policy.routes"
