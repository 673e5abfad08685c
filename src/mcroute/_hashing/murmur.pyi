"""MurmurHash 3."""

from _typeshed import ReadableBuffer

def murmur3_32(data: ReadableBuffer, seed: int = 0) -> int:
    """MurmurHash3 x86 32 of bytes-like `data`, 0 to 2**32 - 1.

    Raises TypeError when data is not bytes-like, OverflowError when seed is not in 0 to 2**32 - 1.
    """

def murmur3_x64_128(data: ReadableBuffer, seed: int = 0) -> tuple[int, int]:
    """MurmurHash3 x64 128 of bytes-like `data`: the pair (low, high) of 64-bit halves.

    Raises TypeError when data is not bytes-like, OverflowError when seed is not in 0 to 2**32 - 1.
    """
