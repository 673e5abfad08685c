"""Gets of several keys: their parts and rounds."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

from mcroute._engine.blocks cimport Block, Slice
from mcroute._engine.state cimport ClientRequest, Session, Walk

cdef enum:
    ROUND_KEYS_MAX = 128        # keys of the first round at most
    UNREAD_BYTES = 4 << 20      # with more unsent bytes in the session, the next round waits


# Begins the next round of a get, if it is the first request of its session and its client has read enough.
cdef void multiget_resume(ClientRequest* request) noexcept nogil
# As multiget_resume, for the session's first request, if it waits between two rounds. Call after bytes were sent.
cdef void session_resume(Session* session) noexcept nogil
# Begins the request's parts. The request may be answered, and freed, on return.
cdef void multiget_begin(ClientRequest* request) noexcept nogil
# Takes a VALUE of a part. False if its key is not among the keys that are still expected.
cdef bint multiget_item(Walk* walk, const uint8_t* key, size_t size, Slice item) noexcept nogil
# Keeps the item of the next key, if the block has the whole item from `start` on. Returns its size; else 0.
cdef size_t multiget_next_item(Walk* walk, Block* block, size_t start, size_t size, size_t value_max) noexcept nogil
# As multiget_item, for an item that is skipped: the whole get fails.
cdef bint multiget_skip(Walk* walk, const uint8_t* key, size_t size) noexcept nogil
# The walk of a single key has ended.
cdef void multiget_key_ended(Walk* walk, int outcome, Slice reply) noexcept nogil
# A link's part has ended: items were kept as they arrived, and keys without an item are misses or failures. `reply` is
# the last line, which answers the client if the server refused.
cdef void multiget_part_ended(Walk* walk, int outcome, Slice reply) noexcept nogil
# Whether keys of the part that have no item yet can be asked of another server.
cdef bint multiget_may_move(Walk* part) noexcept nogil
