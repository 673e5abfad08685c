"""The options that `mcroute ring detect` tries for each system, in every combination."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from ...placement import SYSTEMS
from ...placement.libmemcached import HASHES, php_behaviors

__all__ = ("tried",)

TAGS = ("", "{}", "<>", "[]", "()", "$$", "||", "::", ":|", "##")
FILTERS = (("", ""), ("stop", "|#|"), *(("tags", tag) for tag in TAGS[1:]))
JAVA_HASHES = SYSTEMS["spymemcached"].hashes


def _words(system: str, option: str) -> tuple[str, ...]:
    return next(row.choices for row in SYSTEMS[system].options if row.name == option)


def _product(**values: Any) -> Iterator[dict[str, Any]]:
    for combination in itertools.product(*values.values()):
        yield dict(zip(values, combination, strict=True))


def _calls() -> Iterator[list[tuple[str, Any]]]:
    """Sequences of libmemcached calls that lead to different states."""
    yield []
    yield [("KETAMA", 1)]
    yield [("KETAMA_WEIGHTED", 1)]
    yield [("KETAMA_WEIGHTED", 1), ("DISTRIBUTION", "consistent")]
    yield [("KETAMA_WEIGHTED", 1), ("DISTRIBUTION", "spy")]
    for word in HASHES:
        yield [("HASH", word)]
        yield [("HASH", word), ("DISTRIBUTION", "consistent")]
        yield [("HASH", word), ("DISTRIBUTION", "spy")]
        yield [("KETAMA_WEIGHTED", 1), ("HASH", word)]


def _libmemcached() -> Iterator[dict[str, Any]]:
    for calls in _calls():
        for more in ([], [("SORT_HOSTS", 1)], [("HASH_WITH_PREFIX_KEY", 1)]):
            for added_as in _words("libmemcached", "servers_added_as"):
                yield {"behaviors": [*calls, *more], "servers_added_as": added_as}
        if calls:
            yield {"behaviors_after_servers": calls}
            yield {"behaviors_after_servers": calls[::-1]}


def _pylibmc() -> Iterator[dict[str, Any]]:
    for word in HASHES:
        for more in ({}, {"ketama": True}, {"ketama_weighted": False}):
            yield {"behaviors": {"hash": word, **more}}
        for distribution in ("consistent", "consistent ketama spy", "consistent weighted"):
            yield {"behaviors": {"hash": word, "distribution": distribution}}
    yield {"behaviors": {}}
    yield {"behaviors": {"ketama_weighted": True}}
    yield {"behaviors": {"ketama": True}}
    yield {"behaviors": {"distribution": "consistent"}}
    for later in ({"ketama_weighted": True}, {"ketama": True}, {"distribution": "consistent"}):
        yield {"behaviors_after_servers": later}


def _php() -> Iterator[dict[str, Any]]:
    ketama = ("OPT_LIBKETAMA_COMPATIBLE", True)
    consistent = ("OPT_DISTRIBUTION", "DISTRIBUTION_CONSISTENT")
    hashes = [("OPT_HASH", f"HASH_{word.upper()}") for word in HASHES]
    options: list[list[tuple[str, Any]]] = [[], [ketama], [consistent], [("OPT_SORT_HOSTS", True)]]
    for hash in hashes:
        options += [[hash], [hash, consistent], [ketama, hash]]
    for given in options:
        assert len(php_behaviors(given)) == len(given)
        for added_as in _words("php-memcached", "servers_added_as"):
            yield {"options": given, "servers_added_as": added_as}
            yield {"options_after_servers": given, "servers_added_as": added_as}
            yield {"options_after_servers": given[::-1], "servers_added_as": added_as}


def _proxy() -> Iterator[dict[str, Any]]:
    for hash in _words("memcached-proxy", "hash"):
        for kind, conf in FILTERS:
            shared = {"hash": hash, "filter": kind, "filter_conf": conf}
            yield {"dist": "jump", **shared}
            for omode, obuckets in itertools.product(
                _words("memcached-proxy", "omode"), (160, 8, 40, 80, 100, 200, 320)
            ):
                yield {"dist": "ring", "omode": omode, "obuckets": obuckets, **shared}


def _java(**more: Any) -> Iterator[dict[str, Any]]:
    yield from _product(hash=JAVA_HASHES, locator=("mod",), **more)
    yield from _product(
        hash=JAVA_HASHES,
        locator=("ketama",),
        format=_words("spymemcached", "format"),
        weighted=(None, False, True),
        **more,
    )


_TRIED: Mapping[str, Any] = {
    "twemproxy": lambda: _product(
        hash=_words("twemproxy", "hash"),
        distribution=("ketama", "modula"),
        hash_tag=TAGS,
    ),
    "libmemcached": _libmemcached,
    "pylibmc": _pylibmc,
    "php-memcached": _php,
    "uhashring": lambda: itertools.chain(
        _product(key_type=("str", "bytes"), vnodes=(None, 40, 80, 100, 200, 320)),
        _product(
            hash_fn=("ketama",),
            key_type=("str", "bytes"),
            vnodes=(None, 20, 80, 100, 160),
            replicas=(4, 1, 2, 3),
        ),
    ),
    "meta-memcache": lambda: _product(provider=_words("meta-memcache", "provider")),
    "python-memcached": lambda: _product(hash=_words("python-memcached", "hash")),
    "libmc": lambda: _product(hash=_words("libmc", "hash")),
    "mcrouter": lambda: _product(
        hash_func=(None, "Ch3", "WeightedCh3", "Crc32", "ConstShard", "Rendezvous", "WeightedRendezvous"),
        routing_key=(True, False),
    ),
    "memcached-proxy": _proxy,
    "pecl-memcache": lambda: _product(
        hash_strategy=_words("pecl-memcache", "hash_strategy"),
        hash_function=_words("pecl-memcache", "hash_function"),
    ),
    "spymemcached": _java,
    "elasticache-java": lambda: _java(version=("1.1.3", "1.2.0")),
    "evcache": lambda: itertools.chain(
        _product(hash=JAVA_HASHES, points=(160, 40, 80, 320), partial_key=(False, True)),
        _product(hash=JAVA_HASHES, locator=("mod",), partial_key=(False, True)),
    ),
    "jump-consistent-hash": lambda: _product(key_hash=_words("jump-consistent-hash", "key_hash")),
    "pymemcache": lambda: _product(key_type=("str", "bytes")),
    "python-binary-memcached": lambda: _product(key_type=("str", "bytes")),
}


# The options with which a system goes on without a server, if that is not its default.
_EJECTING: Mapping[str, dict[str, Any]] = {
    "twemproxy": {"auto_eject_hosts": True},
    "libmc": {"failover": True},
    "libmemcached": {"behaviors": [("AUTO_EJECT_HOSTS", 1)]},
}


def tried(system: str, ejecting: bool = False) -> Iterator[dict[str, Any]]:
    """Yields options of the system, one combination after the other, the defaults among them.

    With `ejecting`, only the combinations with which the system goes on without a server that is out.
    """
    row = SYSTEMS[system]
    defaults = {option.name: option.default for option in row.options}
    more = _EJECTING.get(system, {}) if ejecting else {}
    for options in _TRIED.get(system, lambda: iter(({},)))():
        # No calls are no calls, as a list or as a tuple.
        found = {name: value for name, value in options.items() if value not in ([], defaults[name])}
        for name, value in more.items():
            # Lists of calls are joined, other values are set.
            found[name] = [*found.get(name, []), *value] if isinstance(value, list) else value
        yield found
