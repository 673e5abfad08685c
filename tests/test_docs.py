"""The pages say what is so: links lead somewhere, generated parts are up to date, code that can be run runs.

The code of docs/client.md, docs/embedding.md and docs/differences.md has tests of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import runpy
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from mcroute.config import parse_config
from mcroute.config.schema import ROUTES as CONFIGURABLE
from mcroute.observe.metrics import METRICS as METRICS_TABLE
from mcroute.observe.observation import Kind, Metric
from mcroute.policy import Cause, compile_plan
from mcroute.testing import EmbeddedServer

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
ROUTES = ROOT / "docs" / "routes.md"
METRICS = ROOT / "docs" / "metrics.md"
SIMULATION = ROOT / "docs" / "simulation.md"
DASHBOARD = ROOT / "examples" / "dashboard.json"
PAGES = [README, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def name_of(value: Any) -> str | None:
    return value.relative_to(ROOT).as_posix() if isinstance(value, Path) else None


def prose(page: Path) -> str:
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text(encoding="utf-8")))


def anchors(page: Path) -> set[str]:
    """GitHub's anchors of headings: small letters, dashes for blanks, nothing else."""
    headings = HEADING.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def blocks(page: Path, *languages: str) -> list[tuple[str, str]]:
    """The page's pieces of code in these languages, as (language, code)."""
    found = FENCE.findall(page.read_text(encoding="utf-8"))
    return [(language, code) for language, code in found if language in languages]


# ---- links ----


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(prose(page)):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_found_from_the_readme() -> None:
    found, new = set(), {README}
    while new:
        found |= new
        links = {(page, link.partition("#")[0]) for page in new for link in LINK.findall(prose(page))}
        new = {(page.parent / path).resolve() for page, path in links if path.endswith(".md")} - found
    assert {page for page in PAGES if page.name != "CHANGELOG.md"} <= found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_paths_that_are_named_exist(page: Path) -> None:
    named = re.findall(r"`((?:src|docs|tests|examples|benches)/[\w./]+)`", page.read_text(encoding="utf-8"))
    assert [path for path in named if not (ROOT / path).exists()] == []


# ---- commands ----


def commands(program: str) -> list[str]:
    """The lines of all shell blocks that begin with the program's name, without what is said about them."""
    code = "".join(code for page in PAGES for _, code in blocks(page, "sh"))
    lines = (re.split(r"\s+#|\s*&&", line)[0] for line in code.splitlines())
    return sorted({line for line in lines if line.startswith(f"{program} ")})


def test_goals_of_make_that_are_named_exist() -> None:
    goals = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {line.split()[1] for line in commands("make")} <= goals


@pytest.mark.parametrize("line", [c for c in commands("mcroute") if "examples/" in c and " proxy " not in c])
def test_commands_that_end_by_themselves_succeed(line: str) -> None:
    command = [sys.executable, "-m", *shlex.split(line)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# ---- the readme ----


@pytest.mark.parametrize("index", range(len(blocks(README, "python"))))
def test_the_readme_runs(index: int, capsys: pytest.CaptureFixture[str]) -> None:
    """As pasted, but for the ports."""
    _, block = blocks(README, "python")[index]
    with contextlib.ExitStack() as stack:
        for i in (1, 2, 3):
            block = block.replace(f"127.0.0.1:1121{i}", stack.enter_context(EmbeddedServer()).address)
        exec(block, {})


def test_the_first_file_is_the_same_everywhere() -> None:
    """In the readme, on Django's page and in the examples."""
    example = (ROOT / "examples" / "first.toml").read_text(encoding="utf-8")
    files = [next(code for _, code in blocks(page, "toml")) for page in (README, ROOT / "docs" / "django.md")]
    assert {file.partition("\n")[2] for file in (*files, example)} == {example.partition("\n")[2]}
    settings = [code for page in (README, ROOT / "docs" / "django.md") for _, code in blocks(page, "python")]
    assert settings[0] == settings[-1]


# ---- the routes ----


def test_generated_parts_are_up_to_date() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "generate_routes.py"))["page"]()
    assert ROUTES.read_text(encoding="utf-8") == page, "run: python docs/generate_routes.py"


def test_the_table_of_events_is_up_to_date() -> None:
    page = ROOT / "docs" / "events.md"
    generated = runpy.run_path(str(ROOT / "docs" / "generate_events.py"))["page"]()
    assert page.read_text(encoding="utf-8") == generated, "run: python docs/generate_events.py"
    for _, code in blocks(page, "python"):
        exec(code, {})


def test_the_table_of_systems_is_up_to_date() -> None:
    page = ROOT / "docs" / "placement.md"
    generated = runpy.run_path(str(ROOT / "docs" / "generate_placement.py"))["page"]()
    assert page.read_text(encoding="utf-8") == generated, "run: python docs/generate_placement.py"
    for _, code in blocks(page, "python"):
        exec(code, {})
    for _, code in blocks(page, "toml"):
        assert parse_config(code).pools[0].placement is not None


def test_routes_in_python_and_in_a_file_are_the_same() -> None:
    (_, preparation), (_, pools), *examples = blocks(ROUTES, "python", "toml")
    scope: dict[str, Any] = {}
    exec(preparation, scope)
    in_file = 0
    for language, code in examples:
        if language == "python":
            exec(code, scope)
            compile_plan(scope["route"])
        else:
            in_file += 1
            assert parse_config(pools + code).route == scope["route"]
    assert in_file == len(examples) // 2


def test_the_page_has_every_route() -> None:
    headings = " ".join(HEADING.findall(FENCE.sub("", ROUTES.read_text(encoding="utf-8"))))
    routes = {row.build.__name__ for row in CONFIGURABLE.values()}
    assert {name for name in routes if not re.search(rf"\b{name}\b", headings)} == set()


# ---- the metrics ----


def test_the_page_of_metrics_is_up_to_date() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "generate_metrics.py"))["page"]()
    assert METRICS.read_text(encoding="utf-8") == page, "run: python docs/generate_metrics.py"
    assert re.findall(r"^\| `(\w+)` \| ", METRICS.read_text().split("is one of:")[1], re.MULTILINE) == [
        cause.value for cause in Cause
    ]


def test_the_page_of_the_simulation_lists_every_fault() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "generate_simulation.py"))["page"]()
    assert SIMULATION.read_text(encoding="utf-8") == page, "run: python docs/generate_simulation.py"


def test_the_dashboard_is_up_to_date() -> None:
    generated = runpy.run_path(str(ROOT / "docs" / "generate_dashboard.py"))["page"]()
    assert DASHBOARD.read_text(encoding="utf-8") == generated, "run: python docs/generate_dashboard.py"
    covered: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in json.loads(generated)["panels"]):
        columns = range(place["x"], place["x"] + place["w"])
        own = {(x, y) for x in columns for y in range(place["y"], place["y"] + place["h"])}
        assert not covered & own and max(columns) < 24
        covered |= own


@pytest.mark.parametrize("path", [METRICS, DASHBOARD, ROOT / "examples" / "alerts.yml"], ids=name_of)
def test_expressions_are_about_metrics_that_exist(path: Path) -> None:
    known = {f"mcroute_{m.name}{part}" for m in METRICS_TABLE for part in parts_of(m)}
    text = path.read_text(encoding="utf-8").replace('\\"', '"')
    # After a colon it is the name of a rule, with the parts of that rule.
    named = set(re.findall(r"(?<![:\w])mcroute_[a-z_]+", text))
    assert named <= known, named - known
    labels = {label for m in METRICS_TABLE for label in m.labels}
    for selectors in re.findall(r"mcroute_\w+\{([^}]*)\}", text):
        assert set(re.findall(r"(\w+)=", selectors)) <= labels | {"job", "instance"}


def parts_of(metric: Metric) -> tuple[str, ...]:
    return ("", "_bucket", "_count", "_sum") if metric.kind is Kind.HISTOGRAM else ("",)


def test_the_page_of_metrics_runs() -> None:
    ((_, code),) = blocks(METRICS, "python")
    with EmbeddedServer() as server:
        scope: dict[str, Any] = {}
        code = code.replace("cache1:11211", server.address)
        exec("async def run():\n" + textwrap.indent(code, "    ") + "    return page\n", scope)
        assert b"mcroute_up 1.0\n" in asyncio.run(scope["run"]())


# ---- the stubs ----


def test_the_stubs_have_the_docstrings_of_the_modules() -> None:
    for path, text in runpy.run_path(str(ROOT / "docs" / "generate_stubs.py"))["stubs"]():
        assert path.read_text(encoding="utf-8") == text, "run: python docs/generate_stubs.py"


@pytest.mark.parametrize(
    "stub",
    [
        "class A: ...\n",
        "class A:\n    x: int\n",
        "class A:\n    def f(self) -> int: ...\n",
        "def f() -> int: ...\n",
    ],
)
def test_a_public_name_of_a_stub_without_a_docstring_is_an_error(stub: str) -> None:
    generator = runpy.run_path(str(ROOT / "docs" / "generate_stubs.py"))
    source = 'cdef class A:\n    """What it is."""\n' if "def f(self" in stub else "cdef class A:\n    pass\n"
    with pytest.raises(LookupError, match=r"no docstring: (A|A\.f|f)$"):
        generator["documented"](stub, generator["docstrings"](source))


# ---- the architecture ----


def test_every_module_has_its_line() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    tables = page[page.index("## Every module") : page.index("## Decisions")]
    cells = re.findall(r"^\| ([^|]*) \|", tables, re.MULTILINE)
    package = ROOT / "src" / "mcroute"
    files = (p for suffix in ("py", "pyx", "pxd") for p in package.rglob(f"*.{suffix}") if "__" not in p.stem)
    modules = {p.relative_to(package).with_suffix("").as_posix().replace("/", ".") for p in files}
    assert modules == {name for cell in cells for name in re.findall(r"`([\w.]+)`", cell)}


def test_decisions_are_numbered_and_listed() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    listed = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").partition("## Decisions")[2]
    # A number may be missing while a decision is being written; none is used twice.
    assert len({page.name[:4] for page in pages}) == len(pages)
    for page in pages:
        title = page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        assert re.match(r"\d{4}-", page.name) and title.startswith(f"{page.name[:4]}: ")
        assert f"[{title}](decisions/{page.name})" in listed
