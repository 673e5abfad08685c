"""What an earlier process of the proxy has left at a place, as it was written down."""

from __future__ import annotations

from dataclasses import dataclass

from .places import Place

__all__ = ("Past",)


@dataclass(frozen=True, slots=True)
class Past:
    """`owes`: a server there may hold old values. `lost` are connections whose writes it may execute.

    `id` and `missed` are of a server of the plan: its number, and the count of missed writes made up for.
    """

    place: Place
    owes: bool
    lost: frozenset[str] = frozenset()
    id: int | None = None
    missed: int = 0
