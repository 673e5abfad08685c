"""The distribution is `mcroute-engine`: on the package index `mcroute` is another project."""

import importlib.metadata
import re
import runpy
from pathlib import Path

import mcroute

ROOT = Path(__file__).parents[1]
DISTRIBUTION = "mcroute-engine"
TEXTS = [
    *(ROOT / name for name in ("README.md", "pyproject.toml", "Makefile")),
    *(p for place in ("docs", "src", "examples", ".github", ".ci") for p in (ROOT / place).rglob("*")),
]
SUFFIXES = {".md", ".py", ".pyi", ".toml", ".yml", ""}


def texts() -> dict[str, str]:
    files = [path for path in TEXTS if path.is_file() and path.suffix in SUFFIXES]
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in files}


def test_nothing_says_to_install_the_other_project() -> None:
    # As in mcroute[proxy], or in a line with `pip install` and the bare name.
    strangers = re.compile(r"(?<![\w-])mcroute\[[a-z{]|pip[^\n]* install[^\n]* '?mcroute(?![\w-])")
    assert {name: found[0] for name, text in texts().items() if (found := strangers.search(text))} == {}


def test_extras_that_are_named_exist() -> None:
    extras = importlib.metadata.metadata(DISTRIBUTION).get_all("Provides-Extra") or []
    named = {extra for text in texts().values() for extra in re.findall(rf"{DISTRIBUTION}\[(\w+)\]", text)}
    assert named and named <= set(extras)


def test_the_version_is_said_once_more_in_the_package() -> None:
    assert importlib.metadata.version(DISTRIBUTION) == mcroute.__version__


def test_the_index_shows_a_readme_whose_links_lead_into_the_project() -> None:
    shown = runpy.run_path(str(ROOT / "setup.py"))["readme"]()
    source = importlib.metadata.metadata(DISTRIBUTION).get_all("Project-URL") or []
    (home,) = (url.partition(", ")[2] for url in source if url.startswith("Source, "))
    links = re.findall(r"\]\(([^)\s#]+)", shown)
    assert [link for link in links if not re.match(r"https?://", link)] == []
    own = [link.removeprefix(f"{home}/blob/").partition("/")[2] for link in links if link.startswith(home)]
    assert own and [path for path in own if not (ROOT / path).exists()] == []
