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


# ---- by name


@given(data=BYTES, seed=SEEDS)
@example(data=b"", seed=0)
def test_named_hashes_equal_their_reference_implementations(data: bytes, seed: int) -> None:
    low, high = mmh3.hash64(data, seed, x64arch=True, signed=False)
    expected = {
        "murmur3_32": mmh3.hash(data, seed, signed=False),
        "murmur3_32_signed": mmh3.hash(data, seed) % 2**64,
        "murmur3_x64_low": low,
        "murmur3_x64_high": high,
        "murmur3_of_size": mmh3.hash(data, len(data) * 0xDEADBEEF % 2**32, signed=False),
        "md5_32": int.from_bytes(hashlib.md5(data, usedforsecurity=False).digest()[:4], "little"),
        "md5_64": int.from_bytes(hashlib.md5(data, usedforsecurity=False).digest()[:8], "little"),
        "sha384_32": int.from_bytes(hashlib.sha384(data).digest()[:4], "little"),
        "crc32": zlib.crc32(data),
        "crc32_low31": zlib.crc32(data) & 0x7FFFFFFF,
        "crc32_mid15": zlib.crc32(data) >> 16 & 0x7FFF,
        "fnv1_32": _hashing.fnv1_32(data),
        "fnv1a_32": _hashing.fnv1a_32(data),
        "fnv1a_64_signed_low": _hashing.fnv1a_64_signed(data) % 2**32,
    }
    assert {name: _hashing.hash_key(name, data, seed) for name in expected} == expected


# Padding changes shape at 111 and 112 bytes behind a whole block.
@pytest.mark.parametrize("size", [*range(105, 135), 239, 240, 241, 1000])
def test_sha384_equals_hashlib(size: int) -> None:
    data = bytes(i * 11 % 256 for i in range(size))
    digest = hashlib.sha384(data).digest()
    assert _hashing.hash_key("sha384_32", data) == int.from_bytes(digest[:4], "little")


def sample(size: int) -> bytes:
    return bytes((i * 37 + 200) % 256 for i in range(size))


# Of every class of lengths. Made with this module, when it agreed with the authors' own sources.
@pytest.mark.parametrize(
    ("name", "seed", "data", "value"),
    [
        ("xxh3", 0, sample(0), 0x2D06800538D394C2),
        ("xxh3", 0, sample(3), 0x3A937501841B90BB),
        ("xxh3", 0, sample(8), 0x5C7381B4ACADABC4),
        ("xxh3", 0, sample(16), 0x585652C97FACBD94),
        ("xxh3", 0, sample(128), 0xEF41A709085F6D43),
        ("xxh3", 0, sample(240), 0xBAE2279E182B39E3),
        ("xxh3", 0, sample(1100), 0xA3C5DDC71325EDE8),
        ("xxh3", 18446744073709551615, sample(0), 0x4C093276AE47A555),
        ("xxh3", 18446744073709551615, sample(3), 0xEC691FD35333906F),
        ("xxh3", 18446744073709551615, sample(8), 0x3D43B768947E46D7),
        ("xxh3", 18446744073709551615, sample(16), 0xBEB7A7F2ED5A2585),
        ("xxh3", 18446744073709551615, sample(128), 0x6037D841D6C60239),
        ("xxh3", 18446744073709551615, sample(240), 0x8BFE8160E86BCF28),
        ("xxh3", 18446744073709551615, sample(1100), 0xB5C0FE8A0372FCB4),
        ("spooky32", 0, sample(0), 0x6BF50919),
        ("spooky32", 0, sample(7), 0xD4DD2CC2),
        ("spooky32", 0, sample(15), 0x3F97E71F),
        ("spooky32", 0, sample(31), 0x477A6ED5),
        ("spooky32", 0, sample(191), 0xDDFF2F8F),
        ("spooky32", 0, sample(192), 0x6BEA293D),
        ("spooky32", 0, sample(250), 0xA011E234),
        ("spooky32", 4207812628, sample(0), 0x6F2B12A5),
        ("spooky32", 4207812628, sample(7), 0x2D7151F8),
        ("spooky32", 4207812628, sample(15), 0x65E7A31),
        ("spooky32", 4207812628, sample(31), 0xE3EE9F30),
        ("spooky32", 4207812628, sample(191), 0x5FC2751F),
        ("spooky32", 4207812628, sample(192), 0x849B29A4),
        ("spooky32", 4207812628, sample(250), 0x49FC4014),
        ("murmur64a", 4193360111, sample(0), 0x4D408DE62DEE109A),
        ("murmur64a", 4193360111, sample(1), 0xDD0A5B5AB2748466),
        ("murmur64a", 4193360111, sample(3), 0x646F80AAE024A530),
        ("murmur64a", 4193360111, sample(13), 0x9A1D3CA5B874153A),
        ("one_at_a_time", 0, sample(0), 0x0),
        ("one_at_a_time", 0, sample(1), 0x9C4B006F),
        ("one_at_a_time", 0, sample(3), 0x6AF5A5E9),
        ("one_at_a_time", 0, sample(13), 0x8C18D88B),
        ("lookup3", 0, sample(0), 0xDEADBEFC),
        ("lookup3", 0, sample(1), 0x69FC5E83),
        ("lookup3", 0, sample(3), 0x1A3E10A4),
        ("lookup3", 0, sample(13), 0xA923D782),
        ("hsieh", 0, sample(0), 0x0),
        ("hsieh", 0, sample(1), 0xE3867D80),
        ("hsieh", 0, sample(3), 0x1C9AB18C),
        ("hsieh", 0, sample(13), 0xB6D70091),
        ("murmur2_of_size", 0, sample(0), 0x0),
        ("murmur2_of_size", 0, sample(1), 0xE09A0E2B),
        ("murmur2_of_size", 0, sample(3), 0xC4718E6E),
        ("murmur2_of_size", 0, sample(13), 0xE6309F90),
        ("crc16_uncut", 0, sample(0), 0x0),
        ("crc16_uncut", 0, sample(1), 0x5844),
        ("crc16_uncut", 0, sample(3), 0x58B3DBCB),
        ("crc16_uncut", 0, sample(13), 0xB723E30D),
        ("fnv1_64_signed_low", 0, sample(0), 0x84222325),
        ("fnv1_64_signed_low", 0, sample(1), 0x79FE4817),
        ("fnv1_64_signed_low", 0, sample(3), 0x6C2C257A),
        ("fnv1_64_signed_low", 0, sample(13), 0x8BF9372F),
    ],
)
def test_hashes_without_a_reference_in_python(name: str, seed: int, data: bytes, value: int) -> None:
    assert _hashing.hash_key(name, data, seed) == value


def test_java_hashes_go_over_utf_16() -> None:
    text = "aé日😀"
    units = [int.from_bytes(text.encode("utf-16-be")[i : i + 2], "big") for i in range(0, 10, 2)]
    native, fnv = 0, 0x811C9DC5
    for unit in units:
        native = (31 * native + unit) % 2**32
        fnv = (fnv ^ unit) * 0x01000193 % 2**32
    assert _hashing.hash_key("utf16_native", text.encode()) == native
    assert _hashing.hash_key("utf16_fnv1a_32", text.encode()) == fnv
    # Bytes that are not UTF-8 are hashed as they are.
    odd = b"\xff\xc3\xe6\x97\xf0\x9f\x98\xc0\x80\xed\xa0\x80"
    as_latin = odd.decode("latin-1").encode()
    assert _hashing.hash_key("utf16_native", odd) == _hashing.hash_key("utf16_native", as_latin)


def test_emcaches_hash_has_few_results() -> None:
    assert len({_hashing.hash_key("emcache", b"%d" % i) for i in range(20_000)}) <= 640


def test_unknown_hashes_are_refused() -> None:
    with pytest.raises(ValueError, match="hash: 'sha1' is none of one_at_a_time"):
        _hashing.hash_key("sha1", b"k")
    with pytest.raises(OverflowError):
        _hashing.hash_key("xxh3", b"k", -1)
    with pytest.raises(TypeError):
        _hashing.hash_key("xxh3", "text")
