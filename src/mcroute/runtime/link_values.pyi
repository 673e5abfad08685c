from typing import NamedTuple

EVENTS_MAX: int
NO_ADDRESS: int
HELLO_REPLY: bytes

class LinkEvent(NamedTuple):
    """The changes of a link since its last event."""

    server: int
    link: int
    is_lost: bool
    lost_end: tuple[str, int] | tuple[()]
    lost_writes: int
    lost_error: int
    missed: int
    has_failed: bool
    error: int
    is_late: bool
    greeting: bytes
    is_out_of_resources: bool
    is_connected: bool

class LinkStatus(NamedTuple):
    """The state of a link."""

    is_connected: bool
    is_tried: bool
    unanswered: int
    answered: int
    greeting: bytes
    end: tuple[str, int] | tuple[()]
