"""mcroute in C: what an extension module of somebody else may cimport. How: docs/embedding.md.

    from mcroute cimport Ring, ring_owner, ring_table, request_parse

Free functions over opaque handles and plain structs; all but those that take a Python object run without the
GIL. MCROUTE_RING_API and MCROUTE_PROTOCOL_API are raised when a declaration changes: compile again then.
"""

from mcroute._hashing cimport (
    hash_crc32, hash_fnv1_32, hash_fnv1_64, hash_fnv1a_32, hash_fnv1a_64, hash_fnv1a_64_signed, hash_md5,
    hash_md5_ketama, hash_murmur3_32, hash_murmur3_x64_128,
)
from mcroute._protocol cimport *
from mcroute._ring cimport MCROUTE_RING_API, Ring, RingTable, ring_owner, ring_owners, ring_size, ring_table
