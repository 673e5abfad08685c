"""Keys that a request of one engine has to itself among the engines of a proxy (docs/decisions/0010-claims.md).

Within an engine, order on a key follows from its links: what was sent first is executed first, on every copy. Another
engine has links of its own. So a write to a key with copies claims the key: writes of other engines to it wait until
all copies have answered. And a write that timed out and may still be executed (a ghost) is noted with its key, so that
other engines leave that key alone on that server, and no other key.

The engines share one table: a word for each of 65536 slots, into which keys are hashed. No engine blocks. What cannot
be had waits in the engine, and is tried again when another engine has released something, or after some milliseconds.

    bits 0-7    number of the engine that has the slot, 0: none
    bits 8-31   how many of its requests have it
    bit 32      another engine waits for it
    bits 33-63  ghosts, of all engines
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t

from mcroute._engine.state cimport Claims, ClientRequest, Engine, Walk

cdef enum:
    CLAIM_SLOTS = 1 << 16
    CLAIMANTS_MAX = 255

# NULL without memory.
cdef Claims* claims_new() noexcept nogil
cdef void claims_free(Claims* claims) noexcept nogil
# The engine takes part from now on, by a number from 1 to CLAIMANTS_MAX that no other engine has. False without memory.
cdef bint claims_join(Engine* engine, Claims* claims, int number) noexcept nogil

# No engine takes a claim before whoever has closed them opens them again: writes that claim nothing, since they are by
# a plan without copies, are under way while a plan with copies comes. What waits is to be told.
cdef void claims_close(Claims* claims) noexcept nogil
cdef void claims_open(Claims* claims) noexcept nogil

# A write to the key is about to begin, or a claim about to be given back: the table is seldom in the processor's cache.
cdef void claim_expect(Engine* engine, const uint8_t* key, size_t size) noexcept nogil
cdef void claim_expect_release(ClientRequest* request) noexcept nogil

# Whether the request, which has not begun, has to wait for another engine; then claims_resume begins it.
cdef bint claim_waits(ClientRequest* request) noexcept nogil
# The last walk of a request that has a claim has ended.
cdef void claim_release(ClientRequest* request) noexcept nogil
# When the next engine_check is due at the latest; infinity if nothing waits.
cdef double claims_due(Engine* engine) noexcept nogil
# The walk's request may be executed though nobody waits for it. Returns the slot, for claim_unhaunt.
cdef uint32_t claim_haunt(Walk* walk) noexcept nogil
cdef void claim_unhaunt(Engine* engine, uint32_t slot) noexcept nogil
