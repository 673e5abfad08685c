"""The command line: `mcroute check`, `explain`, `ring`, `proxy`, `demo`. It needs extras of its own."""

import sys

__all__ = ("main",)

# What each module that may be missing belongs to.
_EXTRAS = {"click": "proxy", "tomli": "proxy", "rich": "demo", "matplotlib": "plots"}


def main() -> None:
    """Runs the command of `sys.argv` and exits: 0 done, 2 a mistake in the configuration or the command."""
    if "proxy" in sys.argv[1:2]:
        # Before anything else is imported: by default SIGHUP ends a process.
        from .signals import note_signals  # noqa: PLC0415

        note_signals()
    try:
        # Imported late: what they need is an extra, and its absence is explained.
        from .commands import mcroute  # noqa: PLC0415

        mcroute(prog_name="mcroute")
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _EXTRAS:
            raise
        sys.exit(f"mcroute: this command needs {missing}: pip install 'mcroute[{_EXTRAS[missing]}]'")
