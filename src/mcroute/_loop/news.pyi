from typing import NamedTuple

class LinkNews(NamedTuple):
    """What has happened to a link since the last news of it."""

    server: int
    place: int
    is_lost: bool
    lost_name: tuple[str, int] | tuple[()]
    lost_writes: int
    lost_error: int
    missed: int
    has_failed: bool
    error: int
    is_late: bool
    greeting: bytes
    is_starved: bool
    is_connected: bool

class LinkFacts(NamedTuple):
    """How a link is at this moment."""

    is_connected: bool
    is_tried: bool
    unanswered: int
    greeting: bytes
    name: tuple[str, int] | tuple[()]
