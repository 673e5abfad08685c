"""A sanitizer's library, which `.ci/sanitize` preloads into the interpreter that runs the tests.

It is for interpreters that load sanitized modules. Other programs, memcached among them, can do without it,
and some cannot bear it.
"""

from __future__ import annotations

import os

_PRELOADED = os.environ.pop("LD_PRELOAD", None) if "MCROUTE_BUILD" in os.environ else None


def child_environment() -> dict[str, str]:
    """For a child that imports the package."""
    return {**os.environ, **({"LD_PRELOAD": _PRELOADED} if _PRELOADED else {})}
