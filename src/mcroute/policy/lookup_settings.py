"""Timeouts and pauses of lookups of host names."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ("LookupSettings",)


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupSettings:
    """The settings of all lookups of a process. Times are in seconds."""

    timeout_s: float = 0.5
    """The longest wait for a lookup. An answer that comes later serves the next wait."""
    refresh_timeout_s: float = 0.05
    """The same for a name that was resolved before: its last addresses serve meanwhile."""
    retry_base_s: float = 0.25
    """The pause after a failed lookup. Each further failure in a row doubles the pause."""
    retry_cap_s: float = 30.0
    """The longest pause."""
    names_max: int = 4096
    """The number of remembered names. With further ones, all without a running lookup are forgotten."""
