"""When the system closes a connection to a server whose host is gone."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ("KeepAlive",)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepAlive:
    """TCP options of links: a firewall that drops an idle connection notifies nobody.

    An idle connection is closed after `idle_s` + `probes` * `interval_s` seconds without an acknowledgement,
    one with unsent data after `unacknowledged_s`. Not every system has all of these options.
    """

    idle_s: int = 5
    """The system probes a connection that has been idle for so long."""
    interval_s: int = 1
    """The interval of these probes."""
    probes: int = 3
    """The number of probes without an answer after which the connection is closed."""
    unacknowledged_s: float = 3.0
    """The longest time that sent data may stay without an acknowledgement."""
