"""mcroute: the routing engine for memcached. Exports the parts to embed: see docs/embedding.md."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ._version import __version__

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

_MODULES = {
    "Engine": "._engine.engine",
    "Ring": "._ring",
}


# Imported late: the ring alone does not load the engine, and the policies load nothing compiled.
def __getattr__(name: str) -> object:
    if name not in __all__ and name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_MODULES.get(name, "._protocol"), __name__), name)
    globals()[name] = value
    return value
