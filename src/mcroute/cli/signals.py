"""Signals that arrive before the proxy can handle them: noted, and handled later."""

from __future__ import annotations

import signal
from types import FrameType

__all__ = ("ENDING", "RELOADING", "note_signals", "noted_signals")

ENDING = ("SIGTERM", "SIGINT")
RELOADING = ("SIGHUP",)

_noted: set[int] = set()


def note_signals() -> None:
    """From now on these signals do not end the process; each is noted."""
    for name in (*ENDING, *RELOADING):
        number = getattr(signal, name, None)
        if number is not None:
            signal.signal(number, _note)


def _note(number: int, frame: FrameType | None) -> None:
    # The second one ends the process, as by default.
    if number in _noted and signal.Signals(number).name in ENDING:
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
    _noted.add(number)


def noted_signals(names: tuple[str, ...]) -> bool:
    """Whether one of these signals was noted. Call it after another handler was installed."""
    return any(getattr(signal, name, None) in _noted for name in names)
