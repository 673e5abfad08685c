"""Claims: a request's exclusive right to a key among the engines of a proxy (docs/decisions/0010-claims.md).

Within an engine, the links keep the order of requests for a key: every copy executes them in the order in which they
were sent. Another engine has links of its own. So a write to a key with copies claims the key: writes of other engines
to the key wait until all copies have answered. The table also counts, by key, ghosts: writes that timed out and may
still be executed. Other engines do not ask the ghost's server for this key, but for all other keys.

The engines share one table: 64 bits for each of 65536 slots, into which keys are hashed. No engine blocks. A request
that cannot claim its slot waits in its engine, which tries again when another engine has released a slot, or after
some milliseconds.

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
# The engine uses the table from now on. `number`, from 1 to CLAIMANTS_MAX, is of no other engine. False without memory.
cdef bint claims_join(Engine* engine, Claims* claims, int number) noexcept nogil

# Between claims_close and claims_open no engine takes a claim: a plan with copies is installed, while writes of a plan
# without copies, which claim nothing, are in flight. After claims_open the caller wakes the engines.
cdef void claims_close(Claims* claims) noexcept nogil
cdef void claims_open(Claims* claims) noexcept nogil

# Prefetch the slot before a write to the key begins, or a claim is released: it is seldom in the processor's cache.
cdef void claim_expect(Engine* engine, const uint8_t* key, size_t size) noexcept nogil
cdef void claim_expect_release(ClientRequest* request) noexcept nogil

# Whether the request, which has not begun, has to wait for another engine; then claims_resume begins it.
cdef bint claim_waits(ClientRequest* request) noexcept nogil
# The last walk of a request that has a claim has ended.
cdef void claim_release(ClientRequest* request) noexcept nogil
# Claims the key for the engine itself, if no other engine has it, waits for it or has a ghost of it. `claim` is for
# claim_return.
cdef bint claim_take(Engine* engine, const uint8_t* key, size_t size, uint32_t* claim) noexcept nogil
cdef void claim_return(Engine* engine, uint32_t claim) noexcept nogil
# The latest time for the next engine_check; infinity if no request waits.
cdef double claims_due(Engine* engine) noexcept nogil
# Counts a ghost: the walk's request timed out, and may still be executed. Returns the slot, for claim_remove_ghost.
cdef uint32_t claim_add_ghost(Walk* walk) noexcept nogil
cdef void claim_remove_ghost(Engine* engine, uint32_t slot) noexcept nogil
