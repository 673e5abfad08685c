"""Detaches forked child processes from the connections of their parent."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable

__all__ = ("at_fork",)

_living: set[weakref.WeakMethod[Callable[[], None]]] = set()
# Kept for good: freed transports would remove their sockets from the epoll set, which the parent shares.
_inherited: list[Callable[[], None]] = []


def at_fork(let_go: Callable[[], None]) -> None:
    """Registers a method for child processes: called there after a fork, if its object still lives."""
    # No callback removes dead references: while the interpreter ends, WeakMethod's own callback can raise.
    _living.difference_update([reference for reference in _living if reference() is None])
    _living.add(weakref.WeakMethod(let_go))


def _let_go_of_all() -> None:
    living = [let_go for reference in list(_living) if (let_go := reference()) is not None]
    _living.clear()
    for let_go in living:
        let_go()
        _inherited.append(let_go)


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_let_go_of_all)
