"""The modes of the plugin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import configurations, hits, pools, replication, servers
from .findings import Findings
from .question import Question

__all__ = ("MODES", "Mode")


@dataclass(frozen=True, slots=True)
class Mode:
    """`warning` and `critical` are the ranges that count if the command line has none; empty: any value."""

    summary: str
    look: Callable[[Question], Findings]
    warning: str = ""
    critical: str = ""


MODES = {
    "servers": Mode("number of servers that are out of service or fail", servers.look, warning="0"),
    "server": Mode("the same of the servers named by --server", servers.look, critical="0"),
    "pool": Mode("share of each pool's servers in service, in percent", pools.look, "100:", "50:"),
    "hits": Mode("hit ratio of reads, in percent", hits.look),
    "replication": Mode("keys and stores that copies lack", replication.look),
    "configuration": Mode(
        "number of configurations of the proxy and its peers", configurations.look, critical="1"
    ),
}
