"""Reports events of links to the supervision."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping

from ..policy import Cause, Reason
from ..policy.places import spell_end
from .handshakes import why_failed, why_lost
from .interfaces import LinksWatcher
from .link_values import NO_ADDRESS, LinkEvent
from .server_links import ServerLinks

__all__ = ("report",)


def report(
    supervision: LinksWatcher,
    event: LinkEvent,
    links: Mapping[int, ServerLinks],
    lookup_failure: Callable[[str], OSError | None],
) -> None:
    """`links` are by the server's id; `lookup_failure` returns the reason why a host name is not resolved."""
    if event.is_lost:
        _report_lost(supervision, event)
    if event.has_failed:
        _report_failed(supervision, event, links.get(event.server), lookup_failure)
    if event.is_out_of_resources:
        supervision.out_of_resources(event.server)
    if event.is_connected:
        supervision.connected(event.server)


def _report_lost(supervision: LinksWatcher, event: LinkEvent) -> None:
    why = why_lost(event.lost_error)
    error = OSError(event.lost_error, why) if event.lost_error else ConnectionResetError(why)
    address = spell_end(*event.lost_end) if event.lost_end else ""
    supervision.link_lost(event.server, address, event.lost_writes, event.missed, why, error)


def _report_failed(
    supervision: LinksWatcher,
    event: LinkEvent,
    links: ServerLinks | None,
    lookup_failure: Callable[[str], OSError | None],
) -> None:
    unknown = lookup_failure(links.server.host) if links is not None and event.error == NO_ADDRESS else None
    lookup = "" if unknown is None else unknown.strerror or str(unknown)
    why = why_failed(event.error, event.is_late, event.greeting, lookup)
    reason = Reason(Cause.UNREACHABLE, (why,))
    supervision.connect_failed(event.server, reason, unknown or _failure(event, why))
    if links is not None:
        links.look_up_again()


def _failure(event: LinkEvent, why: str) -> Exception:
    """The exception that the system would have raised."""
    if event.error > 0 and event.error != errno.ETIMEDOUT:
        return OSError(event.error, os.strerror(event.error))
    return TimeoutError(why) if event.is_late else ConnectionError(why)
