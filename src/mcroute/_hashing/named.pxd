"""Every hash that places keys, by name."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t

# A hash without a seed ignores it. Results of fewer bits have zeros above.
ctypedef uint64_t (*KeyHash)(const uint8_t* data, size_t size, uint64_t seed) noexcept nogil

# Raises ValueError for a name that is not in HASHES.
cdef KeyHash key_hash_find(str name) except NULL
