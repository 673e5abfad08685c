"""mcroute in C: what an extension module of somebody else may cimport. How: docs/embedding.md.

    from mcroute cimport Ring, ring_owner, ring_table, request_parse

Free functions over opaque handles and plain structs; all but those that take a Python object run without the
GIL. MCROUTE_RING_API and MCROUTE_PROTOCOL_API are raised when a declaration changes: compile again then.
"""

from mcroute._hashing cimport (
    KeyHash, hash_crc16_uncut, hash_crc32, hash_fnv1_32, hash_fnv1_32_signed, hash_fnv1_64, hash_fnv1_64_signed,
    hash_fnv1a_32, hash_fnv1a_32_signed, hash_fnv1a_64, hash_fnv1a_64_signed, hash_hsieh, hash_lookup3,
    hash_md5, hash_md5_ketama, hash_murmur2, hash_murmur3_32, hash_murmur3_x64_128, hash_murmur64a,
    hash_one_at_a_time, hash_sha384, hash_spooky32, hash_xxh3, key_hash_find,
)
from mcroute._protocol cimport *
from mcroute._ring cimport (
    MCROUTE_RING_API, Ring, RingTable, ring_owner, ring_owner_each, ring_owners, ring_size, ring_table,
)
