"""The mode `replication`: what copies lack, and what is done about it."""

from __future__ import annotations

from collections.abc import Iterator

from ..servers import LiveServer
from .findings import Figure, Findings, Judge
from .question import Question

__all__ = ("look",)

NOW = ("journal_keys", "copies_waiting", "standin_keys", "warming_keys_ahead")
COUNTERS = ("missed_writes", "journal_overflows", "replays", "flushes", "copies", "refilled", "warmings")


def look(question: Question) -> Findings:
    """Counts what servers lack: the keys in their journals, and stores on their way to backups."""
    servers = question.live_servers()
    process = question.rows()
    totals = {row: sum(server.count(row) for server in servers) for row in (*NOW, *COUNTERS)}
    behind = totals["journal_keys"] + totals["copies_waiting"]
    figures = [
        Figure("behind", behind, judge=Judge.LIMITS, least=0),
        *(Figure(row, totals[row], least=0) for row in NOW),
        *(Figure(row, totals[row], "c") for row in COUNTERS),
    ]
    problems = [line for server in servers for line in _lines(server)]
    if "journal_file_complete" in process:
        incomplete = int(process["journal_file_complete"] == "0")
        figures.append(Figure("journal_incomplete", incomplete, judge=Judge.WARNING, least=0, most=1))
        problems += ["the journal file is incomplete: a restart would flush servers"] * incomplete
    details = [f"{server.name}: {_counts(server)}" for server in servers]
    return Findings("; ".join(problems) or "no server lacks a write", figures, problems, details)


def _lines(server: LiveServer) -> Iterator[str]:
    if keys := server.count("journal_keys"):
        yield f"{server.name} has missed writes of {keys} keys"
    if stores := server.count("copies_waiting"):
        yield f"{stores} stores are on their way to {server.name}"
    if server.rows.get("warming") == "yes":
        yield f"{server.name} gets its keys again, {server.count('warming_keys_ahead')} ahead"
    if keys := server.count("standin_keys"):
        yield f"{server.name} has {keys} keys of other servers"


def _counts(server: LiveServer) -> str:
    return ", ".join(f"{row} {server.count(row)}" for row in (*NOW, *COUNTERS))
