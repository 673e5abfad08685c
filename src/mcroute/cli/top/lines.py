"""The screen as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .figures import Clients, Figures, Screen, ServerRow

__all__ = ("COLUMNS", "NUMERIC", "cells", "head", "page", "widths")

COLUMNS = (
    "server",
    "pools",
    "state",
    "since",
    "requests/s",
    "hits",
    "errors/s",
    "p50",
    "p95",
    "p99",
    "waiting",
    "cause",
)
# The columns that are aligned to the right.
NUMERIC = frozenset(COLUMNS[3:11])
# Of clients' commands, as many lines as a glance can take.
COMMANDS_MAX = 4
NAME_MAX = 40


def head(address: str, now: Screen) -> Iterator[str]:
    """The lines above the servers."""
    up = sum(row.is_in_order for row in now.servers)
    yield f"{address}: up for {_span(now.uptime_s)}, {up} of {len(now.servers)} servers up"
    pools = (f"{name} {up}/{size}{' PANIC' * is_panic}" for name, up, size, is_panic in now.pools)
    yield f"pools: {', '.join(pools)}"
    yield from _clients(now.clients)


def _clients(clients: Clients) -> Iterator[str]:
    yield f"clients: {clients.connected}, {clients.in_flight} requests in flight, {_figures(clients.figures)}"
    busiest = sorted(clients.commands.items(), key=lambda item: -item[1].per_s)
    for command, figures in busiest[:COMMANDS_MAX]:
        if figures.per_s:
            yield f"  {command}: {_figures(figures)}"


def _figures(figures: Figures) -> str:
    percentiles = (f"p{int(share * 100)} {_ms(figures.percentile_s(share))}" for share in (0.5, 0.95, 0.99))
    hits = "" if figures.hit_share is None else f"{_share(figures.hit_share)} hits, "
    errors = f"{_rate(figures.errors_per_s)} errors/s"
    return f"{_rate(figures.per_s)} requests/s, {hits}{errors}, {', '.join(percentiles)}"


def cells(row: ServerRow) -> tuple[str, ...]:
    """The texts of `COLUMNS`."""
    figures = row.figures
    return (
        _short(row.name),
        _short(",".join(row.pools)),
        row.state,
        _span(row.since_s),
        _rate(figures.per_s),
        _share(figures.hit_share),
        _rate(figures.errors_per_s),
        *(_ms(figures.percentile_s(share)) for share in (0.5, 0.95, 0.99)),
        str(row.unanswered),
        row.cause,
    )


def widths(rows: Sequence[tuple[str, ...]]) -> list[int]:
    """The width of each column."""
    return [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]


def aligned(row: Sequence[str], wide: Sequence[int]) -> str:
    """A line of the table."""
    texts = (
        text.rjust(width) if column in NUMERIC else text.ljust(width)
        for column, text, width in zip(COLUMNS, row, wide, strict=True)
    )
    return "  ".join(texts).rstrip()


def page(address: str, now: Screen, servers: Sequence[ServerRow], left_out: int = 0) -> Iterator[str]:
    """All lines, with these servers; `left_out` others are counted at the end."""
    yield from head(address, now)
    yield ""
    rows = [cells(row) for row in servers]
    wide = widths(rows)
    yield aligned(COLUMNS, wide)
    for row in rows:
        yield aligned(row, wide)
    if left_out:
        yield f"... and {left_out} more"


def _short(name: str) -> str:
    return name if len(name) <= NAME_MAX else f"{name[: NAME_MAX - 1]}…"


def _rate(per_s: float) -> str:
    return f"{per_s:.1f}" if 0 < per_s < 10 else f"{per_s:,.0f}"


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _ms(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds * 1e3:.2f} ms" if seconds < 0.01 else f"{seconds * 1e3:,.0f} ms"


def _span(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"
