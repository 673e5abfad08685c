"""memcached's protocol, classic text and meta: parsers and encoders without I/O.

In C, `from mcroute._protocol cimport request_parse` and the other names of `__init__.pxd`.
"""

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
