"""Cyclic redundancy checks that place keys."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t

from mcroute._hashing.buffers cimport hash32_of
from mcroute._hashing.words cimport load32

# CRC_TABLE[k][b]: the remainder of byte b followed by k zero bytes.
cdef uint32_t[8][256] CRC_TABLE
# Of CRC-16/XMODEM, polynomial 0x1021.
cdef uint32_t[256] CRC16_TABLE


cdef void fill_crc_table() noexcept nogil:
    cdef uint32_t value
    cdef int byte, k, _bit
    for byte in range(256):
        value = byte
        for _bit in range(8):
            value = (value >> 1) ^ (0xEDB88320U & (0U - (value & 1)))
        CRC_TABLE[0][byte] = value
    for byte in range(256):
        for k in range(1, 8):
            value = CRC_TABLE[k - 1][byte]
            CRC_TABLE[k][byte] = (value >> 8) ^ CRC_TABLE[0][value & 0xFF]


cdef void fill_crc16_table() noexcept nogil:
    cdef uint32_t value
    cdef int byte, _bit
    for byte in range(256):
        value = <uint32_t>byte << 8
        for _bit in range(8):
            value = (value << 1) ^ (0x1021 if value & 0x8000 else 0)
        CRC16_TABLE[byte] = value & 0xFFFF


fill_crc_table()
fill_crc16_table()


# CRC-32 of ISO 3309 (zlib's), eight bytes a step: "slicing by 8", Kounavis and Berry, 2005.
cdef uint32_t hash_crc32(const uint8_t* data, size_t size) noexcept nogil:
    cdef const uint8_t* at = data
    cdef uint32_t value = 0xFFFFFFFFU
    cdef uint32_t next_word
    while size >= 8:
        value ^= load32(at)
        next_word = load32(at + 4)
        value = (
            CRC_TABLE[7][value & 0xFF]
            ^ CRC_TABLE[6][(value >> 8) & 0xFF]
            ^ CRC_TABLE[5][(value >> 16) & 0xFF]
            ^ CRC_TABLE[4][value >> 24]
            ^ CRC_TABLE[3][next_word & 0xFF]
            ^ CRC_TABLE[2][(next_word >> 8) & 0xFF]
            ^ CRC_TABLE[1][(next_word >> 16) & 0xFF]
            ^ CRC_TABLE[0][next_word >> 24]
        )
        at += 8
        size -= 8
    while size:
        value = (value >> 8) ^ CRC_TABLE[0][(value ^ at[0]) & 0xFF]
        at += 1
        size -= 1
    return value ^ 0xFFFFFFFFU


# CRC-16/XMODEM as twemproxy computes it: in a register of 32 bits that is never cut, so that its upper half
# keeps what was shifted out of the lower one.
cdef uint32_t hash_crc16_uncut(const uint8_t* data, size_t size) noexcept nogil:
    cdef uint32_t value = 0
    cdef size_t i
    for i in range(size):
        value = (value << 8) ^ CRC16_TABLE[((value >> 8) ^ data[i]) & 0xFF]
    return value


def crc32(data):
    """CRC-32 (ISO 3309, zlib's) of bytes-like `data`, whole 32 bits.

    Raises TypeError when data is not bytes-like.
    """
    return hash32_of(data, hash_crc32)
