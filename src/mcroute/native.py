"""mcroute on threads of its own, which need no interpreter: Linux.

`with Proxy(route) as proxy`, and memcached's clients are served while the process does something else.
"""

from __future__ import annotations

try:
    from .proxy.native import Proxy
except ModuleNotFoundError as error:
    if (error.name or "").startswith("mcroute._loop"):
        why = "mcroute.native needs the native loop, which is built on Linux: see mcroute.asyncio.start_proxy"
        raise ImportError(why, name=error.name) from None
    raise

__all__ = ("Proxy",)
