"""`mcroute demo` starts servers, a proxy and clients; one server dies under load.


fleet   the servers, and the fault of one of them
load    the clients, which check every value
tally   counts of the clients' results
play    the sequence of events
show    the display, and `summary` the result
"""

from __future__ import annotations

import signal
import sys

from rich.console import Console

from ..serving import runner
from .fleet import Fault, Fleet
from .play import SERVER_COUNT, DemoSettings, Play
from .show import Screen
from .summary import summarize

__all__ = ("DemoSettings", "Fault", "run_demo")

# Threads beside the clients' (drawing, embedded servers) must yield sooner than by default, or they would
# dominate the latencies.
SWITCH_INTERVAL_S = 0.0005


def run_demo(settings: DemoSettings, console: Console) -> int:
    """Runs the demo to its end, or until SIGINT, SIGTERM or SIGHUP. Returns the exit status.

    0: no client saw an error or a wrong value; 1: a client did; 128 plus the number of the signal.
    Raises OSError or RuntimeError if servers cannot start. All servers are stopped on return.
    """
    usual_interval_s = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        with Fleet(SERVER_COUNT, is_embedded=settings.is_embedded) as fleet, Screen(console) as screen:
            play = Play(settings, fleet, screen)
            try:
                runner()(play.perform())
            except KeyboardInterrupt:
                play.interrupted_by = signal.SIGINT
            return summarize(play, screen)
    finally:
        sys.setswitchinterval(usual_interval_s)
