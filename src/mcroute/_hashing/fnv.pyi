"""The hash of Fowler, Noll and Vo."""

from _typeshed import ReadableBuffer

def fnv1_32(data: ReadableBuffer) -> int:
    """32-bit FNV-1 of bytes-like `data`.

    Raises TypeError when data is not bytes-like.
    """

def fnv1a_32(data: ReadableBuffer) -> int:
    """32-bit FNV-1a of bytes-like `data`.

    Raises TypeError when data is not bytes-like.
    """

def fnv1_64(data: ReadableBuffer) -> int:
    """64-bit FNV-1 of bytes-like `data`.

    Raises TypeError when data is not bytes-like.
    """

def fnv1a_64(data: ReadableBuffer) -> int:
    """64-bit FNV-1a of bytes-like `data`.

    Raises TypeError when data is not bytes-like.
    """

def fnv1a_64_signed(data: ReadableBuffer) -> int:
    """64-bit FNV-1a with bytes from 0x80 up sign-extended, as twemproxy hashes on x86.

    Raises TypeError when data is not bytes-like.
    """
