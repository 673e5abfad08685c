"""Cyclic redundancy checks."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t

cdef uint32_t hash_crc32(const uint8_t* data, size_t size) noexcept nogil
# CRC-16/XMODEM in a register of 32 bits that is never cut.
cdef uint32_t hash_crc16_uncut(const uint8_t* data, size_t size) noexcept nogil
