"""The ring in C: what another Cython module may cimport, by one name."""

from mcroute._ring.ring cimport (
    MCROUTE_RING_API, Ring, ring_owner, ring_owner_each, ring_owners, ring_size, ring_table,
)
from mcroute._ring.table cimport RingTable
from mcroute._ring.throws cimport furc_hash, jump_hash
