"""The command line: `mcroute check`, `explain`, `proxy`. It needs `mcroute[proxy]`; the library does not."""

import sys

__all__ = ("main",)

_EXTRA = {"click", "tomli"}


def main() -> None:
    """Runs the command of `sys.argv` and exits: 0 done, 2 a mistake in the configuration or the command."""
    try:
        # Imported late: what they need is an extra, and its absence is explained.
        from .commands import mcroute  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        sys.exit(f"mcroute: the command line needs {error.name}: pip install 'mcroute[proxy]'")
    mcroute(prog_name="mcroute")
