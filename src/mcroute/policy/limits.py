"""What a process may keep in memory."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ConfigError

__all__ = ("VALUE_MAX", "Limits")

# No memcached keeps larger values, whatever its options.
VALUE_MAX = 1 << 30
# Room for a few requests of the usual size on each thread.
SHARE_MIN = 4 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds in bytes; those of memory are the whole process's, and its threads have equal shares of them.

    `value_max` is the largest value that clients may store; 0: the largest that one of the servers takes.
    `request_memory_max` is for requests of clients, from their first bytes until they are done;
    `reply_memory_max` for replies of servers, from their first bytes until clients have taken them;
    `link_memory_max` for copies of requests that wait to be sent to servers. None of the three
    takes from another. Raises ConfigError, whose place is `limits` and the name, for what is too little.
    """

    value_max: int = 0
    request_memory_max: int = 1 << 30
    reply_memory_max: int = 1 << 30
    link_memory_max: int = 256 << 20

    def __post_init__(self) -> None:
        if not 0 <= self.value_max <= VALUE_MAX:
            raise ConfigError("limits.value_max", f"{self.value_max} is not from 0 to {VALUE_MAX} bytes")
        for name in ("request_memory_max", "reply_memory_max", "link_memory_max"):
            if getattr(self, name) < SHARE_MIN:
                raise ConfigError(f"limits.{name}", f"{getattr(self, name)} is less than {SHARE_MIN} bytes")

    def share(self, threads: int) -> Limits:
        """Of each of so many threads."""
        return Limits(
            self.value_max,
            *(
                max(SHARE_MIN, whole // threads)
                for whole in (self.request_memory_max, self.reply_memory_max, self.link_memory_max)
            ),
        )
