"""md5, for placement."""

from _typeshed import ReadableBuffer

def md5(data: ReadableBuffer) -> bytes:
    """The 16-byte md5 digest of bytes-like `data`. For placement, not for security.

    Raises TypeError when data is not bytes-like.
    """

def md5_ketama(data: ReadableBuffer) -> int:
    """The first four md5 digest bytes of bytes-like `data` as a little-endian number.

    Raises TypeError when data is not bytes-like.
    """
