"""Every hash that places keys, by name."""

from _typeshed import ReadableBuffer

HASHES: tuple[str, ...]

def hash_key(name: str, data: ReadableBuffer, seed: int = 0) -> int: ...
