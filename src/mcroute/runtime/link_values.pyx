"""Links as values, for the supervisor."""

from mcroute.runtime.links cimport (
    CHANGE_CONNECTED, CHANGE_FAILED, CHANGE_LOST, CHANGE_OUT_OF_RESOURCES, HELLO_PREFIX, REPORTS_MAX, STAGE_CONNECTED,
    LocalEnd,
)
from mcroute.runtime.links cimport NO_ADDRESS as LINK_NO_ADDRESS

from typing import NamedTuple

# Events that one call returns.
EVENTS_MAX = REPORTS_MAX
# In place of errno: no address of the server's name is known.
NO_ADDRESS = LINK_NO_ADDRESS
# The reply of a memcached to the handshake begins so.
HELLO_REPLY = <bytes>HELLO_PREFIX


class LinkEvent(NamedTuple):
    """The changes of a link since its last event."""

    server: int
    link: int                   # index among the server's links
    is_lost: bool
    lost_end: tuple             # (host, port) of our end; ("unix", id of the listening process); empty: not known
    lost_writes: int            # unanswered when it was lost
    lost_error: int             # errno of the loss; 0: the server or this process closed the connection
    missed: int                 # the server's missed writes at the loss, as `Engine.missed_writes`
    has_failed: bool            # an attempt to connect, or the handshake
    error: int                  # errno of the failure; -1: no address is known, 0: the handshake failed
    is_late: bool               # the attempt timed out
    greeting: bytes             # the server's answer to the handshake
    is_out_of_resources: bool            # an attempt failed for want of descriptors or memory
    is_connected: bool          # handshake included


class LinkStatus(NamedTuple):
    """The state of a link."""

    is_connected: bool          # handshake included
    is_tried: bool              # the first attempt to connect is over
    unanswered: int             # replies that the link owes, orphans included
    answered: int               # replies so far, also those that were lost with their connection; of 32 bits
    greeting: bytes             # the server's answer to the handshake
    end: tuple                  # our end, as `lost_end` in `LinkEvent`; empty while the link is not connected


cdef tuple _end(const LocalEnd* end):
    return (end.host.decode(), end.port) if end.is_known else ()


cdef object link_event(const LinkReport* report):
    return LinkEvent(
        report.server, report.index, bool(report.changes & CHANGE_LOST), _end(&report.lost_end),
        report.lost_writes, report.lost_error, report.missed, bool(report.changes & CHANGE_FAILED), report.error,
        bool(report.is_late), report.greeting[:report.greeting_size], bool(report.changes & CHANGE_OUT_OF_RESOURCES),
        bool(report.changes & CHANGE_CONNECTED),
    )


cdef object link_status(const LinkLook* look):
    return LinkStatus(
        look.stage == STAGE_CONNECTED, bool(look.is_tried), look.unanswered, look.answered,
        look.greeting[:look.greeting_size],
        _end(&look.end),
    )
