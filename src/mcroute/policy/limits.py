"""What a process may keep in memory, and which values are none."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

from ..errors import ConfigError

__all__ = ("VALUE_MAX", "Authentication", "Limits")

# No memcached keeps larger values, whatever its options.
VALUE_MAX = 1 << 30
# Room for a few requests of the usual size on each thread.
SHARE_MIN = 4 << 20


class Authentication(IntEnum):
    """Which set, first on its connection, is taken for a client that authenticates, and refused.

    The value is two words; the key is `auth` or `ASCII_AUTH`, any, or there is none such.
    """

    KNOWN_KEYS = 0
    ANY_KEY = 1
    NO_KEY = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds in bytes; those of memory are the whole process's, and its threads have equal shares of them.

    `value_max` is the largest value that clients may store; 0: the largest that one of the servers takes.
    `request_memory_max` is for requests of clients, from their first bytes until they are done;
    `reply_memory_max` for replies of servers, from their first bytes until clients have taken them;
    `link_memory_max` for copies of requests that wait to be sent to servers. None of the three
    takes from another. `authentication` is about what is not stored at all.
    Raises ConfigError, whose place is `limits` and the name, for what is too little.
    """

    value_max: int = 0
    request_memory_max: int = 1 << 30
    reply_memory_max: int = 1 << 30
    link_memory_max: int = 256 << 20
    authentication: Authentication = Authentication.KNOWN_KEYS

    def __post_init__(self) -> None:
        if not 0 <= self.value_max <= VALUE_MAX:
            raise ConfigError("limits.value_max", f"{self.value_max} is not from 0 to {VALUE_MAX} bytes")
        for name in ("request_memory_max", "reply_memory_max", "link_memory_max"):
            if getattr(self, name) < SHARE_MIN:
                raise ConfigError(f"limits.{name}", f"{getattr(self, name)} is less than {SHARE_MIN} bytes")

    def share(self, threads: int) -> Limits:
        """Of each of so many threads."""
        return replace(
            self,
            request_memory_max=max(SHARE_MIN, self.request_memory_max // threads),
            reply_memory_max=max(SHARE_MIN, self.reply_memory_max // threads),
            link_memory_max=max(SHARE_MIN, self.link_memory_max // threads),
        )
