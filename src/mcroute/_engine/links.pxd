"""A link's queue of expected replies: memcached answers in order, so order is what matches them."""

from libc.math cimport INFINITY
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t

from mcroute._engine.state cimport Expected, Link, Server, Text, Walk

cdef enum:
    SIGN_OF_LIFE = 4096         # bytes of a reply that is not whole yet

# Whether a server that executes the command later than its client believes does harm.
cdef bint command_changes(int command) noexcept nogil
# Whether the link takes another request now; if not, `reason` receives the Outcome that says why.
cdef bint link_takes(Link* link, int* reason) noexcept nogil
# The reply to what the caller just queued on link.conn.out belongs to this walk. False without memory.
cdef bint link_expect(Link* link, Walk* walk, int shape, int command) noexcept nogil
# The reply to the step of a handshake that the caller just queued is to begin with `prefix`, which is kept.
cdef bint link_expect_greeting(Link* link, Text prefix) noexcept nogil
# The oldest expected reply is a greeting: whether it is as the script says. The last one makes the link ready.
cdef bint link_greeted(Link* link, const uint8_t* line, size_t size) noexcept nogil
# The oldest expected reply has arrived.
cdef void link_arrived(Link* link) noexcept nogil
# The oldest request behind what is left of the handshake becomes the oldest expected reply. False: there is none.
cdef bint link_advance(Link* link) noexcept nogil
# Requests have reached their deadline: those of them that wait here, and change something, are ghosts from now on.
cdef void link_haunt(Link* link) noexcept nogil
# How many requests that were sent on the link have no reply yet and change something.
cdef uint32_t link_unanswered_writes(Link* link) noexcept nogil
# The handshake is over: requests are sent from now on.
cdef void link_open(Link* link) noexcept nogil
# Whether all of the server's links are closed, and nothing waits for them.
cdef bint server_is_unlinked(Server* server) noexcept nogil
# The walk no longer waits: its reply will be dropped when it comes.
cdef void link_orphan(Walk* walk) noexcept nogil

# From here on it is measured how fast replies come.
cdef inline void link_pace(Link* link) noexcept nogil:
    link.paced_at = link.conn.engine.now
    link.paced_head = link.head

cdef inline Expected* link_expected(Link* link, uint32_t place) noexcept nogil:
    """The oldest stands in place 0."""
    return &link.ring[(link.head + place) & (link.slots - 1)]

cdef inline Expected* link_oldest(Link* link) noexcept nogil:
    return &link.ring[link.head & (link.slots - 1)]

# ---- signs of life ----

# When the link was last heard, or the oldest request sent that it owes a reply; infinity if it owes none.
cdef inline double link_silent_since(Link* link) noexcept nogil:
    return max(link.heard_at, link_oldest(link).sent_at) if link.count > 0 else INFINITY

# A whole reply.
cdef inline void link_answered(Link* link) noexcept nogil:
    link.heard_at = link.conn.engine.now
    link.unheard = 0
    link.server.failures = 0

# Some bytes have come.
cdef inline void link_heard(Link* link, size_t size) noexcept nogil:
    link.unheard += size
    if link.unheard >= SIGN_OF_LIFE:
        link_answered(link)
