"""Counters of a server and of an engine, and the first bytes of a reply that did not match its request."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from mcroute._engine.histograms cimport Histogram
from mcroute._engine.vocabulary cimport OUTCOME_COUNT, VARIANT_COUNT
from mcroute._protocol cimport COMMAND_COUNT

cdef enum:
    DESYNC_MAX = 60             # bytes of an unmatched reply, for the log

# Counts consist of 64-bit words only, because observing.pyx copies them word by word.
cdef struct ServerCounts:
    uint64_t requests           # sent
    uint64_t dropped            # requests without a reply when their connection was closed
    uint64_t failed             # failures that the trip rule counts
    uint64_t late               # replies that took longer than the reply timeout
    uint64_t retries_refused    # by the budget, after timeouts here
    uint64_t hedges             # of reads that waited here
    uint64_t timeouts
    uint64_t missed_writes      # of this engine; the state word has those of all engines
    uint64_t desyncs
    uint64_t too_large          # values skipped because of their size
    uint64_t discarded_memory   # values skipped for want of memory
    uint64_t connects
    uint64_t connects_failed
    uint64_t disconnects
    uint64_t trips              # ejections by the trip rule
    uint64_t stale_ejections    # ejections because of a missed write
    uint64_t refilled           # keys copied here from another server
    uint64_t refills_present    # not copied: this server had the key
    uint64_t refills_gone       # not copied: the other server did not have it any more
    uint64_t refills_skipped    # not copied: a write was under way, a server did not serve, ...
    uint64_t refills_dropped    # keys that reads wished, beyond the rate or the room
    uint64_t refills_undone     # copies deleted, because their source has changed or did not answer
    uint64_t copies_begun       # stores that a primary has done, to be done here as a backup
    uint64_t copies_ended       # those that were answered or have failed
    uint64_t outcomes[OUTCOME_COUNT]  # of asks, sent or not

cdef struct Desync:             # the first desync of a server since the last desyncs_take
    uint32_t count              # of desyncs since then; 0: there is none
    uint32_t depth              # requests that had no reply yet
    uint8_t command             # of the oldest of these; COMMAND_COUNT: there was none
    uint8_t size
    uint8_t text[DESYNC_MAX]    # first bytes of the unmatched reply

cdef struct EngineCounts:
    uint64_t requests
    uint64_t replies
    uint64_t refused            # requests that session_refusals.pyx has refused
    uint64_t refused_binary     # sessions whose clients speak the binary protocol
    uint64_t refused_tls        # and those that speak other protocols
    uint64_t refused_resp
    uint64_t refused_ssh
    uint64_t timeouts           # requests that reached their deadline
    uint64_t bytes_in           # of sessions
    uint64_t bytes_out
    uint64_t sessions_opened
    uint64_t sessions_closed
    uint64_t refused_memory     # requests, for want of memory
    uint64_t closed_memory      # sessions: too much unread, or half a line
    uint64_t accepts_failed     # by the driver: for want of descriptors or memory
    uint64_t ejections          # by the engine itself
    uint64_t spared             # ejections by the trip rule that protection prevented
    uint64_t notices            # servers that the driver is to look at, each once a second at most
    uint64_t too_large          # values skipped because of their size
    uint64_t discarded_memory   # values skipped for want of memory
    uint64_t desyncs            # links closed because a reply did not match its request
    uint64_t retries            # after timeouts, paid from the budget
    uint64_t retries_refused    # because the budget was used up
    uint64_t hedges             # asks of another copy while the first one had not answered
    uint64_t hedges_won         # that had the value first
    uint64_t hedges_refused     # because the budget was used up
    uint64_t refills_open       # now: waiting, under way, or to be looked at again
    uint64_t standins_refused   # asks of a stand-in that may hold an old value
    uint64_t failovers[OUTCOME_COUNT]  # by the outcome of the ask before
    uint64_t results[COMMAND_COUNT][OUTCOME_COUNT]  # of requests; of a multiget, of each key
    uint64_t variants[VARIANT_COUNT][OUTCOME_COUNT]  # of the meta requests among these
    Histogram durations[COMMAND_COUNT]  # of requests
