"""A get of several keys: its parts, and what becomes of them."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

from mcroute._engine.blocks cimport Block, Slice
from mcroute._engine.state cimport ClientRequest, Session, Walk

cdef enum:
    ROUND_KEYS_MAX = 128        # that are asked for at first, of however many there are
    UNREAD_BYTES = 4 << 20      # of the rounds before, while the next one is asked for


# Goes on with a get whose round is over, if it is its turn and its client has taken enough.
cdef void multiget_go_on(ClientRequest* request) noexcept nogil
# The same with the session's first request, if that waits: bytes have been sent.
cdef void session_go_on(Session* session) noexcept nogil
# Begins the request's parts. The request may be answered, and gone, on return.
cdef void multiget_begin(ClientRequest* request) noexcept nogil
# A VALUE has come for a part. False when its key is not one of those that are still to come.
cdef bint multiget_item(Walk* walk, const uint8_t* key, size_t size, Slice item) noexcept nogil
# The size of the item of the key that comes next, kept, if the block has the whole of it from `start` on; else 0.
cdef size_t multiget_next_item(Walk* walk, Block* block, size_t start, size_t size, size_t value_max) noexcept nogil
# The same, of an item that is not kept: the whole get fails by it.
cdef bint multiget_skip(Walk* walk, const uint8_t* key, size_t size) noexcept nogil
# A key that was walked by itself has ended.
cdef void multiget_key_ended(Walk* walk, int outcome, Slice reply) noexcept nogil
# A link's part has ended: its items were taken as they came, keys without one are misses or failures. `reply` is the
# last line, which is passed on if the server refused.
cdef void multiget_part_ended(Walk* walk, int outcome, Slice reply) noexcept nogil
# Whether keys of the part that have no item yet can be asked of another server.
cdef bint multiget_may_move(Walk* part) noexcept nogil
