"""The rows of `stats mcroute`, by metric: `NAME:LABEL value`."""

from __future__ import annotations

from collections.abc import Mapping

from ..asking import OtherService

__all__ = ("by_label", "fingerprint", "members", "states")


def by_label(rows: Mapping[str, str], metric: str) -> dict[str, str]:
    """The values of a metric with one label, by the label's value."""
    prefix = f"{metric}:"
    return {row.removeprefix(prefix): value for row, value in rows.items() if row.startswith(prefix)}


def fingerprint(rows: Mapping[str, str]) -> str:
    """Of the proxy's configuration. Raises OtherService if these are not the rows of a proxy."""
    for hash in by_label(rows, "config_hash_info"):
        return hash
    raise OtherService("`stats mcroute` is not answered as mcroute does")


def states(rows: Mapping[str, str]) -> dict[str, str]:
    """The state of each server, by name."""
    found = by_label(rows, "server_state")
    # A server's name may contain colons, a state does not.
    return dict(label.rpartition(":")[::2] for label, value in found.items() if value == "1")


def members(rows: Mapping[str, str], pool: str) -> list[str]:
    """The names of a pool's servers."""
    known = states(rows)
    # `a:b` may be the beginning of another pool's name, too.
    return [server for server in by_label(rows, f"pool_server_info:{pool}") if server in known]
