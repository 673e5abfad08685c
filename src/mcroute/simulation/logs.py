"""The log of simulated processes, as notes instead of lines of this process's own log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .machines import MACHINE

__all__ = ("Note", "logged_to")

log: logging.Logger = logging.getLogger("mcroute")

# Gets the name of the machine whose process writes, empty outside of machines, and the line.
Note = Callable[[str, str], None]


class _Notes(logging.Handler):
    def __init__(self, note: Note) -> None:
        super().__init__()
        self._note = note

    def emit(self, record: logging.LogRecord) -> None:
        machine = MACHINE.get()
        error = f" {record.exc_info[1]!r}" if record.exc_info else ""
        self._note(machine.name if machine else "", record.getMessage() + error)


@contextmanager
def logged_to(note: Note) -> Iterator[None]:
    """While it is entered, `note` gets the lines of mcroute's log, from INFO on, and nobody else."""
    handler = _Notes(note)
    propagates, log.propagate = log.propagate, False
    level = log.level
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.propagate = propagates
        log.setLevel(level)
