"""The mode `hits`: the share of reads that found their key."""

from __future__ import annotations

from nagiosplugin import CheckError, Cookie

from ..asking import OtherService
from .findings import Figure, Findings, Judge
from .question import Question

__all__ = ("look",)


def look(question: Question) -> Findings:
    """Since the last check if there is a state file, else since the start of the proxy."""
    hits, misses = _counts(question)
    before = (0, 0)
    if question.state_file:
        before = _exchange(question, hits, misses)
    span = "the last check" if before != (0, 0) else "the start"
    totals = [Figure("hits", hits, "c"), Figure("misses", misses, "c")]
    found, reads = hits - before[0], hits + misses - sum(before)
    if reads < max(1, question.reads_min):
        return Findings(f"only {reads} reads since {span}", totals)
    share = round(100 * found / reads, 2)
    ratio = Figure("hit_ratio", share, "%", Judge.LIMITS, 0, 100)
    return Findings(f"hit ratio {share:g} % of {reads} reads since {span}", [ratio, *totals])


def _counts(question: Question) -> tuple[int, int]:
    """Hits and misses, of clients' reads or of reads that asked certain servers."""
    if question.servers:
        servers = question.live_servers()
        return sum(s.count("hits") for s in servers), sum(s.count("misses") for s in servers)
    rows = question.rows()
    if "mcroute" not in rows:
        raise OtherService(f"{question.proxy.where} is no mcroute")
    return int(rows["get_hits"]), int(rows["get_misses"])


def _exchange(question: Question, hits: int, misses: int) -> tuple[int, int]:
    """The counts at the last check, which become the present ones unless too few reads came since.

    Zeros if there was none, or if the proxy was started since. Raises CheckError.
    """
    subject = " ".join([question.proxy.where, *question.servers])
    try:
        with Cookie(question.state_file) as cookie:
            before = cookie.get(subject, [0, 0])
            if hits < before[0] or misses < before[1]:
                before = [0, 0]
            if hits + misses - sum(before) >= question.reads_min:
                cookie[subject] = [hits, misses]
            return before[0], before[1]
    except (OSError, ValueError) as error:
        raise CheckError(f"state file {question.state_file}: {error}") from None
