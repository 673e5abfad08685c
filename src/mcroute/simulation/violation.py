"""A broken law."""

from __future__ import annotations

from dataclasses import dataclass

from .history import Call

__all__ = ("Violation",)


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken law, the calls that show it, and the key, empty if there is none."""

    law: str
    text: str
    key: str = ""
    calls: tuple[Call, ...] = ()

    def __str__(self) -> str:
        return f"{self.law}: {self.text}"
