"""mcroute on the native loop, whose threads run without the interpreter; Linux only.

`with Proxy(route) as proxy` serves memcached's clients in its threads, while the calling thread goes on.
"""

from __future__ import annotations

try:
    from .proxy.native import Proxy
except ModuleNotFoundError as error:
    if (error.name or "").startswith("mcroute._loop"):
        why = "mcroute.native needs the native loop, which is built on Linux: see mcroute.asyncio.start_proxy"
        raise ImportError(why, name=error.name) from None
    raise

from .policy import StateChange

__all__ = ("Proxy", "StateChange")
