"""A link's queue of expected replies: memcached answers in order, so the order matches replies to requests."""

from libc.math cimport INFINITY
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t

from mcroute._engine.state cimport Expected, Link, Server, Text, Walk

cdef enum:
    PROGRESS_SIZE = 4096        # bytes of a reply that is not whole yet

# Whether the command does harm if a server executes it later than its client believes.
cdef bint command_changes(int command) noexcept nogil
# Whether the link takes another request now; if not, `reason` receives the Outcome that says why.
cdef bint link_takes(Link* link, int* reason) noexcept nogil
# Expects the reply to the request that the caller has just queued on link.conn.out: it belongs to this walk. False
# without memory.
cdef bint link_expect(Link* link, Walk* walk, int shape, int command) noexcept nogil
# Expects the reply to the handshake's step that the caller has just queued. It must begin with `prefix`, which must
# stay valid.
cdef bint link_expect_greeting(Link* link, Text prefix) noexcept nogil
# Whether the reply to the oldest step begins with its prefix. The reply to the last step makes the link ready.
cdef bint link_greeted(Link* link, const uint8_t* line, size_t size) noexcept nogil
# The oldest expected reply has arrived.
cdef void link_arrived(Link* link) noexcept nogil
# Moves the oldest request before the remaining steps of the handshake. False: there is no request.
cdef bint link_advance(Link* link) noexcept nogil
# Makes ghosts of the link's requests that have timed out at their deadline and change something.
cdef void link_make_ghosts(Link* link) noexcept nogil
# Number of requests sent on the link that have no reply yet and change something.
cdef uint32_t link_unanswered_writes(Link* link) noexcept nogil
# The handshake is over: requests are sent from now on.
cdef void link_open(Link* link) noexcept nogil
# Whether all of the server's links are closed, and nothing waits for them.
cdef bint server_is_unlinked(Server* server) noexcept nogil
# The walk waits no longer: its reply will be discarded when it comes.
cdef void link_orphan(Walk* walk) noexcept nogil

# Measures the rate of replies from this moment on.
cdef inline void link_measure_rate(Link* link) noexcept nogil:
    link.rate_since = link.conn.engine.now
    link.rate_head = link.head

cdef inline Expected* link_expected(Link* link, uint32_t place) noexcept nogil:
    """The oldest stands in place 0."""
    return &link.ring[(link.head + place) & (link.slots - 1)]

cdef inline Expected* link_oldest(Link* link) noexcept nogil:
    return &link.ring[link.head & (link.slots - 1)]

# ---- progress ----

# The later of two times: the last progress, and the oldest unanswered request. Infinity without such a request.
cdef inline double link_silent_since(Link* link) noexcept nogil:
    return max(link.progress_at, link_oldest(link).sent_at) if link.count > 0 else INFINITY

# A whole reply has come, or PROGRESS_SIZE bytes of one.
cdef inline void link_answered(Link* link) noexcept nogil:
    link.progress_at = link.conn.engine.now
    link.partial_size = 0
    link.server.failures = 0

# Some bytes have come.
cdef inline void link_partly_answered(Link* link, size_t size) noexcept nogil:
    link.partial_size += size
    if link.partial_size >= PROGRESS_SIZE:
        link_answered(link)
