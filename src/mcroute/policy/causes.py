"""The causes of ejections: one name and one text each, for the log, `stats`, metrics and `explain`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

__all__ = (
    "CLOSED_TEXT",
    "CONNECT_TEXTS",
    "COUNTED_BY_ENGINES",
    "DETAILED",
    "OUTLYING",
    "TEXTS",
    "Cause",
    "ConnectFailure",
    "FlushCause",
    "Reason",
)


class Cause(Enum):
    """The values are the names in metrics and in `stats servers`."""

    FAILURES = "failures"
    MISSED_WRITE = "missed_write"
    UNREACHABLE = "unreachable"
    LOST_WRITES = "lost_writes"
    KEPT = "kept"
    AWAY = "away"
    RECALLED = "recalled"
    MOVED = "moved"
    FOREIGN = "foreign"
    SET_BACK = "set_back"
    DUPLICATE = "duplicate"
    LATENCY = "latency"
    ERRORS = "errors"
    FLAPPING = "flapping"
    DOWN = "down"


# The engines eject servers for these causes by themselves, and count these ejections.
COUNTED_BY_ENGINES = frozenset((Cause.FAILURES, Cause.MISSED_WRITE))

# Servers that answer, and serve worse than the others of their pool: see `outliers`.
OUTLYING = frozenset((Cause.LATENCY, Cause.ERRORS, Cause.FLAPPING))

# The text follows `server NAME is out of service: `.
TEXTS: dict[Cause, str] = {
    Cause.FAILURES: "too many failures in a row (trip_after)",
    Cause.MISSED_WRITE: "it missed a write that another copy may have",
    Cause.UNREACHABLE: "it cannot be connected to",
    Cause.LOST_WRITES: "its connection was lost with writes in flight",
    Cause.KEPT: "it missed writes while it stayed in service as the last one",
    Cause.AWAY: (
        "it may have missed writes while it was removed, or had another name, and is not flushed yet"
    ),
    Cause.RECALLED: "an earlier proxy left it out of service, or nothing is known of it",
    Cause.MOVED: "its name leads to another address now",
    Cause.FOREIGN: "another memcached answers at its address",
    Cause.SET_BACK: "its process has an earlier uptime than before, as after a return to a snapshot",
    Cause.DUPLICATE: "it is another server under another name",
    Cause.LATENCY: "it is slower than the other servers of its pool",
    Cause.ERRORS: "more of its requests fail than of the other servers of its pool",
    Cause.FLAPPING: "its connections break again and again, with requests in flight",
    Cause.DOWN: "the configuration has it as down",
}
# The text with details. Those of UNREACHABLE are one of CONNECT_TEXTS, a whole text.
DETAILED: dict[Cause, str] = {
    Cause.MISSED_WRITE: TEXTS[Cause.MISSED_WRITE] + ": {}",
    Cause.UNREACHABLE: "{}",
    Cause.LOST_WRITES: TEXTS[Cause.LOST_WRITES] + " {}",
    Cause.DUPLICATE: "it is server {} under another name: one memcached{}",
    Cause.LATENCY: TEXTS[Cause.LATENCY] + ": {}",
    Cause.ERRORS: TEXTS[Cause.ERRORS] + ": {}",
    Cause.FLAPPING: TEXTS[Cause.FLAPPING] + ": {}",
}


class ConnectFailure(Enum):
    """How an attempt to connect to a server has failed."""

    NO_ADDRESS = auto()
    REFUSED = auto()
    SILENT = auto()
    CLOSED = auto()
    FULL = auto()
    PASSWORD = auto()
    TOO_MUCH = auto()
    OTHER_SERVICE = auto()


# The text follows `server NAME is out of service: `. {} is the system's reason, or the answer to version.
# Texts that are equal before the first colon are of one kind, which the log repeats seldom.
CONNECT_TEXTS: dict[ConnectFailure, str] = {
    ConnectFailure.NO_ADDRESS: TEXTS[Cause.UNREACHABLE] + ": no address is known for its name{}",
    ConnectFailure.REFUSED: TEXTS[Cause.UNREACHABLE] + ": {}",
    ConnectFailure.SILENT: "it takes connections and answers nothing in time",
    ConnectFailure.CLOSED: "it takes connections and closes them at once",
    ConnectFailure.FULL: "its connection limit is reached: it answers {} to version",
    ConnectFailure.PASSWORD: "it wants a password: it answers {} to version",
    ConnectFailure.TOO_MUCH: "it answers more than it was asked: it answers {} to version",
    ConnectFailure.OTHER_SERVICE: "it is no memcached: it answers {} to version",
}

# For a connection that was lost though the system reports no error.
CLOSED_TEXT = "the server has closed it"


class FlushCause(Enum):
    """Why deletes were not enough for a returning server. The values are the texts, after `flushed: `."""

    UNKNOWN_PAST = "it is not known which writes it missed"
    OTHER_PROCESS = "it may be another process than before, with old values"
    OVERFLOW = "more keys were missed than its journal holds, or a flush_all"
    REFUSED = "it refused to delete keys whose writes it missed"
    TOO_SLOW = "deletes did not catch up with the writes that it missed meanwhile"


@dataclass(frozen=True, slots=True)
class Reason:
    """A cause, and the `details` for its text in `DETAILED`, if any. Its str is the text."""

    cause: Cause
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        return DETAILED[self.cause].format(*self.details) if self.details else TEXTS[self.cause]
