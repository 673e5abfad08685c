"""The modes `server` and `servers`: the states of servers, since when, and why."""

from __future__ import annotations

from collections.abc import Sequence

from ...policy import Condition
from ..servers import LiveServer
from .findings import Figure, Findings, Judge, duration
from .question import Question

__all__ = ("look",)

# The status line names so many servers.
NAMED_MAX = 3
COUNTERS = ("requests", "failed", "timeouts", "ejections", "hits", "misses")


def look(question: Question) -> Findings:
    """Counts the servers that are out of service or fail, and those that are slow."""
    servers = question.live_servers()
    out = [server for server in servers if server.is_out or server.state == Condition.FAILING.value]
    slow = [server for server in servers if server.state == Condition.SLOW.value]
    figures = [
        Figure("out", len(out), judge=Judge.LIMITS, least=0, most=len(servers)),
        Figure("slow", len(slow), judge=Judge.WARNING, least=0, most=len(servers)),
    ]
    if len(servers) == 1:
        figures += [Figure(row, servers[0].count(row), "c") for row in COUNTERS if row in servers[0].rows]
        figures.append(Figure("unanswered", servers[0].count("unanswered")))
    problems = [_line(server) for server in (*out, *slow)]
    return Findings(_text(servers, out, problems), figures, problems, [_line(server) for server in servers])


def _text(servers: Sequence[LiveServer], out: Sequence[LiveServer], problems: Sequence[str]) -> str:
    if len(servers) == 1:
        return f"server {_line(servers[0])}"
    counted = f"{len(servers) - len(out)} of {len(servers)} servers in service"
    more = [f"{len(problems) - NAMED_MAX} more"] if len(problems) > NAMED_MAX else []
    return "; ".join([counted, *problems[:NAMED_MAX], *more])


def _line(server: LiveServer) -> str:
    lasting = duration(server.count("last_change_s"))
    line = f"{server.name} is {server.state}, {'out of' if server.is_out else 'in'} service for {lasting}"
    return line if server.why == "none" else f"{line}: {server.why}"
