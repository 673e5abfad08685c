"""Links as values, for the supervisor."""

from mcroute.runtime.links cimport (
    CHANGE_CONNECTED, CHANGE_FAILED, CHANGE_LOST, CHANGE_STARVED, HELLO_PREFIX, REPORTS_MAX, STAGE_CONNECTED, LocalEnd,
)
from mcroute.runtime.links cimport NO_ADDRESS as LINK_NO_ADDRESS

from typing import NamedTuple

# That are told at a time.
EVENTS_MAX = REPORTS_MAX
# In place of errno: the server's name has no known address.
NO_ADDRESS = LINK_NO_ADDRESS
# A server that answers the handshake otherwise is no memcached.
HELLO_REPLY = <bytes>HELLO_PREFIX


class LinkEvent(NamedTuple):
    """What has happened to a link since the last event of it."""

    server: int
    link: int                   # its index among those of the server
    is_lost: bool
    lost_end: tuple             # (host, port) of our end; ("unix", process) of the other one; empty: not known
    lost_writes: int            # unanswered when it was lost
    lost_error: int             # errno of that; 0: the server has closed it, or this process
    missed: int                 # the server's missed writes at that moment, as `Engine.missed_writes`
    has_failed: bool            # to connect, or in the handshake
    error: int                  # errno of that, -1: no address is known, 0: the handshake failed
    is_late: bool               # no answer came in time
    greeting: bytes             # the server's answer to the handshake
    is_starved: bool            # to connect, for want of descriptors or memory
    is_connected: bool          # and greeted


class LinkStatus(NamedTuple):
    """How a link is at this moment."""

    is_connected: bool          # and greeted
    is_tried: bool              # the first attempt to connect is over
    unanswered: int             # requests without a reply, whether anybody waits for it or not
    greeting: bytes             # the server's answer to the handshake
    end: tuple                  # ours, as in `LinkEvent`; empty while it is not connected


cdef tuple _end(const LocalEnd* end):
    return (end.host.decode(), end.port) if end.is_known else ()


cdef object link_event(const LinkReport* report):
    return LinkEvent(
        report.server, report.index, bool(report.changes & CHANGE_LOST), _end(&report.lost_end),
        report.lost_writes, report.lost_error, report.missed, bool(report.changes & CHANGE_FAILED), report.error,
        bool(report.is_late), report.greeting[:report.greeting_size], bool(report.changes & CHANGE_STARVED),
        bool(report.changes & CHANGE_CONNECTED),
    )


cdef object link_status(const LinkLook* look):
    return LinkStatus(
        look.stage == STAGE_CONNECTED, bool(look.is_tried), look.unanswered, look.greeting[:look.greeting_size],
        _end(&look.end),
    )
