"""Rings of odd servers and odd options, asked for odd keys: refused, or as good as any other."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import probe
from choices import Choices, require

from mcroute import Ring
from mcroute.errors import PlacementWarning
from mcroute.placement import DISTRIBUTIONS, SYSTEMS, Option

ASKED_MAX = 20  # candidates of a key
WHOLE_MAX = 64  # servers of which all candidates are asked for

HOSTS = [
    *("10.0.0.1", "10.0.0.2", "127.0.0.1", "localhost", "a", "", " ", "0.0.0.0", "1.2.3", "é", "\ud800"),
    *("a\0b", "/tmp/x.sock", "[::1]", "::1", "fe80::1%eth0", "h" * 300, "a:b", "{a}", "-1"),
]
PORTS = [11211, 0, 1, 65535, -1, 2**31, 2**64, "11211", "x", None, 1.5]
WEIGHTS = [
    *(1, 1, 1, 2, 3, 50, 100, 0, 0.5, 1e-9, 1e308, -1, float("inf"), float("nan"), 2**31, 2**64, "x", None),
]
# Rings that fit in memory are built: no size lies between thousands of points and too many.
NUMBERS = [0, 1, 2, 3, 4, 5, 7, 8, 40, 160, 200, -1, -4, 2**31 - 1, 2**31, 2**32, 2**63, 2**64, 10**30]
SERVERS = [1, 2, 3, 4, 5, 6, 8, 9, 25, 64, 65]
COUNTS = [1, 2, 3, 64, 65, 1025, 65536, 65537, 2**24, 2**24 + 1, 2**31, 2**64, 0, -1]
TEXTS = ["", "a", "{}", "{", "|#|", ":", "::", "\0", "é", "\ud800", "ab" * 200, b"", b"\xff\xfe"]
WORDS = [
    *("HASH", "DISTRIBUTION", "KETAMA", "KETAMA_WEIGHTED", "SORT_HOSTS", "HASH_WITH_PREFIX_KEY"),
    *("AUTO_EJECT_HOSTS", "REMOVE_FAILED_SERVERS", "hash", "distribution", "ketama", "ketama_weighted"),
    *("ketama_hash", "auto_eject", "_hash_with_prefix_key", "_sort_hosts", "OPT_HASH", "OPT_DISTRIBUTION"),
    *("OPT_LIBKETAMA_COMPATIBLE", "OPT_SORT_HOSTS", "OPT_PREFIX_KEY", "md5", "crc", "murmur", "fnv1a_32"),
    *("modula", "consistent", "consistent_weighted", "consistent_ketama_spy", "spy", "random"),
    *("Latest", "1.2.4"),
]
# Values that chance would hardly ever give.
HINTS = {
    "hash_func": ["Ch3", "WeightedCh3", "Crc32", "ConstShard", "Rendezvous", "WeightedRendezvous"],
    "tags": [["a", "b", "c"], ["a", "b"], ["a"], "abc", [1, 2, 3]],
    "weights": [[1, 0.5, 0], [0.3, 0.7], [1], [1, -1, -1], [float("nan")] * 3, [-1, -1]],
    "hash_fn": ["ketama"],
}
KEYS = [
    *(b"", b"k", b"user:1:profile", b"a{b}c", b"a{}c", b"}{", b"{", b"/r/c/key|#|rest", b"//|#|", b"a:1:b"),
    *(b"a:99999999999999999999:b", b"::", b"?key", b"\xff\xc3\x28\xed\xa0\x80", "\U0001f600é".encode()),
    *(b"k" * 250, b"\t\n'\"\\\x7f", b"0" * 1100, bytes(range(256))),
]


class Rings:
    """One ring and its keys, out of a fuzzer's bytes."""

    def __init__(self, choices: Choices) -> None:
        self._choices = choices

    def _one(self, several: Any) -> Any:
        return several[self._choices.below(len(several))]

    # ---- rings

    def ring(self) -> Ring:
        kind = self._choices.below(len(DISTRIBUTIONS) + len(SYSTEMS))
        if kind < len(DISTRIBUTIONS):
            return self._own(DISTRIBUTIONS[kind])
        return self._inherited(list(SYSTEMS)[kind - len(DISTRIBUTIONS)])

    def _own(self, distribution: str) -> Ring:
        count = self._one(SERVERS)
        names = [f"s{i}" if count > 8 else f"{self._one(HOSTS)}{self._one(('', i))}" for i in range(count)]
        weights = [self._one(WEIGHTS) for _ in range(count)] if self._choices.happens() else None
        return Ring(names, distribution, weights)

    def _inherited(self, system: str) -> Ring:
        options = {
            option.name: self._value(option)
            for option in SYSTEMS[system].options
            if self._choices.below(3) == 2
        }
        if system == "elasticache-java":
            options.setdefault("version", "1.2.4")
        out, keys = self._one(("skip", "theirs")), self._one(("client", "wire"))
        return Ring.like(system, self._servers(), out=out, keys=keys, **options)

    def _servers(self) -> Any:
        if self._choices.below(4) == 3:
            return self._one(COUNTS)
        count = self._one(SERVERS)
        if count > 8:
            return [f"10.0.{i >> 8}.{i & 255}:11211" for i in range(count)]
        return [self._server(i) for i in range(count)]

    def _server(self, number: int) -> Any:
        kind = self._choices.below(4)
        if kind == 0:
            return f"10.0.0.{number}:11211"
        if kind == 1:
            return f"{self._one(HOSTS)}:{self._one(PORTS)}:{self._one(WEIGHTS)}"
        name = self._one(("", "same", f"n{number}", None))
        return (self._one(HOSTS), self._one(PORTS), self._one(WEIGHTS), name)[: 1 + self._choices.below(4)]

    # ---- options

    def _value(self, option: Option) -> Any:
        if option.name in HINTS and self._choices.below(4):
            return self._one(HINTS[option.name])
        if option.choices:
            return self._one((*option.choices, "no such"))
        kind: Any = type(option.default)
        if option.default is None:
            kind = self._one((int, str, list, bool, float))
        return self._of_kind(kind)

    def _of_kind(self, kind: type) -> Any:
        if kind is bool:
            return self._choices.happens()
        if kind is int:
            return self._one(NUMBERS)
        if kind is str:
            return self._one((*TEXTS, *WORDS))
        if kind is float:
            return self._one(WEIGHTS)
        count = self._choices.below(4)
        if kind is list:
            element = self._one((float, float, str))
            return [self._of_kind(element) for _ in range(count)]
        pairs = [(self._one((*WORDS, *HOSTS)), self._one((*WORDS, True, False, 0, 1))) for _ in range(count)]
        return dict(pairs) if kind is dict else pairs

    # ---- keys

    def key(self) -> bytes:
        return self._choices.raw() if self._choices.happens() else self._one(KEYS)

    def skip(self, size: int) -> set[int]:
        return {self._choices.below(min(size, 256)) for _ in range(self._choices.below(5))}


def _check(ring: Ring, key: bytes, skip: set[int]) -> None:
    """Lookups agree with each other, and with those of callers in C."""
    size = len(ring)
    count = size if size <= WHOLE_MAX else ASKED_MAX
    owner, order = ring.owner(key), ring.owners(key, count)
    require(order[:1] == [owner], "the owner is the first candidate", (owner, order))
    require(all(0 <= server < size for server in order), "servers are of the ring", order)
    require(len(set(order)) == len(order) <= count, "candidates are distinct", order)
    require(probe.look_up(ring, key, None, count) == (owner, order), "callers in C are told the same", key)
    require(ring.route_many([key]).tolist() == [owner], "many keys are as one", key)

    others = ring.owners(key, count, skip)
    require(not skip & set(others), "who is skipped is no candidate", (skip, others))
    if ring.inherited is None or not ring.inherited.recomputes:
        left = [server for server in order if server not in skip]
        kept = others if size <= WHOLE_MAX else others[: len(left)]
        require(kept == left, "skipping only takes servers away", (order, skip, others))
        found = probe.look_up(ring, key, skip, count)
        require(found == ((others or [-1])[0], others), "callers in C are told the same", (key, skip))


def play(data: bytes) -> int:
    """How many keys were asked for: none of a ring that is refused. Raises Broken."""
    rings = Rings(choices := Choices(data))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PlacementWarning)
        try:
            ring = rings.ring()
        except (ValueError, TypeError):
            return 0
        again = pickle.loads(pickle.dumps(ring))
    count = 0
    while count == 0 or (choices.are_left and count < 20):
        key = rings.key()
        _check(ring, key, rings.skip(len(ring)))
        require(again.owner(key) == ring.owner(key), "a pickled ring is the same", key)
        count += 1
    return count
