"""Bounds of a process's memory, and the values that clients may not store."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

from ..errors import ConfigError

__all__ = ("VALUE_MAX", "Authentication", "Limits")

# No memcached keeps larger values, whatever its options.
VALUE_MAX = 1 << 30
# Room for a few requests of usual size on each thread.
SHARE_MIN = 4 << 20
JOURNAL_SIZE_MIN = 4 << 10


class Authentication(IntEnum):
    """The first `set` of a connection that counts as an attempt to authenticate, and is refused.

    Its value has two words; its key is `auth` or `ASCII_AUTH`, or any key; or no `set` counts.
    """

    KNOWN_KEYS = 0
    ANY_KEY = 1
    NO_KEY = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds in bytes, for the whole process; its threads have equal shares of the bounds of memory.

    `value_max` is the largest value that clients may store; 0: the largest that a server takes.
    `request_memory_max` is for requests of clients, from their first bytes until they are done;
    `reply_memory_max` for replies of servers, from their first bytes until clients have read them;
    `link_memory_max` for copies of requests queued to servers. The bounds are independent.
    `journal_memory_max` is for the keys of writes that servers out of service have missed, at most
    `journal_keys_max` for each server; a server whose keys have no room is flushed when it returns.
    `journal_size_max` is for the journal file, if there is one; while the file is made anew, another half of
    that is used.
    `authentication` selects the requests that are refused as attempts to authenticate.

    Each link has bounds of its own, whatever the number of threads. While `link_requests_max` requests are
    unanswered or `link_bytes_max` bytes unsent, it refuses further requests as too many for the server. It is
    closed and connected again when more than `link_orphans_max` replies to timed-out requests are due, or one
    is due for longer than `link_orphan_age_s` seconds.

    A read that misses on one copy and hits on another has the key copied to the first, at most
    `refill_keys_per_s` keys a second; 0: none. The copy is made after `refill_hold_off_s` seconds, and again
    as long afterwards it is deleted if its source has changed.

    Raises ConfigError, whose place is `limits` and the name, for a bound that is too small.
    """

    value_max: int = 0
    request_memory_max: int = 1 << 30
    reply_memory_max: int = 1 << 30
    link_memory_max: int = 256 << 20
    journal_memory_max: int = 64 << 20
    journal_keys_max: int = 100_000
    journal_size_max: int = 16 << 20
    authentication: Authentication = Authentication.KNOWN_KEYS
    link_requests_max: int = 1 << 16
    link_bytes_max: int = 64 << 20
    link_orphans_max: int = 1 << 15
    link_orphan_age_s: float = 10.0
    refill_keys_per_s: float = 1000.0
    refill_hold_off_s: float = 2.0

    def __post_init__(self) -> None:
        if not 0 <= self.value_max <= VALUE_MAX:
            raise ConfigError("limits.value_max", f"{self.value_max} is not from 0 to {VALUE_MAX} bytes")
        for name in ("request_memory_max", "reply_memory_max", "link_memory_max"):
            if getattr(self, name) < SHARE_MIN:
                raise ConfigError(f"limits.{name}", f"{getattr(self, name)} is less than {SHARE_MIN} bytes")
        for name in ("journal_keys_max", "journal_memory_max"):
            if not 0 <= getattr(self, name) < 1 << 31:
                raise ConfigError(f"limits.{name}", f"{getattr(self, name)} is not from 0 to {(1 << 31) - 1}")
        if not JOURNAL_SIZE_MIN <= self.journal_size_max < 1 << 40:
            raise ConfigError(
                "limits.journal_size_max",
                f"{self.journal_size_max} is not from {JOURNAL_SIZE_MIN} to {(1 << 40) - 1} bytes",
            )
        for name in ("link_requests_max", "link_bytes_max", "link_orphans_max"):
            if not 0 < getattr(self, name) < 1 << 31:
                raise ConfigError(f"limits.{name}", f"{getattr(self, name)} is not from 1 to {(1 << 31) - 1}")
        if not 0 < self.link_orphan_age_s < float("inf"):
            raise ConfigError(
                "limits.link_orphan_age_s", f"{self.link_orphan_age_s} is no number of seconds above 0"
            )
        for name in ("refill_keys_per_s", "refill_hold_off_s"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ConfigError(f"limits.{name}", f"{getattr(self, name)} is no number from 0 on")

    def share(self, threads: int) -> Limits:
        """The share of one of `threads` threads."""
        return replace(
            self,
            request_memory_max=max(SHARE_MIN, self.request_memory_max // threads),
            reply_memory_max=max(SHARE_MIN, self.reply_memory_max // threads),
            link_memory_max=max(SHARE_MIN, self.link_memory_max // threads),
            refill_keys_per_s=self.refill_keys_per_s / threads,
        )
