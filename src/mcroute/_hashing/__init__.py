"""Key hashes: pure functions over bytes; results are unsigned, and the same on every platform.

In C, `from mcroute._hashing cimport hash_murmur3_32` and the other names of `__init__.pxd`.
"""

from .crc import crc32
from .fnv import fnv1_32, fnv1_64, fnv1a_32, fnv1a_64, fnv1a_64_signed
from .md5 import md5, md5_ketama
from .murmur import murmur3_32, murmur3_x64_128
from .named import HASHES, hash_key

__all__ = (
    "HASHES",
    "crc32",
    "fnv1_32",
    "fnv1_64",
    "fnv1a_32",
    "fnv1a_64",
    "fnv1a_64_signed",
    "hash_key",
    "md5",
    "md5_ketama",
    "murmur3_32",
    "murmur3_x64_128",
)
