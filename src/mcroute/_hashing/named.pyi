"""Every hash that places keys, by name."""

from _typeshed import ReadableBuffer

HASHES: tuple[str, ...]

def hash_key(name: str, data: ReadableBuffer, seed: int = 0) -> int:
    """The hash called `name`, one of HASHES, of bytes-like `data`: 32 or 64 bits, by the hash.

    Raises ValueError for another name, TypeError when data is not bytes-like, OverflowError when seed is not in
    0 to 2**64 - 1. Hashes without a seed ignore it; those with one of 32 bits take its low half.
    """
