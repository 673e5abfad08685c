"""Gets of several keys: their parts and rounds."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

from mcroute._engine.blocks cimport Block, Slice
from mcroute._engine.state cimport ClientRequest, KeyState, Link, PlanNode, Session, Walk

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

# For hedged_gets.pyx: the key's node behind the switches, the ask that it has reached (NULL: it is walked alone),
# whether it has another child after an error, or after a miss, and the better of its best outcome and this one.
cdef int multiget_node(ClientRequest* request, int node, const KeyState* state) noexcept nogil
cdef PlanNode* multiget_ask(ClientRequest* request, int node, const KeyState* state) noexcept nogil
cdef bint multiget_has_another(ClientRequest* request, int node, const KeyState* state, bint is_error) noexcept nogil
cdef int multiget_best(ClientRequest* request, const KeyState* state, int outcome) noexcept nogil
# The expected key of these bytes, NULL if there is none; keeps an item at a key.
cdef KeyState* multiget_find(Walk* walk, const uint8_t* key, size_t size) noexcept nogil
cdef void multiget_keep(KeyState* state, Slice item) noexcept nogil
# A part for the link, to be asked by multiget_ask_parts; NULL without memory. The part's keys without an item go on to
# their next children, or fail. The request waits for one part less.
cdef Walk* part_new(ClientRequest* request, Link* link, PlanNode* ask) noexcept nogil
cdef void multiget_ask_parts(ClientRequest* request) noexcept nogil
cdef void multiget_retry(Walk* part, int outcome) noexcept nogil
cdef void multiget_part_over(ClientRequest* request) noexcept nogil
