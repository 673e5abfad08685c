"""Meta commands to servers, and their replies: towards servers, an opaque of ours replaces the client's."""

from mcroute._engine.blocks cimport Block, OutQueue
from mcroute._engine.state cimport ClientRequest, Engine, Expected, Walk
from mcroute._protocol cimport ReplyView

# Queues the request with `opaque` in place of the client's, without q, and with the
# server's own CAS token if tokens are tagged, and the lifetime of a stand-in. False without memory.
cdef bint queue_meta(OutQueue* out, Engine* engine, Walk* walk, unsigned int opaque) noexcept nogil
# Whether the reply carries the opaque that the request was sent with, or is of a kind that carries none.
cdef bint meta_matches(Expected* expected, const unsigned char* data, const ReplyView* view) noexcept nogil
# A reply of two letters that no server gave, with the flags that the client wants back; NULL without memory.
cdef Block* meta_reply(ClientRequest* request, const char* letters) noexcept nogil
# The reply with the client's opaque restored, in a block of its own; NULL without memory.
cdef Block* meta_restore(ClientRequest* request, const unsigned char* data, ReplyView* view) noexcept nogil
