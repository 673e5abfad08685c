"""The states of a running proxy's servers, as a table for `explain --live`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..monitoring.servers import LiveServer

__all__ = ("table",)

COLUMNS = ("server", "state", "requests", "unanswered", "timeouts", "hedges", "keys missed", "cause")
FIGURES = ("requests", "unanswered", "timeouts", "hedges", "journal_keys")


def table(servers: Sequence[LiveServer]) -> Iterator[str]:
    """The lines of a table of these servers."""
    rows = [COLUMNS, *map(_cells, servers)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _cells(server: LiveServer) -> tuple[str, ...]:
    cause, why = server.rows["cause"], server.why
    named = cause if why == "none" else f"{cause}: {why}" if cause != "none" else why
    return server.name, server.state, *(server.rows.get(figure, "") for figure in FIGURES), named
