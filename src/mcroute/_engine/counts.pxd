"""Counters of a server and of an engine, and the first bytes of a reply that did not fit."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from mcroute._engine.histograms cimport Histogram
from mcroute._engine.vocabulary cimport OUTCOME_COUNT, VARIANT_COUNT
from mcroute._protocol cimport COMMAND_COUNT

cdef enum:
    DESYNC_MAX = 60             # bytes of what did not fit, for the log

# Counts are nothing but words of 64 bits, see counters.pxd and observing.pyx.
cdef struct ServerCounts:
    uint64_t requests           # sent
    uint64_t dropped            # of these, never answered: the connection went
    uint64_t failed             # as the trip rule counts
    uint64_t late               # replies that took longer than the reply timeout
    uint64_t retries_refused    # by the budget, after timeouts here
    uint64_t timeouts
    uint64_t missed_writes      # by this engine, see the word
    uint64_t desyncs
    uint64_t too_large          # values that were not kept because of that
    uint64_t unkept             # for want of memory
    uint64_t connects
    uint64_t connects_failed
    uint64_t disconnects
    uint64_t trips              # taken out of service by the trip rule
    uint64_t drops              # and because of a missed write
    uint64_t outcomes[OUTCOME_COUNT]  # of asks, sent or not

cdef struct Desync:             # the first one of a server that has not been told yet
    uint32_t count              # of them all; 0: there is none
    uint32_t depth              # requests that had no reply yet
    uint8_t command             # of the oldest of these; COMMAND_COUNT: there was none
    uint8_t size
    uint8_t text[DESYNC_MAX]    # what came

cdef struct EngineCounts:
    uint64_t requests
    uint64_t replies
    uint64_t refused            # not the protocol's
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
    uint64_t spared             # and by the trip rule, had the server not been kept
    uint64_t notices            # servers that the driver is to look at, each once a second at most
    uint64_t too_large          # values that were read past
    uint64_t unkept             # the same, for want of memory
    uint64_t desyncs            # links closed because what came did not fit what was asked
    uint64_t retries            # after timeouts, out of the budget
    uint64_t retries_refused    # nothing was left of it
    uint64_t failovers[OUTCOME_COUNT]  # by what the ask before came to
    uint64_t results[COMMAND_COUNT][OUTCOME_COUNT]  # of requests; of a multiget's keys each
    uint64_t variants[VARIANT_COUNT][OUTCOME_COUNT]  # of these, those
    Histogram durations[COMMAND_COUNT]  # of requests
