"""libmemcached's configuration: a sequence of calls, of which only the resulting state matters.

Replays memcached_behavior_set and memcached_server_add as in versions 1.0.16 and 1.1.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError

__all__ = ("HASHES", "Replayed", "php_behaviors", "pylibmc_behaviors", "replay")

# libhashkit's names of hashes, and ours.
HASHES = {
    "default": "one_at_a_time",
    "md5": "md5_32",
    "crc": "crc32_mid15",
    "fnv1_64": "fnv1_64_signed_low",
    "fnv1a_64": "fnv1a_64_signed_low",
    "fnv1_32": "fnv1_32_signed",
    "fnv1a_32": "fnv1a_32_signed",
    "murmur": "murmur2_of_size",
    "murmur3": "murmur3_of_size",
    "jenkins": "lookup3",
}
_NOT_BUILT = {"hsieh": "libmemcached is built without it; setting it fails"}

MODULA, CONSISTENT, KETAMA, WEIGHTED, SPY = "modula", "consistent", "ketama", "weighted", "spy"
_DISTRIBUTIONS = {
    "modula": MODULA,
    "consistent": CONSISTENT,
    "consistent_ketama": KETAMA,
    "ketama": KETAMA,
    "consistent_weighted": WEIGHTED,
    "weighted": WEIGHTED,
    "consistent_ketama_spy": SPY,
    "ketama_spy": SPY,
    "spy": SPY,
}
_UNSUPPORTED = {
    "random": "libmemcached chooses a random server: keys have no place that could be kept",
    "virtual_bucket": "buckets are assigned by a table that is not part of the configuration",
}

Calls = Sequence[tuple[str, Any]]


@dataclass
class Replayed:
    """The state that placement depends on. `ring_*` is the state when the ring was last built."""

    hash: str = "default"
    distribution: str = MODULA
    weighted: bool = False
    sorts_hosts: bool = False
    hashes_prefix: bool = False
    ejects: bool = False
    ring_hash: str = "default"
    ring_weighted: bool = False
    ring_spy: bool = False

    def rebuild(self) -> None:
        if self.distribution != MODULA:
            self.ring_hash = self.hash
            self.ring_weighted = self.weighted
            self.ring_spy = self.distribution == SPY

    def distribute(self, distribution: str) -> None:
        if distribution in (CONSISTENT, KETAMA):
            self.weighted = False
        elif distribution == WEIGHTED:
            self.weighted = True
        self.distribution = distribution
        self.rebuild()

    def set(self, behavior: str, value: Any) -> None:
        """One call of memcached_behavior_set. Behaviors that place no keys change nothing."""
        if behavior == "HASH":
            self.hash = _hash(value)
        elif behavior == "DISTRIBUTION":
            self.distribute(_distribution(value))
        elif behavior == "KETAMA":
            self.distribute(KETAMA if value else MODULA)
        elif behavior == "KETAMA_WEIGHTED" and value:
            self.hash = "md5"
            self.distribute(WEIGHTED)
        elif behavior == "KETAMA_WEIGHTED":
            # Surprising, but so it is: off means KETAMA on.
            self.distribute(KETAMA)
        elif behavior == "SORT_HOSTS":
            self.sorts_hosts = bool(value)
            self.rebuild()
        elif behavior == "HASH_WITH_PREFIX_KEY":
            self.hashes_prefix = bool(value)
        elif behavior in ("AUTO_EJECT_HOSTS", "REMOVE_FAILED_SERVERS"):
            self.ejects = bool(value)

    def add(self, weights: Iterable[float], as_list: bool) -> None:
        for weight in weights:
            if weight > 1 and (as_list or self.distribution != MODULA):
                self.weighted = True
        self.rebuild()


def _hash(value: Any) -> str:
    word = str(value).lower().removeprefix("hash_")
    if word in _NOT_BUILT:
        raise ConfigError("hash", f"{value!r}: {_NOT_BUILT[word]}")
    if word not in HASHES:
        raise ConfigError("hash", f"{value!r} is none of {', '.join(HASHES)}")
    return word


def _distribution(value: Any) -> str:
    word = str(value).lower().removeprefix("distribution_").replace(" ", "_")
    if word in _UNSUPPORTED:
        raise ConfigError("distribution", f"{value!r}: {_UNSUPPORTED[word]}")
    if word not in _DISTRIBUTIONS:
        raise ConfigError("distribution", f"{value!r} is none of {', '.join(_DISTRIBUTIONS)}")
    return _DISTRIBUTIONS[word]


def replay(before: Calls, weights: Sequence[float], added_as: str, after: Calls) -> Replayed:
    """Behaviors, then the servers "one by one" or as a "list", then more behaviors."""
    state = Replayed()
    for behavior, value in before:
        state.set(behavior.upper().removeprefix("MEMCACHED_BEHAVIOR_"), value)
    state.add(weights, added_as == "list")
    for behavior, value in after:
        state.set(behavior.upper().removeprefix("MEMCACHED_BEHAVIOR_"), value)
    return state


# pylibmc applies behaviors in this fixed order, whatever the order of the dict.
_PYLIBMC = {
    "hash": "HASH",
    "ketama_hash": "KETAMA_HASH",
    "ketama": "KETAMA",
    "ketama_weighted": "KETAMA_WEIGHTED",
    "distribution": "DISTRIBUTION",
    "auto_eject": "AUTO_EJECT_HOSTS",
    "remove_failed": "REMOVE_FAILED_SERVERS",
    "_hash_with_prefix_key": "HASH_WITH_PREFIX_KEY",
    "_sort_hosts": "SORT_HOSTS",
}


def pylibmc_behaviors(behaviors: Mapping[str, Any] | Calls) -> list[tuple[str, Any]]:
    """pylibmc's behaviors as calls: a dict in pylibmc's order; pairs, one assignment each, in their order.

    Behaviors that do not affect placement are omitted.
    """
    if not isinstance(behaviors, Mapping):
        return [(_PYLIBMC[name], value) for name, value in behaviors if name in _PYLIBMC]
    return [(behavior, behaviors[name]) for name, behavior in _PYLIBMC.items() if name in behaviors]


_PHP_BEHAVIORS = {
    "OPT_HASH": "HASH",
    "OPT_DISTRIBUTION": "DISTRIBUTION",
    "OPT_LIBKETAMA_COMPATIBLE": "KETAMA_WEIGHTED",
    "OPT_LIBKETAMA_HASH": "KETAMA_HASH",
    "OPT_SORT_HOSTS": "SORT_HOSTS",
    "OPT_AUTO_EJECT_HOSTS": "AUTO_EJECT_HOSTS",
    "OPT_REMOVE_FAILED_SERVERS": "REMOVE_FAILED_SERVERS",
}


# libmemcached does not take these back when it turns KETAMA_WEIGHTED off; php-memcached does.
_PHP_RESET = [("KETAMA_WEIGHTED", False), ("HASH", "default"), ("DISTRIBUTION", "modula")]


def php_behaviors(options: Calls) -> list[tuple[str, Any]]:
    """Options of php-memcached as calls, in the caller's order."""
    calls: list[tuple[str, Any]] = []
    for name, value in options:
        behavior = _PHP_BEHAVIORS.get(name.removeprefix("Memcached::"))
        if behavior == "KETAMA_WEIGHTED" and not value:
            calls += _PHP_RESET
        elif behavior is not None:
            calls.append((behavior, value))
    return calls
