"""The table of systems: one row per client or proxy, composed of named parts.

Names of servers are in `names`, counts of points in `counts`, notations in `addresses`, the columns of a row
in `rows`, the effects of options in `settling`, hashes in `_hashing.named`, lookups in `_distributions`.
"""

from __future__ import annotations

from dataclasses import replace

from . import addresses, counts, libmemcached, names, refusals, rows, settling
from .rows import Layout, Option, System

__all__ = ("SYSTEMS",)


def _words(hashes: object) -> tuple[str, ...]:
    return tuple(str(word) for word in hashes)  # type: ignore[attr-defined]


_MODULO = Layout("modulo")
_JUMP = Layout("jump")

# ---- libketama's rule, and the libraries that have it

_TWEMPROXY = Layout("points", names.twemproxy, counts.ketama_groups, "md5", words=4, order=rows.by_length)
_LIBMEMCACHED = {
    "modula": _MODULO,
    "consistent": Layout("points", names.short, counts.equally(100)),
    "consistent_spy": Layout("points", names.libmemcached_spy, counts.equally(100)),
    "weighted": Layout("points", names.short, counts.libmemcached_groups, "md5", words=4),
    "weighted_spy": Layout("points", names.libmemcached_spy, counts.libmemcached_groups, "md5", words=4),
}
_ADDED_AS = Option(
    "servers_added_as", "one by one", "How the program adds its servers.", ("one by one", "list")
)
_NAMESPACE = Option("namespace", "", "The client's prefix of keys.")

# ---- uhashring's, which others build on

_UHASHRING = Layout("points", names.given, counts.uhashring_points, "md5_128", above=True, last_wins=True)
_UHASHRING_KETAMA = Layout(
    "points", names.given, counts.uhashring_groups, "md5", words=4, above=True, last_wins=True
)
_KEY_TYPE = Option(
    "key_type", "str", "The type of keys in the program; the hash depends on it.", ("str", "bytes")
)
_VNODES = Option("vnodes", None, "Points per unit of weight; with ketama groups of points.")

# ---- Java

_SPYMEMCACHED = {
    f"{kind}_{format}": Layout("points", naming, groups, words=words, last_wins=True)
    for format, naming in (("spymemcached", names.spymemcached), ("libmemcached", names.spymemcached_short))
    for kind, groups, words in (
        ("ketama", counts.equally(40), 4),
        ("other", counts.equally(160), 1),
        ("weighted", counts.ketama_groups, 4),
    )
}
_RESOLVED = Option(
    "resolved", {}, 'Addresses of host names, "" for names that cannot be resolved.', maps_text=True
)
_REVERSE = Option(
    "reverse",
    {},
    "Host names of addresses, as the machine resolves them; 127.0.0.1 is localhost.",
    maps_text=True,
)
_JAVA_HASHES = _words(settling.JAVA_HASHES)
_JAVA = (
    Option("hash", "NATIVE_HASH", "Hash of keys; of points too, without weights.", _JAVA_HASHES),
    Option("locator", "mod", "The way to a key's server.", ("mod", "ketama")),
    Option("weighted", None, "Whether a map of weights is given; default: whether any weight is not 1."),
    Option("format", "SPYMEMCACHED", "KetamaNodeKeyFormatter's format.", ("SPYMEMCACHED", "LIBMEMCACHED")),
    Option("failure_mode", "Redistribute", "The reaction to a failure.", ("Redistribute", "Retry", "Cancel")),
    _RESOLVED,
    _REVERSE,
)

_ROWS = (
    System(
        "twemproxy",
        "0.5.0",
        (
            Option("hash", "fnv1a_64", "Hash of keys.", _words(settling.TWEMPROXY_HASHES)),
            Option("distribution", "ketama", "The way to a key's server.", ("ketama", "modula", "random")),
            Option("hash_tag", "", "Two characters; only the text between them is hashed."),
            Option("auto_eject_hosts", False, "Whether failing servers are removed from the ring."),
        ),
        {
            "ketama": _TWEMPROXY,
            "modula": replace(_TWEMPROXY, find="modulo", groups=counts.by_weight()),
        },
        settling.twemproxy,
        ("fail", "recompute"),
        settling.TWEMPROXY_HASHES,
        addresses.with_name,
        (refusals.same_names, refusals.fractions),
    ),
    System(
        "libmemcached",
        "1.1.4",
        (
            Option("behaviors", (), "Pairs of behavior and value, in the order of the calls."),
            Option("behaviors_after_servers", (), "Pairs that are set after the servers were added."),
            _ADDED_AS,
            _NAMESPACE,
        ),
        _LIBMEMCACHED,
        settling.libmemcached_calls,
        ("fail", "recompute"),
        libmemcached.HASHES,
        addresses.with_weight,
    ),
    System(
        "pylibmc",
        "1.6.3",
        (
            Option("behaviors", {}, "The dict that is given to Client."),
            Option("behaviors_after_servers", {}, "Later assignments: a dict at once, or pairs one by one."),
            _NAMESPACE,
        ),
        _LIBMEMCACHED,
        settling.pylibmc,
        ("fail", "recompute"),
        libmemcached.HASHES,
        refuses=(refusals.mixed_transports,),
    ),
    System(
        "php-memcached",
        "3.2.0",
        (
            Option("options", (), "Pairs of option and value, in the order of setOption."),
            Option("options_after_servers", (), "Pairs that are set after the servers were added."),
            replace(_ADDED_AS, default="list", help='"list" for addServers, "one by one" for addServer.'),
        ),
        _LIBMEMCACHED,
        settling.php_memcached,
        ("fail", "recompute"),
        libmemcached.HASHES,
        addresses.with_weight,
    ),
    System(
        "pymemcache",
        "4.0.0",
        (_KEY_TYPE, Option("key_prefix", "", "The client's prefix of keys; it is not hashed.")),
        {"rendezvous": Layout("pymemcache", names.host_port)},
        settling.pymemcache,
        ("skip",),
    ),
    System(
        "uhashring",
        "2.5",
        (
            Option("hash_fn", None, 'None, or "ketama".'),
            _VNODES,
            Option("replicas", 4, "With ketama: points per group, 1 to 4."),
            _KEY_TYPE,
        ),
        {
            "default": _UHASHRING,
            "ketama": _UHASHRING_KETAMA,
            **{f"ketama_{words}": replace(_UHASHRING_KETAMA, words=words) for words in (1, 2, 3)},
        },
        settling.uhashring,
        ("recompute",),
        reader=addresses.as_name,
    ),
    System(
        "meta-memcache",
        "4.3.0",
        (Option("provider", "ring", "The pool provider.", ("ring", "modulo")), replace(_VNODES, help="")),
        {"ring": replace(_UHASHRING, named=names.bracketed), "modulo": _MODULO},
        settling.meta_memcache,
        ("fail",),
        reader=addresses.with_name,
    ),
    System(
        "python-binary-memcached",
        "0.33.0",
        (
            Option("username", None, "Part of the names of servers."),
            Option("password", None, "Part of the names of servers."),
            _KEY_TYPE,
        ),
        {"default": replace(_UHASHRING, named=names.bmemcached, groups=counts.equally(160))},
        settling.bmemcached,
        ("fail",),
    ),
    System(
        "python-memcached",
        "1.62",
        (
            Option(
                "hash",
                "default",
                '"crc32" is the effect of useOldServerHashFunction().',
                _words(settling.PYTHON_MEMCACHED_HASHES),
            ),
        ),
        {"modulo": Layout("modulo", names.host_port, counts.by_weight())},
        settling.python_memcached,
        ("python_memcached",),
        settling.PYTHON_MEMCACHED_HASHES,
    ),
    System(
        "libmc",
        "1.4.17",
        (
            Option("hash", "md5", "Hash of keys; points always use md5.", _words(settling.LIBMC_HASHES)),
            Option("prefix", "", "The client's prefix of keys; it is hashed."),
            Option("failover", False, "Whether keys of a failing server go to the next one."),
        ),
        {"ketama": Layout("points", names.libmc, counts.equally(100), "md5_32")},
        settling.libmc,
        ("fail", "skip"),
        settling.LIBMC_HASHES,
        addresses.with_name,
    ),
    System(
        "emcache",
        "1.3.3",
        (),
        {"rendezvous": Layout("emcache", names.emcache)},
        settling.emcache,
        ("skip",),
    ),
    System(
        "mcrouter",
        "9d7f4342",
        (
            Option("hash_func", None, "Hash function of the route; Ch3, with weights WeightedCh3."),
            Option("weights", None, "One per server, from 0 to 1; a missing one is 0.5."),
            Option("salt", "", "Appended to the routing key."),
            Option("tags", None, "Names of servers for Rendezvous; default: the servers' names."),
            Option("routing_key", True, "Whether only the routing part of a key is hashed, as in a proxy."),
        ),
        {
            "Ch3": Layout("furc"),
            "WeightedCh3": Layout("weighted_furc"),
            "Crc32": _MODULO,
            "ConstShard": Layout("const_shard"),
            "Rendezvous": Layout("mcrouter", names.tag),
            "WeightedRendezvous": Layout("mcrouter_weighted", names.tag),
        },
        settling.mcrouter,
        ("fail",),
        refuses=(refusals.missing_tags,),
        counts=True,
    ),
    System(
        "memcached-proxy",
        "1.6.45",
        (
            Option("dist", "jump", "mcp.dist_jump_hash or mcp.dist_ring_hash.", ("jump", "ring")),
            Option("hash", "xxh3", '"md5" is mcp.dist_ring_hash.hash.', _words(settling.PROXY_HASHES)),
            Option("seed", "", "A text; the md5 hash ignores it."),
            Option("filter", "", "The part of a key that is hashed.", ("", "stop", "tags")),
            Option("filter_conf", "", "The text to stop at, or the two characters of a tag."),
            Option("omode", "default", "Names of points.", ("default", "ketama", "twemproxy", "evcache")),
            Option("obuckets", 160, "Points a server."),
        ),
        {
            "jump": _JUMP,
            "default": Layout("points", names.host_port, counts.by_option("obuckets", 1), "xxh3"),
            "ketama": Layout("points", names.host_port, counts.by_option("obuckets", 4), "md5", words=4),
            "twemproxy": Layout("points", names.short, counts.by_option("obuckets", 4), "md5", words=4),
            "evcache": Layout("points", names.proxy_evcache, counts.by_option("obuckets", 4), "md5", words=4),
        },
        settling.memcached_proxy,
        ("fail",),
        settling.PROXY_HASHES,
    ),
    System(
        "pecl-memcache",
        "8.0",
        (
            Option("hash_strategy", "consistent", "memcache.hash_strategy.", ("consistent", "standard")),
            Option("hash_function", "crc32", "memcache.hash_function.", ("crc32", "fnv")),
            Option("allow_failover", True, "memcache.allow_failover."),
        ),
        {
            "standard": Layout("modulo", names.host_port, counts.by_weight()),
            "consistent": Layout("points_to_slots", names.host_port, counts.by_weight(160)),
        },
        settling.pecl_memcache,
        ("pecl_memcache", "fail"),
    ),
    System(
        "spymemcached",
        "2.12.3",
        _JAVA,
        {"mod": _MODULO, **_SPYMEMCACHED},
        settling.spymemcached,
        ("spymemcached", "skip", "fail"),
        settling.JAVA_HASHES,
    ),
    System(
        "elasticache-java",
        "1.1.3, 1.2.4",
        (Option("version", "", "The client's version: from 1.2.0 on KETAMA_HASH is SHA-384."), *_JAVA),
        {"mod": _MODULO, **_SPYMEMCACHED},
        settling.elasticache,
        ("spymemcached", "skip", "fail"),
        settling.JAVA_HASHES,
    ),
    System(
        "evcache",
        "fa8721e6",
        (
            Option("hash", "KETAMA_HASH", "Hash of keys; points too.", _JAVA_HASHES),
            Option("locator", "ketama", "The way to a key's server.", ("ketama", "mod")),
            Option("points", 160, "bucket.size."),
            Option("partial_key", False, "Whether only the part before the delimiter is hashed."),
            Option("delimiter", ":", "The end of the part that is hashed."),
            _RESOLVED,
            _REVERSE,
        ),
        {
            "mod": _MODULO,
            "ketama": Layout(
                "points", names.evcache, counts.by_option("points", 4), "md5", words=4, last_wins=True
            ),
            "other": Layout("points", names.evcache, counts.by_option("points", 4), last_wins=True),
        },
        settling.evcache,
        ("fail",),
        settling.JAVA_HASHES,
    ),
    System(
        "jump-consistent-hash",
        "3.6.0",
        (
            Option("key_hash", "crc32", "The hash from a key to a number.", _words(settling.JUMP_HASHES)),
            Option("seed", 0, "The seed, for hashes that have one."),
        ),
        {"jump": _JUMP},
        settling.jump,
        ("fail",),
        settling.JUMP_HASHES,
        counts=True,
    ),
)

SYSTEMS = {row.name: row for row in _ROWS}
