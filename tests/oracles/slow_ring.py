"""A ring as one would explain it on paper: lists, whole sorts, no tables. The measure of `mcroute._ring`."""

import hashlib
import math
import struct
from collections.abc import Iterator

import mmh3

WORD = 2**64


def failover_order(servers: list[str], distribution: str, weights: list[int], key: bytes) -> list[int]:
    """Indices of the servers that may own `key`, the owner first."""
    if distribution == "rendezvous":
        return rendezvous_order(servers, key)
    if distribution == "jump":
        return distinct(jump_throws(key, len(servers)))
    ranked = sorted(range(len(servers)), key=lambda i: (len(servers[i].encode()), servers[i].encode()))
    if distribution == "modula":
        slots = [i for i in ranked for _ in range(weights[i])]
        first = signed_fnv1a(key) % len(slots)
        return distinct(slots[first:] + slots[:first])
    points = sorted(
        (point, rank, i)
        for rank, i in enumerate(ranked)
        for point in server_points(servers[i], distribution, weights[i], sum(weights), len(servers))
    )
    at = signed_fnv1a(key) if distribution == "ketama" else mmh3.hash(key, signed=False)
    behind = [i for point, _, i in points if point >= at]
    return distinct(behind + [i for _, _, i in points])


def distinct(indices: object) -> list[int]:
    return list(dict.fromkeys(indices))


def server_points(name: str, distribution: str, weight: int, total: int, servers: int) -> Iterator[int]:
    groups = 40 * weight if distribution == "murmur3" else ketama_groups(weight, total, servers)
    for group in range(groups):
        text = f"{name}-{group}".encode()
        if distribution == "murmur3":
            low, high = mmh3.hash64(text, x64arch=True, signed=False)
            yield from (low % 2**32, low >> 32, high % 2**32, high >> 32)
        else:
            yield from struct.unpack("<4I", hashlib.md5(text, usedforsecurity=False).digest())


def ketama_groups(weight: int, total: int, servers: int) -> int:
    share = single(single(weight) / single(total))
    return math.floor(single(single(single(single(share * 160) / 4) * servers) + 1e-10))


def single(value: float) -> float:
    """`value` rounded to IEEE single precision."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


def signed_fnv1a(key: bytes) -> int:
    value = 0x84222325
    for byte in key:
        value = ((value ^ (byte if byte < 128 else byte - 256)) * 0x1B3) % 2**32
    return value


def mix64(value: int) -> int:
    value = (value ^ value >> 33) * 0xFF51AFD7ED558CCD % WORD
    value = (value ^ value >> 33) * 0xC4CEB9FE1A85EC53 % WORD
    return value ^ value >> 33


def key64(key: bytes) -> int:
    return mmh3.hash64(key, x64arch=True, signed=False)[0]


def jump_throws(key: bytes, servers: int) -> Iterator[int]:
    thrown = key64(key)
    for _ in range(32):
        last = jump(thrown, servers)
        yield last
        thrown = mix64((thrown + 0x9E3779B97F4A7C15) % WORD)
    yield from ((last + step) % servers for step in range(servers))


def jump(key: int, servers: int) -> int:
    bucket, following = -1, 0
    while following < servers:
        bucket = following
        key = (key * 2862933555777941757 + 1) % WORD
        following = int((bucket + 1) * (2**31 / ((key >> 33) + 1)))
    return bucket


def rendezvous_order(servers: list[str], key: bytes) -> list[int]:
    hashed = key64(key)
    scores = [mix64(hashed ^ key64(name.encode())) for name in servers]
    return sorted(range(len(servers)), key=lambda i: (-scores[i], i))
