"""The pauses between attempts to connect to a server that fails."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ("Backoff",)


@dataclass(frozen=True, slots=True)
class Backoff:
    """The n-th pause is `base_s` * 2^n, at most a cap, less a random half of it. Times are in seconds.

    All links of a server share it: while the server fails, one link at a time tries.
    """

    base_s: float = 0.05
    cap_s: float = 2.0
    """The cap while the server is in service."""
    cap_out_s: float = 30.0
    """The cap while it is out of service: the supervisor's probe finds its return, and ends the pause."""
