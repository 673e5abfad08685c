"""A server's state word: its state, its ghosts and its missed writes in 64 bits, shared by the engines of all threads.

    bits 0-1    ServerState
    bit 2       PROTECTED: the trip rule does not take it out of service
    bit 3       SPARED: PROTECTED has prevented a trip; the supervisor has not read this yet
    bit 4       STALE: it may hold old values, by a write that it missed since it was last restored
    bits 5-28   ghosts: writes that timed out on some engine's link and may still be executed
    bits 29-63  missed writes: not delivered here while another copy may have taken them; only grows

One word, because its parts depend on each other: a server returns to service only if it has missed no write since its
return began. A write that a copy missed is in the word before its client gets an answer, so no engine
reads that copy afterwards.

A ghost on a link of our own is harmless: later requests queue behind it. A ghost on another engine's link may be
executed at any time. Until it is answered, or its link is fenced, the server gets no request for the ghost's key;
claims.pxd says which keys have ghosts.

The supervisor limits ejections, and publishes the limit as PROTECTED: a trip that the supervisor would undo at once
helps nobody. The bit is about failures alone. A server that may hold old values goes out of service even if it is
protected, until the supervisor has looked: the word does not say whether another copy serves by now.

A write that timed out is not missed: it stands on its link before all later requests. It becomes missed when that link
is lost with it, or when the server refuses it in the end.
"""

from libc.stdint cimport uint32_t, uint64_t

cdef extern from * nogil:
    """
    #include <stdint.h>
    #if defined(_MSC_VER)
    #include <intrin.h>
    static void mcroute_more(uint64_t *at) { _InterlockedIncrement64((volatile __int64 *)at); }
    static uint64_t mcroute_load(uint64_t *at) { return *(volatile uint64_t *)at; }
    static int mcroute_swap(uint64_t *at, uint64_t from, uint64_t to) {
        return _InterlockedCompareExchange64((volatile __int64 *)at, (__int64)to, (__int64)from) == (__int64)from;
    }
    #else
    static inline void mcroute_more(uint64_t *at) { __atomic_fetch_add(at, 1, __ATOMIC_ACQ_REL); }
    static inline uint64_t mcroute_load(uint64_t *at) { return __atomic_load_n(at, __ATOMIC_ACQUIRE); }
    static inline int mcroute_swap(uint64_t *at, uint64_t from, uint64_t to) {
        return __atomic_compare_exchange_n(at, &from, to, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    }
    #endif
    """
    uint64_t mcroute_load(uint64_t* at)
    void mcroute_more(uint64_t* at)
    bint mcroute_swap(uint64_t* at, uint64_t before, uint64_t after)

cdef enum ServerState:
    SERVER_UP = 0
    SERVER_EJECTED = 1          # skipped; a link may be open to find out how it is
    SERVER_RETURNING = 2        # answers, is being fenced and flushed; still skipped

cdef struct ServerWord:
    uint64_t bits
    uint64_t outs               # ejections, and attempts at one; counted before the bits show the ejection
    uint64_t ups                # restores by the supervisor, and attempts at one; likewise

cdef enum:
    STATE_MASK = 3
    PROTECTED = 4
    SPARED = 8
    STALE = 16
    GHOST = 32                  # one of them
    GHOSTS_SHIFT = 5
    GHOSTS_MASK = 0xFFFFFF
    MISSED_SHIFT = 29

cdef inline int word_state(ServerWord* word) noexcept nogil:
    return <int>(mcroute_load(&word.bits) & STATE_MASK)

cdef inline uint64_t word_outs(ServerWord* word) noexcept nogil:
    return mcroute_load(&word.outs)

cdef inline uint64_t word_ups(ServerWord* word) noexcept nogil:
    return mcroute_load(&word.ups)

cdef inline uint64_t word_missed(ServerWord* word) noexcept nogil:
    return mcroute_load(&word.bits) >> MISSED_SHIFT

cdef inline bint word_has_others_ghosts(ServerWord* word, uint32_t own_ghosts) noexcept nogil:
    """Whether another engine has a ghost at the server; `own_ghosts` are the caller's."""
    return (mcroute_load(&word.bits) >> GHOSTS_SHIFT & GHOSTS_MASK) != own_ghosts

cdef inline bint word_has_ghosts(ServerWord* word) noexcept nogil:
    return mcroute_load(&word.bits) >> GHOSTS_SHIFT & GHOSTS_MASK != 0

cdef inline bint word_is_spared(ServerWord* word) noexcept nogil:
    return mcroute_load(&word.bits) & SPARED != 0

cdef inline int word_trip(ServerWord* word) noexcept nogil:
    """The server has failed too often. SERVER_EJECTED or SPARED if that is new, else 0."""
    cdef uint64_t bits = mcroute_load(&word.bits)
    cdef int mark
    if bits & STATE_MASK == SERVER_UP:
        mcroute_more(&word.outs)
    while bits & STATE_MASK == SERVER_UP:
        mark = SPARED if bits & PROTECTED else SERVER_EJECTED
        if bits & <uint64_t>mark:
            return 0
        if mcroute_swap(&word.bits, bits, bits | <uint64_t>mark):
            return mark
        bits = mcroute_load(&word.bits)
    return 0

cdef inline bint word_is_stale(ServerWord* word) noexcept nogil:
    return mcroute_load(&word.bits) & STALE != 0

cdef inline bint word_eject(ServerWord* word) noexcept nogil:
    """Marks the server stale and ejects it, even if it is protected. False if it was out of service already."""
    cdef uint64_t bits = mcroute_load(&word.bits)
    cdef uint64_t after
    while True:
        after = bits | STALE
        if bits & STATE_MASK == SERVER_UP:
            after |= SERVER_EJECTED
        if bits & STATE_MASK == SERVER_UP:
            mcroute_more(&word.outs)
        if mcroute_swap(&word.bits, bits, after):
            return bits & STATE_MASK == SERVER_UP
        bits = mcroute_load(&word.bits)

cdef inline bint word_miss(ServerWord* word) noexcept nogil:
    """Counts a missed write, marks the server stale and ejects it. Returns whether it was in service."""
    cdef uint64_t bits = mcroute_load(&word.bits)
    cdef uint64_t after
    cdef bint is_taken_out
    while True:
        is_taken_out = bits & STATE_MASK == SERVER_UP
        after = bits + (<uint64_t>1 << MISSED_SHIFT) | STALE
        if is_taken_out:
            after |= SERVER_EJECTED
            mcroute_more(&word.outs)
        if mcroute_swap(&word.bits, bits, after):
            return is_taken_out
        bits = mcroute_load(&word.bits)

cdef inline void word_count_ghost(ServerWord* word, bint is_more) noexcept nogil:
    """Counts one ghost more, or one less."""
    cdef uint64_t bits = mcroute_load(&word.bits)
    while not mcroute_swap(&word.bits, bits, bits + GHOST if is_more else bits - GHOST):
        bits = mcroute_load(&word.bits)

cdef inline void word_protect(ServerWord* word, bint is_protected) noexcept nogil:
    cdef uint64_t bits = mcroute_load(&word.bits)
    while not mcroute_swap(&word.bits, bits, bits | PROTECTED if is_protected else bits & ~<uint64_t>PROTECTED):
        bits = mcroute_load(&word.bits)

cdef inline void word_set_state(ServerWord* word, int state) noexcept nogil:
    """Sets the supervisor's state and clears SPARED, which the supervisor has read."""
    cdef uint64_t bits = mcroute_load(&word.bits)
    cdef uint64_t gone = STATE_MASK | SPARED | STALE if state == SERVER_UP else STATE_MASK | SPARED
    if state == SERVER_UP:
        mcroute_more(&word.ups)
    while not mcroute_swap(&word.bits, bits, (bits & ~gone) | <uint64_t>state):
        bits = mcroute_load(&word.bits)

cdef inline bint word_restore(ServerWord* word, uint64_t missed) noexcept nogil:
    """Restores the server if it has missed exactly `missed` writes. Returns whether it did."""
    cdef uint64_t bits = mcroute_load(&word.bits)
    mcroute_more(&word.ups)
    while bits >> MISSED_SHIFT == missed:
        if mcroute_swap(&word.bits, bits, bits & ~<uint64_t>(STATE_MASK | SPARED | STALE)):
            return True
        bits = mcroute_load(&word.bits)
    return False

cdef inline uint64_t word_restore_always(ServerWord* word) noexcept nogil:
    """Restores the server. Returns the number of writes that it had missed at that moment."""
    cdef uint64_t bits = mcroute_load(&word.bits)
    mcroute_more(&word.ups)
    while not mcroute_swap(&word.bits, bits, bits & ~<uint64_t>(STATE_MASK | SPARED | STALE)):
        bits = mcroute_load(&word.bits)
    return bits >> MISSED_SHIFT

cdef inline bint word_restore_unless_stale(ServerWord* word) noexcept nogil:
    """Restores the server unless it is stale. Returns whether it did."""
    cdef uint64_t bits = mcroute_load(&word.bits)
    mcroute_more(&word.ups)
    while not bits & STALE:
        if mcroute_swap(&word.bits, bits, bits & ~<uint64_t>(STATE_MASK | SPARED)):
            return True
        bits = mcroute_load(&word.bits)
    return False
