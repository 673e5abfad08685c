"""The hashes equal their reference implementations and published figures."""

import hashlib
import zlib

import mmh3
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mcroute import _hashing

BYTES = st.binary(max_size=300)
SEEDS = st.integers(0, 2**32 - 1)

OF_DATA = [
    _hashing.murmur3_32,
    _hashing.murmur3_x64_128,
    _hashing.fnv1_32,
    _hashing.fnv1a_32,
    _hashing.fnv1_64,
    _hashing.fnv1a_64,
    _hashing.fnv1a_64_signed,
    _hashing.crc32,
    _hashing.md5,
    _hashing.md5_ketama,
]
by_name = pytest.mark.parametrize("function", OF_DATA, ids=lambda f: f.__name__)


@given(data=BYTES, seed=SEEDS)
@example(data=b"", seed=0)
@example(data=b"\xff" * 251, seed=2**32 - 1)
def test_murmur3_equals_mmh3(data: bytes, seed: int) -> None:
    assert _hashing.murmur3_32(data, seed) == mmh3.hash(data, seed, signed=False)
    assert _hashing.murmur3_x64_128(data, seed) == mmh3.hash64(data, seed, x64arch=True, signed=False)


@given(data=BYTES)
@example(data=b"")
def test_crc32_equals_zlib(data: bytes) -> None:
    assert _hashing.crc32(data) == zlib.crc32(data)


# The padding of md5 changes shape at 55 and 56 bytes behind a whole block.
@pytest.mark.parametrize("size", [*range(130), 183, 184, 1000])
def test_md5_equals_hashlib(size: int) -> None:
    data = bytes(i * 7 % 256 for i in range(size))
    digest = hashlib.md5(data, usedforsecurity=False).digest()
    assert _hashing.md5(data) == digest
    assert _hashing.md5_ketama(data) == int.from_bytes(digest[:4], "little")


# Landon Curt Noll's test vectors (isthe.com/chongo/tech/comp/fnv).
@pytest.mark.parametrize(
    ("data", "fnv1_32", "fnv1a_32", "fnv1_64", "fnv1a_64"),
    [
        (b"", 0x811C9DC5, 0x811C9DC5, 0xCBF29CE484222325, 0xCBF29CE484222325),
        (b"a", 0x050C5D7E, 0xE40C292C, 0xAF63BD4C8601B7BE, 0xAF63DC4C8601EC8C),
        (b"foobar", 0x31F0B262, 0xBF9CF968, 0x340D8765A4DDA9C2, 0x85944171F73967E8),
    ],
)
def test_fnv_equals_published_vectors(
    data: bytes, fnv1_32: int, fnv1a_32: int, fnv1_64: int, fnv1a_64: int
) -> None:
    assert _hashing.fnv1_32(data) == fnv1_32
    assert _hashing.fnv1a_32(data) == fnv1a_32
    assert _hashing.fnv1_64(data) == fnv1_64
    assert _hashing.fnv1a_64(data) == fnv1a_64


@given(data=BYTES)
def test_signed_fnv_extends_the_sign_of_each_byte(data: bytes) -> None:
    value = 0xCBF29CE484222325
    for byte in data:
        extended = byte if byte < 0x80 else byte + 2**64 - 0x100
        value = (value ^ extended) * 0x100000001B3 % 2**64
    assert _hashing.fnv1a_64_signed(data) == value
    if data.isascii():
        assert value == _hashing.fnv1a_64(data)


@by_name
@given(data=BYTES, shift=st.integers(0, 7))
def test_alignment_and_kind_of_buffer_do_not_matter(function, data: bytes, shift: int) -> None:
    shifted = memoryview(bytes(shift) + data)[shift:]
    assert function(shifted) == function(bytearray(data)) == function(data)


@by_name
@pytest.mark.parametrize("wrong", ["text", None, 1, [1]])
def test_only_bytes_like_is_taken(function, wrong: object) -> None:
    with pytest.raises(TypeError):
        function(wrong)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(OverflowError):
        _hashing.murmur3_32(b"k", seed)
