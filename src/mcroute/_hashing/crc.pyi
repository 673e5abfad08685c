"""Cyclic redundancy checks."""

from _typeshed import ReadableBuffer

def crc32(data: ReadableBuffer) -> int: ...
