"""Links of a loop as values."""

from mcroute._loop.links cimport HOST_ROOM
from mcroute._loop.state cimport CHANGE_CONNECTED, CHANGE_FAILED, CHANGE_LOST, CHANGE_STARVED, STAGE_CONNECTED
from mcroute._loop.system cimport mcroute_name_of, sockaddr_storage

from typing import NamedTuple


class LinkNews(NamedTuple):
    """What has happened to a link since the last news of it."""

    server: int
    place: int
    is_lost: bool
    lost_name: tuple            # (host, port) of our end; ("unix", process) of the other one
    lost_writes: int            # unanswered when it was lost
    lost_error: int             # errno of that; 0: the server has closed it, or this process
    missed: int                 # the server's missed writes at that moment, as `Engine.missed_writes`
    has_failed: bool            # to connect, or in the handshake
    error: int                  # errno of that, -1: no address is known, 0: the handshake failed
    is_late: bool               # no answer came in time
    greeting: bytes             # the server's answer to the handshake
    is_starved: bool            # to connect, for want of descriptors or memory
    is_connected: bool          # and greeted


class LinkFacts(NamedTuple):
    """How a link is at this moment."""

    is_connected: bool          # and greeted
    is_tried: bool              # the first attempt to connect is over
    unanswered: int             # requests without a reply, whether anybody waits for it or not
    greeting: bytes             # the server's answer to the handshake
    name: tuple                 # likewise; empty while it is not connected


cdef tuple _name(const sockaddr_storage* name):
    cdef char[HOST_ROOM] host
    cdef int port = mcroute_name_of(name, host, sizeof(host))
    return (host.decode(), port) if port >= 0 else ()


cdef object link_news(LinkReport* report):
    return LinkNews(
        report.server, report.index, bool(report.changes & CHANGE_LOST), _name(&report.lost_name),
        report.lost_writes, report.lost_error, report.missed, bool(report.changes & CHANGE_FAILED), report.error,
        bool(report.is_late), report.greeting[:report.greeting_size], bool(report.changes & CHANGE_STARVED),
        bool(report.changes & CHANGE_CONNECTED),
    )


cdef object link_facts(LinkLook* look):
    name = (look.host.decode(), look.port) if look.port >= 0 else ()
    return LinkFacts(
        look.stage == STAGE_CONNECTED, look.is_tried, look.unanswered, look.greeting[:look.greeting_size], name,
    )
