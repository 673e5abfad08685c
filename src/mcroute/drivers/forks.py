"""Detaches forked child processes from the connections of their parent."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable

__all__ = ("at_fork",)

_living: set[weakref.WeakMethod[Callable[[], None]]] = set()
# Kept for good: freed transports would remove their sockets from the epoll set, which the parent shares.
_inherited: list[Callable[[], None]] = []


def at_fork(detach: Callable[[], None]) -> None:
    """Registers a method for child processes: called there after a fork, if its object still lives."""
    # No callback removes dead references: while the interpreter ends, WeakMethod's own callback can raise.
    _living.difference_update([reference for reference in _living if reference() is None])
    _living.add(weakref.WeakMethod(detach))


def _detach_all() -> None:
    living = [detach for reference in list(_living) if (detach := reference()) is not None]
    _living.clear()
    for detach in living:
        detach()
        _inherited.append(detach)


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_detach_all)
