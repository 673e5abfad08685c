"""mcroute in threads that need no interpreter; Linux only.

`with Proxy(route) as proxy` serves memcached's clients while the process does something else.
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
