"""Hedges of multigets: keys of a part that waits are asked of their next copies too, in parts as any.

A hedge has KeyStates of its own, *twins*, since its keys stand in two parts at the same time. A twin has the index of
its key in `item_offset`, and never an item: the first item of either part is kept at the key. Twins follow the keys and
the Rounds of a request. The hedged part is settled when all of its keys have items, or when it and its hedges have
ended: only then do keys without an item go on as after an ordinary part. It is freed with the last of its hedges.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

from mcroute._engine.blocks cimport Slice
from mcroute._engine.state cimport Server, Walk

# Hedges a part that waits on this server, if the budget allows, or if it `is_free`.
cdef void part_hedge(Walk* part, Server* server, bint is_free) noexcept nogil
# As multiget_item and multiget_part_ended, for a hedged part, or a hedge: for these, Walk.good is not 0.
cdef bint hedged_item(Walk* walk, const uint8_t* key, size_t size, Slice item) noexcept nogil
cdef void hedged_part_ended(Walk* walk, int outcome, Slice reply) noexcept nogil
