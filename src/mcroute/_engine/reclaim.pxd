"""Frees memory when a share is used up: closes the client that uses most of it, never a server's link."""

from libc.stddef cimport size_t

from mcroute._engine.blocks cimport Block, block_new
from mcroute._engine.state cimport Engine

cdef enum:
    RESERVED_MAX = 16 * 1024    # bytes of a block that the links' reserve gives to a reply
    REQUEST_MAX = 2 << 20       # bytes that one request takes at most in the output of a link

# Closes the clients with most unread output, until the replies are within their share, or no client has much.
cdef void replies_reclaim(Engine* engine) noexcept nogil

# Whether new requests are refused before any server is asked.
cdef inline bint engine_is_short(const Engine* engine) noexcept nogil:
    return (engine.uploads.used_bytes > engine.uploads.used_share
            or engine.outbound.used_bytes > engine.outbound.used_share)

# Whether the links' memory has room for one more request of any size.
cdef inline bint links_have_room(const Engine* engine) noexcept nogil:
    return engine.outbound.used_bytes + REQUEST_MAX <= engine.outbound.used_limit

# A block for a reply. Small replies may use the links' reserve: clients that do not read must not cost an outcome.
cdef inline Block* reply_block(Engine* engine, size_t size) noexcept nogil:
    cdef Block* block = block_new(&engine.pool, size)
    if block == NULL and size <= RESERVED_MAX:
        block = block_new(&engine.outbound, size)
    return block
