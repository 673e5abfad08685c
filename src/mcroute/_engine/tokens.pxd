"""CAS tokens that carry their server: where a key has copies, a token is good on the server that gave it only.

A server's token n is n << TAG_BITS for clients, with the server's tag in the low bits. Servers count from 1. A token
of more than 48 bits, which only a meta E flag can make, comes back truncated, and never matches.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint64_t

from mcroute._engine.blocks cimport Block
from mcroute._engine.state cimport ClientRequest, Engine, Server

cdef enum:
    TAG_BITS = 16

# Whether the request has a CAS token (cas, or a meta command with C), and which.
cdef bint token_of_request(ClientRequest* request, uint64_t* token) noexcept nogil
# The reply with its token tagged, in a block of its own; NULL when it has none, or without memory, in which
# case the client's next cas is answered EXISTS.
cdef Block* token_tag(Engine* engine, const unsigned char* reply, size_t size, Server* server) noexcept nogil
