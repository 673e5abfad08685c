"""Cyclic redundancy checks."""

from _typeshed import ReadableBuffer

def crc32(data: ReadableBuffer) -> int:
    """CRC-32 (ISO 3309, zlib's) of bytes-like `data`, whole 32 bits.

    Raises TypeError when data is not bytes-like.
    """
