"""`check_mcroute`: a plugin for Nagios, Icinga and others that run the monitoring plugins."""

from __future__ import annotations

import sys

__all__ = ("main",)

UNKNOWN = 3


def main() -> None:
    """Runs the check of `sys.argv`, prints its result, and exits with its state: 0 to 3."""
    try:
        # Imported late: the library is an extra, and a missing one gets a message.
        from .plugin import run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name != "nagiosplugin":
            raise
        print("MCROUTE UNKNOWN - nagiosplugin is missing: pip install 'mcroute-engine[nagios]'")
        sys.exit(UNKNOWN)
    run(sys.argv[1:])
