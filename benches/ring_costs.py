"""The costs of each ring, next to the default one: lookup, build, memory.

    PYTHONPATH=src python benches/ring_costs.py

`owner` is the time of a call of Ring.owner. `hash` is the time to find and hash the hashed part of the key:
a call on a table of one slot, minus the overhead of a call. The overhead is the difference, for the default
ring, between a call and a lookup without the interpreter. `rest` is `owner` minus `hash`, and `ratio`
compares it with the default ring's. All rings take turns in short rounds, and the fastest round of each
counts, so that disturbances affect all rings alike.
"""

from __future__ import annotations

import collections
import dataclasses
import sys
import time
import warnings
from collections.abc import Callable, Mapping

from mcroute import Ring
from mcroute.errors import PlacementWarning
from mcroute.placement import Inherited, Placement

SERVERS = 10
ROUNDS = 200
KEYS = [b"user:%016d:profile" % i for i in range(2000)]


def addresses(servers: int) -> list[str]:
    return [f"10.0.{i // 250}.{i % 250}:11211" for i in range(servers)]


def rings(servers: int) -> dict[str, Ring]:
    there = addresses(servers)
    ketama = {"locator": "ketama", "hash": "KETAMA_HASH"}
    made: Mapping[str, Callable[[], Ring]] = {
        "murmur3 (default)": lambda: Ring(there),
        "ketama": lambda: Ring(there, "ketama"),
        "twemproxy": lambda: Ring.like("twemproxy", there),
        "twemproxy, md5": lambda: Ring.like("twemproxy", there, hash="md5"),
        "twemproxy, hash tag": lambda: Ring.like("twemproxy", there, hash_tag="{}"),
        "pylibmc, ketama": lambda: Ring.like("pylibmc", there, behaviors={"ketama": True}),
        "libmc": lambda: Ring.like("libmc", there),
        "uhashring": lambda: Ring.like("uhashring", there),
        "uhashring, ketama": lambda: Ring.like("uhashring", there, hash_fn="ketama"),
        "memcached-proxy, ring": lambda: Ring.like("memcached-proxy", there, dist="ring", omode="ketama"),
        "pecl-memcache": lambda: Ring.like("pecl-memcache", there),
        "spymemcached": lambda: Ring.like("spymemcached", there, **ketama),
        "elasticache-java": lambda: Ring.like("elasticache-java", there, version="1.2.4", **ketama),
        "evcache": lambda: Ring.like("evcache", there),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PlacementWarning)
        return {name: make() for name, make in made.items()}


def only_hash(placement: Placement) -> Ring:
    """A table of one slot behind the same hash and the same rule for keys."""
    hash = "md5_64" if placement.point_hash == "md5_128" else placement.hash
    bare = dataclasses.replace(placement, size=1, find="modulo", laid=[], hash=hash, walk="")
    inherited = Inherited("twemproxy", Ring.like("twemproxy", ["a:1"]).inherited.servers, {})
    object.__setattr__(inherited, "placement", bare)
    return Ring(inherited)


def fastest(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Seconds of the fastest call of each; the calls take turns."""
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def ask_each(ring: Ring) -> None:
    collections.deque(map(ring.owner, KEYS), maxlen=0)


def lookups() -> None:
    found = rings(SERVERS)
    calls: dict[str, Callable[[], object]] = {}
    for name, ring in found.items():
        bare = only_hash(ring.placement)
        calls[name] = lambda ring=ring: ask_each(ring)
        calls[f"hash of {name}"] = lambda bare=bare: ask_each(bare)
    first = next(iter(found))
    slot = only_hash(found[first].placement)
    calls["in C"] = lambda: slot.route_many(KEYS)
    best = {name: seconds / len(KEYS) * 1e9 for name, seconds in fastest(calls, ROUNDS).items()}
    frame = best[f"hash of {first}"] - best["in C"]
    unit = best[first] - best["in C"]
    print(f"{SERVERS} servers, ns a key       owner   hash    rest  ratio  bytes a point")
    for name, ring in found.items():
        hashed = best[f"hash of {name}"] - frame
        rest = best[name] - hashed
        points = sum(groups for _, _, groups in ring.placement.laid) * ring.placement.words
        memory = sys.getsizeof(ring) / points
        print(f"{name:24} {best[name]:9.1f} {hashed:6.1f} {rest:7.1f} {rest / unit:6.2f} {memory:14.1f}")


def builds() -> None:
    print("\n1000 servers          build, ms")
    there = addresses(1000)
    calls: dict[str, Callable[[], object]] = {
        "murmur3 (default)": lambda: Ring(there),
        "ketama": lambda: Ring(there, "ketama"),
        "twemproxy": lambda: Ring.like("twemproxy", there),
        "libmc": lambda: Ring.like("libmc", there),
        "uhashring": lambda: Ring.like("uhashring", there),
        "pymemcache": lambda: Ring.like("pymemcache", there),
        "mcrouter": lambda: Ring.like("mcrouter", there),
    }
    for name, seconds in fastest(calls, 8).items():
        print(f"{name:20} {1000 * seconds:10.1f}")


if __name__ == "__main__":
    lookups()
    builds()
