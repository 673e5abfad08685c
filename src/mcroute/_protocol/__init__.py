"""memcached's protocol, classic text and meta: parsers and encoders without I/O.

In C, `from mcroute._protocol cimport request_parse` and the other names of `__init__.pxd`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .commands import COMMAND_NAMES
    from .messages import (
        NEED_DATA,
        REPLY_NAMES,
        Refusal,
        Reply,
        ReplyParser,
        Request,
        RequestParser,
        count_replies,
        count_requests,
        encode_request,
    )

__all__ = (
    "COMMAND_NAMES",
    "NEED_DATA",
    "REPLY_NAMES",
    "Refusal",
    "Reply",
    "ReplyParser",
    "Request",
    "RequestParser",
    "count_replies",
    "count_requests",
    "encode_request",
)


# Imported when first asked for: the engine uses the C functions, and does without these objects.
def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(".messages", __name__), name)
    globals()[name] = value
    return value
