"""Converts the cells of a run to Markdown. A run is self-contained: the table of peers may change later."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from .workloads import WORKLOADS

__all__ = ("BEGIN", "END", "Run", "full_tables", "replace_section", "result_section")

BEGIN = "<!-- performance: begin, written by python -m benches.proxies --write-docs -->"
END = "<!-- performance: end -->"

Cell = dict[str, Any]
# {"about": {...}, "settings": {...}, "peers": {name: title}, "notes": [text], "cells": [cell]}
Run = dict[str, Any]
Figure = Callable[[Cell], float]


def _field(*path: str) -> Figure:
    """A figure of a cell, as in _field("cpu", "proxy", "us_per_request")."""

    def figure(cell: Cell) -> float:
        value: Any = cell
        for name in path:
            value = value[name]
        return float(value)

    return figure


CPU_US = _field("cpu", "proxy", "us_per_request")
DETAILS = {
    "CPU a request, µs": CPU_US,
    "requests/s": _field("requests_per_s"),
    "p50, µs": _field("p50_us"),
    "p99, µs": _field("p99_us"),
    "CPU of the servers per request, µs": _field("cpu", "servers", "us_per_request"),
    "resident memory after it, KiB": _field("rss_kb"),
    "operations of servers per key": _field("operations_per_key"),
    "cores used by other programs": _field("others_cores"),
}


class Figures:
    """The cells of a run by peer and row."""

    def __init__(self, run: Run) -> None:
        self._cells: dict[tuple[str, str], dict[int, Cell]] = {}
        for cell in run["cells"]:
            self._cells.setdefault((cell["peer"], cell["workload"]), {})[cell["round"]] = cell
        measured = {peer for peer, _ in self._cells}
        self.titles = {name: title for name, title in run["peers"].items() if name in measured}
        self.letters = [letter for letter in WORKLOADS if any(row == letter for _, row in self._cells)]

    @property
    def busy_letters(self) -> list[str]:
        return [letter for letter in self.letters if not WORKLOADS[letter].is_idle]

    def median(self, peer: str, letters: Iterable[str], figure: Figure) -> float | None:
        rows = (self._cells.get((peer, letter), {}) for letter in letters)
        values = [figure(cell) for row in rows for cell in row.values()]
        return statistics.median(values) if values else None

    def ratios(self, peer: str, baseline: str, letter: str, figure: Figure) -> list[float]:
        """Ratios per round: disturbances between rounds cancel out."""
        own, bases = (self._cells.get((name, letter), {}) for name in (peer, baseline))
        return [figure(own[i]) / figure(bases[i]) for i in own if i in bases and figure(bases[i])]


# ---- what stands in a table ----


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _ratio(ratios: Sequence[float]) -> str:
    """The median and the quartiles."""
    if len(ratios) < 2:
        return "".join(f"{ratio:.2f}" for ratio in ratios)
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return f"{middle:.2f} ({low:.2f}-{high:.2f})"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in [head, *rows]]
    return "\n".join([lines[0], "|---" + "|---:" * (len(head) - 1) + "|", *lines[1:]])


def _title(letter: str) -> str:
    return f"**{letter}**: {WORKLOADS[letter].title}"


# ---- tables ----


def cpu_table(figures: Figures, baseline: str) -> str:
    """The baseline in microseconds, the others as ratios to it."""
    others = {peer: title for peer, title in figures.titles.items() if peer != baseline}
    rows = [
        [
            _title(letter),
            _number(figures.median(baseline, letter, CPU_US)),
            *(_ratio(figures.ratios(peer, baseline, letter, CPU_US)) for peer in others),
        ]
        for letter in figures.busy_letters
    ]
    return _table(["CPU a request", f"{figures.titles.get(baseline, baseline)}, µs", *others.values()], rows)


def detail_table(figures: Figures, head: str, figure: Figure) -> str:
    rows = [
        [_title(letter), *(_number(figures.median(peer, letter, figure)) for peer in figures.titles)]
        for letter in figures.busy_letters
    ]
    return _table([head, *figures.titles.values()], rows)


def memory_table(figures: Figures) -> str:
    """Idle, the growth under a thousand busy connections, and the cost of an idle connection."""

    def grown_mib(cell: Cell) -> float:
        return float(cell["rss_kb"] - cell["idle_kb"]) / 1024

    def held_bytes(cell: Cell) -> float:
        return float(cell["held_kb"] - cell["filled_kb"]) * 1024 / float(cell["requests"])

    def row(head: str, letters: Sequence[str], figure: Figure) -> list[str]:
        return [head, *(_number(figures.median(peer, letters, figure)) for peer in figures.titles)]

    rows = [row("idle", figures.letters, lambda cell: float(cell["idle_kb"]) / 1024)]
    if "g" in figures.letters:
        rows.append(row("more after row g", ["g"], grown_mib))
    if "i" in figures.letters:
        rows.append(row("bytes for an idle connection, of 10,000", ["i"], held_bytes))
    return _table(["resident memory, MiB", *figures.titles.values()], rows)


def made(run: Run) -> str:
    """Date, machine and settings. An interrupted run has fewer rounds."""
    about, settings = run["about"], run["settings"]
    place = "Everything on one core" if settings["placement"] == "one" else "The proxy on cores of its own"
    threads = f"{settings['threads']} thread{'s' * (settings['threads'] > 1)}"
    count = len({cell["round"] for cell in run["cells"]})
    rounds = f"{count} round{'s' * (count != 1)}"
    programs = [f"Python {about['python']}", *about["versions"], f"4 servers of {about['servers']}"]
    return (
        f"Measured {about['date']} at commit {about['commit']}. {about['cpu']}, {about['cores']} cores, "
        f"{about['kernel']}; {', '.join(programs)}. {place}, {threads}, {rounds} of "
        f"{settings['seconds']:g} s, nice {settings['nice']}."
    )


def notes(run: Run) -> list[str]:
    """Notes on the figures: missing peers, and problems."""
    wrong = [
        f"**{run['peers'][cell['peer']]}, row {cell['workload']}, round {cell['round']}: {cell['trouble']}**"
        for cell in run["cells"]
        if cell["status"]
    ]
    unordered = {cell["peer"]: run["peers"][cell["peer"]] for cell in run["cells"] if cell["out_of_order"]}
    order = [
        f"{title}: the values of a multiget are not in the order of its keys." for title in unordered.values()
    ]
    return [f"* {text}" for text in [*run["notes"], *order, *wrong]]


def result_section(run: Run) -> str:
    """The text between BEGIN and END."""
    figures = Figures(run)
    told = notes(run)
    parts = [
        "CPU time of the proxy's processes for each request: one column in microseconds, the others as\n"
        "ratios to it, round by round: their median, and their quartiles in brackets. Less is better.",
        cpu_table(figures, run["settings"]["baseline"]),
        memory_table(figures),
        *(["\n".join(told)] if told else []),
        made(run),
        f"```sh\n{run['settings']['command']}\n```",
    ]
    return "\n\n".join(parts)


def full_tables(run: Run) -> str:
    """All figures of the run."""
    figures = Figures(run)
    details = (detail_table(figures, head, figure) for head, figure in DETAILS.items())
    return "\n\n".join([result_section(run), *details])


def replace_section(page: Path, section: str) -> None:
    """Puts the section between the page's marks. Raises ValueError if the marks are missing."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{page} has no {BEGIN} and {END}")
    page.write_text(f"{before}{begin}\n\n{section}\n\n{end}{after}", encoding="utf-8")
