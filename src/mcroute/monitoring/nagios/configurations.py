"""The mode `configuration`: whether several proxies have the same pools, servers, timeouts and routes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from .findings import Figure, Findings, Judge
from .question import Question
from .samples import by_label, fingerprint

__all__ = ("look",)


def look(question: Question) -> Findings:
    """Counts the different configurations of the proxy and its peers."""
    answers = {proxy.where: question.rows("mcroute", proxy) for proxy in (question.proxy, *question.peers)}
    with_hash: dict[str, list[str]] = {}
    for where, rows in answers.items():
        with_hash.setdefault(fingerprint(rows), []).append(where)
    figures = [
        Figure("configurations", len(with_hash), judge=Judge.LIMITS, least=1, most=len(answers)),
        Figure("proxies", len(answers)),
    ]
    lines = [f"{', '.join(proxies)}: {hash}" for hash, proxies in with_hash.items()]
    if len(with_hash) == 1:
        return Findings(f"proxies with the same configuration: {len(answers)}", figures, details=lines)
    text = f"{len(with_hash)} configurations: {'; '.join(lines)}"
    lines += _differences(answers)
    return Findings(text, figures, lines, lines)


def _differences(answers: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """The servers that some proxies have and others lack."""
    placed: dict[str, Set[str]] = {
        where: by_label(rows, "pool_server_info").keys() for where, rows in answers.items()
    }
    known = sorted(set().union(*placed.values()))
    for where, servers in placed.items():
        if lacking := [server for server in known if server not in servers]:
            yield f"{where} lacks {', '.join(lacking)} (pool:server)"
