"""Changes of a server's or a pool's state, as values: for hooks and for the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from enum import Enum

from .causes import Cause, FlushCause
from .reports import Condition
from .warming import Stop

__all__ = ("FIGURES", "MEANINGS", "Change", "PoolState", "StateChange", "iso_time")


class Change(Enum):
    """What has happened. The values are the field `event` in JSON."""

    OUT_OF_SERVICE = "out_of_service"
    PROBING = "probing"
    FENCING = "fencing"
    REPLAYING = "replaying"
    REPLAYED = "replayed"
    FLUSHING = "flushing"
    FLUSHED = "flushed"
    WAITING = "waiting"
    RETURNED = "returned"
    REMOVED = "removed"
    SLOW = "slow"
    HITS_FELL = "hits_fell"
    WARMING = "warming"
    WARMED = "warmed"
    WARMING_STOPPED = "warming_stopped"
    PANIC_BEGINS = "panic_begins"
    PANIC_ENDS = "panic_ends"


# docs/events.md has both tables.
MEANINGS: dict[Change, str] = {
    Change.OUT_OF_SERVICE: "The server gets no more requests; `cause` and `reason` say why.",
    Change.PROBING: "The proxy asks the server for an answer, again and again until there is one.",
    Change.FENCING: "The server answers; the proxy waits until it cannot execute earlier requests any more.",
    Change.REPLAYING: "The keys whose writes the server missed are being deleted there.",
    Change.REPLAYED: "These keys are deleted.",
    Change.FLUSHING: "The server is being flushed; `cause` and `reason` say why deletes are not enough.",
    Change.FLUSHED: "The server is certainly empty.",
    Change.WAITING: "The server does not serve yet: a stage has failed, or its ejection lasts longer. "
    "It is probed again.",
    Change.RETURNED: "The server gets requests again; `cause` and `reason` say why it was out of service.",
    Change.REMOVED: "A reload has removed the server from the configuration while it was out of service.",
    Change.SLOW: "The server serves, but replies take longer than `reply_timeout_s`.",
    Change.HITS_FELL: "The server has fewer hits than before, and its peers have not.",
    Change.WARMING: "The server came back empty: its keys are copied from others.",
    Change.WARMED: "All keys that the others listed are copied.",
    Change.WARMING_STOPPED: "The copying has ended before that; `cause` and `reason` say why.",
    Change.PANIC_BEGINS: "More servers of the pool than `health.panic_share` look bad.",
    Change.PANIC_ENDS: "No more servers look bad than that.",
}

_FILLED = ("warming_s", "keys_copied", "keys_present", "keys_gone", "keys_undone", "keys_skipped")
# The other changes have no figures.
FIGURES: dict[Change, tuple[str, ...]] = {
    Change.OUT_OF_SERVICE: ("ejections_in_a_row", "servers_up", "servers"),
    Change.REPLAYED: ("deleted_keys",),
    Change.RETURNED: ("out_s", "deleted_keys", "flushes"),
    Change.HITS_FELL: ("hit_share", "reads", "others_hit_share", "hit_share_before"),
    Change.WARMING: ("twins", "keys_per_s"),
    Change.WARMED: _FILLED,
    Change.WARMING_STOPPED: _FILLED,
    Change.PANIC_BEGINS: ("servers_bad", "servers"),
    Change.PANIC_ENDS: ("servers_bad", "servers"),
}


class PoolState(Enum):
    """A pool's state for operators."""

    NORMAL = "normal"
    PANIC = "panic"


@dataclass(frozen=True, slots=True)
class StateChange:
    """One event. Its str is the log's text.

    `at` is in seconds since 1970. `server` is a name, empty for a change of a pool. `pools` are the pools
    that the change concerns. `before` and `after` are the states: of the server, or of the pool. `cause` has
    a name, its text with details is `reason`; None and empty where there is none. `figures` are named as in
    docs/events.md; names in `_s` are seconds.
    """

    what: Change
    at: float
    server: str
    pools: tuple[str, ...]
    before: Condition | PoolState
    after: Condition | PoolState
    text: str
    cause: Cause | FlushCause | Stop | None = None
    reason: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.text

    def as_json(self) -> dict[str, object]:
        """The fields for `json.dumps`, without the text."""
        return {
            "time": iso_time(self.at),
            "event": self.what.value,
            "server": self.server or None,
            "pools": list(self.pools),
            "before": self.before.value,
            "after": self.after.value,
            "cause": None if self.cause is None else self.cause.name.lower(),
            "reason": self.reason or None,
            "figures": dict(self.figures),
        }


def iso_time(at: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC, with milliseconds."""
    text = datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
