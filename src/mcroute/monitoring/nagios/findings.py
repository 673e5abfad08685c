"""What a check has found: a line of text, and figures to judge and to draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

__all__ = ("Figure", "Findings", "Judge", "duration")


class Judge(Enum):
    """What decides whether a figure is in order. The values name nagiosplugin's contexts."""

    NOBODY = "default"
    LIMITS = "limits"  # the ranges of --warning and --critical
    WARNING = "warning"  # anything but 0 is a warning
    CRITICAL = "critical"  # anything but 0 is critical


@dataclass(frozen=True, slots=True)
class Figure:
    """One value of the performance data. `unit` is "" for a number, "%", or "c" for a counter."""

    name: str
    value: float
    unit: str = ""
    judge: Judge = Judge.NOBODY
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    """`text` is the status line; -v adds the lines of `problems`, -vv those of `details` instead."""

    text: str
    figures: Sequence[Figure] = ()
    problems: Sequence[str] = ()
    details: Sequence[str] = ()


def duration(seconds: int) -> str:
    """In the largest unit of which there are at least two."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
