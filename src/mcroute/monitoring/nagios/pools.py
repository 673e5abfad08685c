"""The mode `pool`: how much of each pool is in service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...policy import Condition
from .findings import Figure, Findings, Judge
from .question import Question, chosen
from .samples import by_label, fingerprint, members, states

__all__ = ("look",)

IN_ORDER = (Condition.UP.value, Condition.SLOW.value)


def look(question: Question) -> Findings:
    """The share of each pool's servers that serve and do not fail, and whether the pool is in panic mode."""
    rows = question.rows("mcroute")
    fingerprint(rows)
    sizes, up, panics = (by_label(rows, name) for name in ("pool_servers", "pool_servers_up", "panic_mode"))
    names = chosen("pool", question.pools, list(sizes))
    figures: list[Figure] = []
    for name in names:
        share = round(100 * int(up[name]) / int(sizes[name]), 1)
        figures += [
            Figure(name, share, "%", Judge.LIMITS, 0, 100),
            Figure(f"{name}_up", int(up[name]), least=0, most=int(sizes[name])),
            Figure(f"{name}_panic", int(panics[name]), judge=Judge.CRITICAL, least=0, most=1),
        ]
    counts = [
        f"{name} {up[name]} of {sizes[name]}" + ", panic mode" * (panics[name] == "1") for name in names
    ]
    text = f"servers in service: {'; '.join(counts)}"
    lines = [line for name in names for line in _lines(rows, name)]
    return Findings(text, figures, [line for line, is_up in lines if not is_up], [line for line, _ in lines])


def _lines(rows: Mapping[str, str], pool: str) -> Iterator[tuple[str, bool]]:
    """A line for each server of the pool, and whether the server is in order."""
    known = states(rows)
    for server in members(rows, pool):
        yield f"pool {pool}: {server} is {known[server]}", known[server] in IN_ORDER
