"""The refills of an engine: keys that are copied from one server to another.

    wished, fed ──▶ reading ──▶ adding ──▶ looking ──▶ resting ──▶ looking again ──▶ done
                                   │          │                         │
                              lost reply   changed                   changed ──▶ deleting ──▶ done

See docs/decisions/0021-refill.md for the reason of each step.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from mcroute._engine.deadlines cimport Deadline, Deadlines

cdef enum:
    RECENT_SLOTS = 1024         # a power of two

cdef enum RefillStage:
    REFILL_WAITS = 0
    REFILL_READS                # the value at the source
    REFILL_ADDS                 # it at the target
    REFILL_MEASURES             # its lifetime at the target, if that was sent as a date
    REFILL_LOOKS                # whether the source has still the same item
    REFILL_RESTS
    REFILL_LOOKS_AGAIN
    REFILL_DELETES              # the copy at the target

cdef struct Refill:
    Deadline deadline           # when it begins, or looks again
    Refill* next                # among those that read
    void* plan                  # PlanTable: keeps the ids of both servers
    int source                  # ids of servers
    int target
    uint64_t source_mark        # see refill_mark
    uint64_t target_mark
    uint64_t source_cas
    uint64_t target_cas         # of the copy; 0: unknown, it is deleted whatever it is
    double read_at              # when the source was asked for the value
    double lifetime             # seconds of the copy; infinity: for ever
    double ends_at              # when the copy ends at the latest
    uint32_t claim              # slot of its key, plus 1; 0: none
    uint8_t stage               # RefillStage
    uint8_t is_spoiled          # the key was written since the source was asked
    uint8_t is_base64
    uint8_t is_dated            # its lifetime was sent as a date
    uint8_t size
    uint8_t[1] key              # `size` bytes

cdef struct Refills:
    Deadlines wished            # by reads, in the order in which they begin
    Deadlines fed               # by the driver
    Deadlines resting
    Refill* reading
    uint32_t waiting_count      # wished or fed
    uint32_t active_count       # a request of it is at a server
    uint32_t resting_count
    double rate                 # keys a second that reads may wish; 0: none
    double hold_off             # seconds
    double tokens               # keys that reads may wish now
    double filled_at            # time of the last look at the tokens
    double wall_offset          # seconds since 1970, less the engine's time; 0: unknown
    bint is_ending
    uint32_t[RECENT_SLOTS] recent  # hashes of the keys that were wished last
    double[RECENT_SLOTS] recent_until
