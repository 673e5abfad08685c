"""The reply to `stats top`, parsed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...monitoring.asking import NoProxy
from ...observe.top import FORMAT

__all__ = ("Sample", "parsed")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sample:
    """The rows of one reply. `proxy` has those of the process; servers and commands are by name."""

    proxy: Row
    pools: tuple[Row, ...]
    commands: Mapping[str, Row]
    servers: Mapping[str, Row]


def parsed(rows: Mapping[str, str], address: str) -> Sample:
    """The sample in these rows of `stats top`. Raises NoProxy for those of another version."""
    proxy: Row | None = None
    pools: list[Row] = []
    named: dict[str, dict[str, Row]] = {"command": {}, "server": {}}
    try:
        for row, value in rows.items():
            kind, _, name = row.partition(":")
            if kind == "proxy":
                proxy = json.loads(value)
            elif kind == "pool":
                pools.append(json.loads(value))
            elif kind in named:
                named[kind][name] = json.loads(value)
    except ValueError:
        proxy = None
    if proxy is None or proxy.get("format") != FORMAT:
        raise NoProxy(f"{address} does not answer `stats top` as this mcroute does")
    return Sample(proxy, tuple(pools), named["command"], named["server"])
