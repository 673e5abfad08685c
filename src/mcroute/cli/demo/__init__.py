"""`mcroute demo`: servers, a proxy and clients in one go, and a server that dies under load.

fleet   the servers, and what happens to one of them
load    the clients, which check every value
tally   what the clients saw
play    the plot
show    how it is shown
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

# The threads beside the clients' (drawing, embedded servers) have to give way sooner than usual, or the
# latencies shown would be theirs.
SWITCH_INTERVAL_S = 0.0005


def run_demo(settings: DemoSettings, console: Console) -> int:
    """Runs it to the end, or to SIGINT, SIGTERM or SIGHUP. Returns the exit status.

    0: no client has seen an error or a wrong value; 1: some have; 128 and the number of the signal.
    Raises OSError or RuntimeError if servers cannot be started. In the end all that it started is stopped.
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
