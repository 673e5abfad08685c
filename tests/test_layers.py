"""Imports point down, and no modules import each other in a circle: in .py, .pyx and .pxd alike.

The picture is in docs/architecture.md.
"""

import re
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "mcroute"

# Lowest first. A part may import the parts of lower rows, and itself.
LAYERS = [
    {"_version", "errors", "_hashing"},
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
    {"simulation", "monitoring"},
    {"cli"},
    {"__main__"},
]
RANK = {part: rank for rank, parts in enumerate(LAYERS) for part in parts}

# The engine executes, policy decides: of policy, the engine imports the vocabulary of plans (nodes, options
# of servers, steps of users' routes), and no module that makes plans.
VOCABULARY = ("mcroute.policy.nodes", "mcroute.policy.server_options", "mcroute.policy.steps")
FORBIDDEN = {("_engine", "policy"), ("testing", "_engine")}

# Below the drivers, time and bytes are arguments.
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
    return part if top == "mcroute" and part else None


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


def module_graph(files: Iterable[Path]) -> dict[str, set[str]]:
    """For each module those that it imports or cimports, at its top, in a function or for its types alone.

    A `.pyx` and its `.pxd` are one module. A name that is no module is the module's that it is taken from.
    """
    files = list(files)
    modules = {module_name(path) for path in files}
    graph: dict[str, set[str]] = {module: set() for module in modules}
    for path in files:
        for name in imported_modules(path):
            target = name if name in modules else name.rpartition(".")[0]
            if target in modules and target != module_name(path):
                graph[module_name(path)].add(target)
    return graph


def circle(graph: dict[str, set[str]]) -> list[str] | None:
    """Modules of which each imports the next and the last is the first again; None where there are none."""
    try:
        TopologicalSorter({module: sorted(targets) for module, targets in graph.items()}).prepare()
    except CycleError as error:
        found: list[str] = error.args[1][::-1]
        return found
    return None


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circle(module_graph(FILES)) is None


def test_a_circle_is_found_whatever_kinds_of_files_it_goes_through(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    (tmp_path / "a.pyx").write_text("from mcroute.c cimport whatever\n")
    (tmp_path / "b.pxd").write_text("from mcroute.a cimport (\n    one, two,\n)\n")
    (tmp_path / "b.pyx").write_text("")
    (tmp_path / "c.py").write_text("def late():\n    from . import b\n")
    (tmp_path / "d.py").write_text("from .a import three\n")
    files = sorted(tmp_path.iterdir())
    assert sorted(set(circle(module_graph(files)) or ())) == ["mcroute.a", "mcroute.b", "mcroute.c"]
    (tmp_path / "c.py").write_text("")
    assert circle(module_graph(files)) is None


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
