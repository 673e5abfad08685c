"""State of a server that the loops of one proxy share, beside its state word; any loop may change it.

The supervising thread changes some fields too, and then writes to the loops' wake-up descriptors. It waits for no loop.
A loop reads all changes since its last turn in one turn.

    round       failed rounds of attempts in a row (8 bits), and the time of the next round (56 bits, microseconds)
    out_at      the time of the next round while the server is out of service (microseconds)
    trial_until the end of the current attempt: while the server fails, one link of all loops tries (microseconds)
    ejections   by the supervisor: when the number changes, requests that wait for the server in any loop fail over
    item_size_max   of the server, in bytes (56 bits), and the bytes of its client flags (8 bits); 0: not known
    hedge_after     of the server (microseconds); 0: its reads are not hedged
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
    uint64_t hedge_after

cdef struct Signals:            # of all servers together: the number of changes of each kind
    uint64_t ejections
    uint64_t restarts           # backoffs that have ended: waiting links may try to connect now
    uint64_t sizes              # item_size_max or hedge_after of a server

cdef inline uint64_t _micros(double seconds) noexcept nogil:
    # Rounded, not cut off: a time must not compare as earlier than itself.
    return <uint64_t>(1e6 * seconds + 0.5)

cdef inline void _set(uint64_t* word, uint64_t value) noexcept nogil:
    cdef uint64_t before = mcroute_load(word)
    while not mcroute_swap(word, before, value):
        before = mcroute_load(word)

cdef inline void shared_set_size(SharedUpstream* shared, uint64_t size, unsigned int flags_size) noexcept nogil:
    _set(&shared.item_size_max, size << 8 | flags_size & 255)

cdef inline void shared_set_hedge(SharedUpstream* shared, double seconds) noexcept nogil:
    _set(&shared.hedge_after, _micros(seconds))

cdef inline double shared_hedge_after(SharedUpstream* shared) noexcept nogil:
    return 1e-6 * <double>mcroute_load(&shared.hedge_after)

cdef inline int shared_failures(SharedUpstream* shared) noexcept nogil:
    """Failed rounds of attempts in a row."""
    return <int>(mcroute_load(&shared.round) >> TIME_BITS)

cdef inline double shared_retry_at(SharedUpstream* shared) noexcept nogil:
    """The time of the next round; 0 while the server does not fail."""
    return 1e-6 * <double>(mcroute_load(&shared.round) & ((<uint64_t>1 << TIME_BITS) - 1))

cdef inline double shared_retry_out_at(SharedUpstream* shared) noexcept nogil:
    return 1e-6 * <double>mcroute_load(&shared.out_at)

cdef inline bint shared_fail(SharedUpstream* shared, double now, double retry_at, double retry_out_at) noexcept nogil:
    """Ends a round, and sets the time of the next one. False: another link has ended the round already."""
    cdef uint64_t round = mcroute_load(&shared.round)
    cdef uint64_t failures = min((round >> TIME_BITS) + 1, <uint64_t>ROUNDS_MAX)
    if _micros(now) < round & ((<uint64_t>1 << TIME_BITS) - 1):
        return False
    if not mcroute_swap(&shared.round, round, failures << TIME_BITS | _micros(retry_at)):
        return False
    _set(&shared.out_at, _micros(retry_out_at))
    return True

cdef inline bint shared_try(SharedUpstream* shared, double now, double until) noexcept nogil:
    """Whether the caller gets the round's attempt, which ends at `until` at the latest."""
    cdef uint64_t before = mcroute_load(&shared.trial_until)
    return before <= _micros(now) and mcroute_swap(&shared.trial_until, before, _micros(until))

cdef inline double shared_trial_until(SharedUpstream* shared) noexcept nogil:
    return 1e-6 * <double>mcroute_load(&shared.trial_until)

cdef inline void shared_tried(SharedUpstream* shared) noexcept nogil:
    """Ends the attempt: another link may try."""
    _set(&shared.trial_until, 0)

cdef inline void shared_restart(SharedUpstream* shared) noexcept nogil:
    """Clears the server's failures and its backoff."""
    _set(&shared.round, 0)
    _set(&shared.out_at, 0)
    _set(&shared.trial_until, 0)
