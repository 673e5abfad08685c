"""mcroute: the routing engine for memcached. What may be embedded alone is here; see docs/embedding.md."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._engine.engine import Engine
    from ._protocol import (
        COMMAND_NAMES,
        NEED_DATA,
        REPLY_NAMES,
        Refusal,
        Reply,
        ReplyParser,
        Request,
        RequestParser,
        encode_request,
    )
    from ._ring import Ring
    from .proxy.embedded import NativeProxy

__version__ = "0.1.0.dev0"

__all__ = [
    "COMMAND_NAMES",
    "NEED_DATA",
    "REPLY_NAMES",
    "Engine",
    "Refusal",
    "Reply",
    "ReplyParser",
    "Request",
    "RequestParser",
    "Ring",
    "__version__",
    "encode_request",
]
if sys.platform == "linux":
    __all__ += ["NativeProxy"]

_MODULES = {
    "Engine": "._engine.engine",
    "NativeProxy": ".proxy.embedded",
    "Ring": "._ring",
}


# Imported when first asked for: the ring alone does not load the engine, nor the policies anything compiled.
def __getattr__(name: str) -> object:
    if name not in __all__ and name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(_MODULES.get(name, "._protocol"), __name__)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith(f"{__name__}._loop"):
            why = (
                "NativeProxy needs the native loop, which is built on Linux: see mcroute.asyncio.start_proxy"
            )
            raise ImportError(why, name=error.name) from None
        raise
    value: object = getattr(module, name)
    globals()[name] = value
    return value
