"""What the loops of one proxy tell each other about a server, beside its word: words that any of them may change.

The supervising thread changes some of them too, and then writes to the loops' wake-up descriptors: it waits for no
loop, and however much it says before a loop comes to it, that is one turn's work there.

    round       failures in a row (8 bits), and from when on the next round of attempts may begin (56: microseconds)
    out_at      the same time while the server is out of service (microseconds)
    trial_until while the server fails one link of all loops tries for the others: it has until then (microseconds)
    ejections   by the supervisor: what waits on the server in any loop is to fail over
    item_size_max   of the server, in bytes (56 bits), and the bytes of its client flags (8); 0: it is not known
"""

from libc.stdint cimport uint64_t

from mcroute._engine.server_words cimport mcroute_load, mcroute_more, mcroute_swap

cdef enum:
    TIME_BITS = 56
    ROUNDS_MAX = 255

cdef struct SharedUpstream:     # of one server
    uint64_t round
    uint64_t out_at
    uint64_t trial_until
    uint64_t ejections
    uint64_t item_size_max

cdef struct Signals:            # of all servers together: which kind of change there is
    uint64_t ejections
    uint64_t restarts           # links that wait for their next attempt may make it now
    uint64_t sizes              # the largest value of some server is known

cdef inline uint64_t _micros(double seconds) noexcept nogil:
    # Rounded, so that a time is not before itself.
    return <uint64_t>(1e6 * seconds + 0.5)

cdef inline void _set(uint64_t* word, uint64_t value) noexcept nogil:
    cdef uint64_t before = mcroute_load(word)
    while not mcroute_swap(word, before, value):
        before = mcroute_load(word)

cdef inline void shared_set_size(SharedUpstream* shared, uint64_t size, unsigned int flags_size) noexcept nogil:
    _set(&shared.item_size_max, size << 8 | flags_size & 255)

cdef inline int shared_failures(SharedUpstream* shared) noexcept nogil:
    """Rounds of attempts in a row that failed."""
    return <int>(mcroute_load(&shared.round) >> TIME_BITS)

cdef inline double shared_retry_at(SharedUpstream* shared) noexcept nogil:
    """When the next round may begin; 0 while the server does not fail."""
    return 1e-6 * <double>(mcroute_load(&shared.round) & ((<uint64_t>1 << TIME_BITS) - 1))

cdef inline double shared_retry_out_at(SharedUpstream* shared) noexcept nogil:
    return 1e-6 * <double>mcroute_load(&shared.out_at)

cdef inline bint shared_fail(SharedUpstream* shared, double now, double retry_at, double retry_out_at) noexcept nogil:
    """Ends a round, and says when the next begins. False: another link has ended it already."""
    cdef uint64_t round = mcroute_load(&shared.round)
    cdef uint64_t failures = min((round >> TIME_BITS) + 1, <uint64_t>ROUNDS_MAX)
    if _micros(now) < round & ((<uint64_t>1 << TIME_BITS) - 1):
        return False
    if not mcroute_swap(&shared.round, round, failures << TIME_BITS | _micros(retry_at)):
        return False
    _set(&shared.out_at, _micros(retry_out_at))
    return True

cdef inline bint shared_try(SharedUpstream* shared, double now, double until) noexcept nogil:
    """Whether the caller is the one who tries for all, until then at most."""
    cdef uint64_t before = mcroute_load(&shared.trial_until)
    return before <= _micros(now) and mcroute_swap(&shared.trial_until, before, _micros(until))

cdef inline double shared_trial_until(SharedUpstream* shared) noexcept nogil:
    return 1e-6 * <double>mcroute_load(&shared.trial_until)

cdef inline void shared_tried(SharedUpstream* shared) noexcept nogil:
    """Another one may try."""
    _set(&shared.trial_until, 0)

cdef inline void shared_restart(SharedUpstream* shared) noexcept nogil:
    """As if the server had not failed before."""
    _set(&shared.round, 0)
    _set(&shared.out_at, 0)
    _set(&shared.trial_until, 0)
