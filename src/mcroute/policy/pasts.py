"""An entry of the state file: the past of a place in an earlier process of the proxy."""

from __future__ import annotations

from dataclasses import dataclass

from .places import Place

__all__ = ("Past",)


@dataclass(frozen=True, slots=True)
class Past:
    """`owes`: a server there may hold stale values. `lost` are connections whose writes it may still execute.

    `id` and `missed` are for a server of the plan: its id, and the count of missed writes that were flushed.
    """

    place: Place
    owes: bool
    lost: frozenset[str] = frozenset()
    id: int | None = None
    missed: int = 0
