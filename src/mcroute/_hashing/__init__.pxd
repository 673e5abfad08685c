"""Key hashes in C, by one name: functions called hash_*, over unsigned types only."""

from mcroute._hashing.crc cimport hash_crc16_uncut, hash_crc32
from mcroute._hashing.fnv cimport (
    hash_fnv1_32, hash_fnv1_32_signed, hash_fnv1_64, hash_fnv1_64_signed, hash_fnv1a_32, hash_fnv1a_32_signed,
    hash_fnv1a_64, hash_fnv1a_64_signed,
)
from mcroute._hashing.jenkins cimport hash_hsieh, hash_lookup3, hash_one_at_a_time
from mcroute._hashing.md5 cimport hash_md5, hash_md5_ketama
from mcroute._hashing.murmur cimport (
    hash_murmur2, hash_murmur3_32, hash_murmur3_x64_128, hash_murmur64a,
)
from mcroute._hashing.named cimport KeyHash, key_hash_find
from mcroute._hashing.sha384 cimport hash_sha384
from mcroute._hashing.spooky cimport hash_spooky32
from mcroute._hashing.utf16 cimport (
    hash_utf16_fnv1_32, hash_utf16_fnv1_64, hash_utf16_fnv1a_32, hash_utf16_fnv1a_64, hash_utf16_native,
)
from mcroute._hashing.xxh3 cimport hash_xxh3
