"""One function per system, from the system's options to the parts of a placement."""

from __future__ import annotations

import math
from typing import Any

from .._hashing import hash_key
from ..errors import ConfigError
from . import libmemcached
from .parts import KeyRule
from .rows import Asked, Choice, by_host

FURC_MAX = 2**23
KEY_MAX = 250


def encoded(text: Any) -> bytes:
    return text if isinstance(text, bytes) else str(text or "").encode()


def _two(name: str, text: Any) -> bytes:
    marks = encoded(text)
    if len(marks) != 2:
        raise ConfigError(name, f"{text!r} is not two characters of one byte")
    return marks


def text_form(options: Any) -> str:
    """The spelling of keys that are hashed as text: bytes objects as Python's repr writes them."""
    return "repr" if options["key_type"] == "bytes" else "bytes"


# ---- twemproxy

TWEMPROXY_HASHES = {
    "one_at_a_time": "one_at_a_time",
    "md5": "md5_32",
    "crc16": "crc16_uncut",
    "crc32": "crc32_mid15",
    "crc32a": "crc32",
    "fnv1_64": "fnv1_64_signed_low",
    "fnv1a_64": "fnv1a_64_signed_low",
    "fnv1_32": "fnv1_32_signed",
    "fnv1a_32": "fnv1a_32_signed",
    "hsieh": "hsieh",
    "murmur": "murmur2_of_size",
    "jenkins": "lookup3",
}


def twemproxy(asked: Asked) -> Choice:
    options = asked.options
    if options["distribution"] == "random":
        raise ConfigError(
            "distribution",
            "'random': twemproxy chooses a random server: keys have no place that could be kept",
        )
    tag = options["hash_tag"]
    return Choice(
        layout=options["distribution"],
        hash=TWEMPROXY_HASHES[options["hash"]],
        key=KeyRule("tag", marks=_two("hash_tag", tag)) if tag else KeyRule(),
        out="recompute" if options["auto_eject_hosts"] else "fail",
    )


# ---- libmemcached and what is built on it


def _replayed(asked: Asked, before: libmemcached.Calls, after: libmemcached.Calls, added_as: str) -> Choice:
    weights = [address.weight for address in asked.addresses]
    state = libmemcached.replay(before, weights, added_as, after)
    layout = "modula"
    if state.distribution != libmemcached.MODULA:
        layout = ("weighted" if state.ring_weighted else "consistent") + ("_spy" if state.ring_spy else "")
    namespace = encoded(asked.options["namespace"])
    return Choice(
        layout=layout,
        hash=libmemcached.HASHES[state.hash],
        point_hash=libmemcached.HASHES[state.ring_hash] if layout.startswith("consistent") else "",
        text_max=KEY_MAX if state.hashes_prefix else 2**63,
        order=by_host if state.sorts_hosts else None,
        out="recompute" if state.ejects and layout != "modula" else "fail",
        prefix=namespace,
        hashes_prefix=state.hashes_prefix,
    )


def _calls(value: Any) -> list[tuple[str, Any]]:
    """Pairs, in order, from pairs or from a dict, which is ordered too."""
    return [(str(name), given) for name, given in (value.items() if hasattr(value, "items") else value)]


def libmemcached_calls(asked: Asked) -> Choice:
    options = asked.options
    before, after = _calls(options["behaviors"]), _calls(options["behaviors_after_servers"])
    return _replayed(asked, before, after, options["servers_added_as"])


def pylibmc(asked: Asked) -> Choice:
    options = asked.options
    before = libmemcached.pylibmc_behaviors(options["behaviors"])
    after = libmemcached.pylibmc_behaviors(options["behaviors_after_servers"])
    return _replayed(asked, before, after, "one by one")


def php_memcached(asked: Asked) -> Choice:
    options = asked.options
    before, after = _calls(options["options"]), _calls(options["options_after_servers"])
    prefixes = [value for name, value in (*before, *after) if name.endswith("OPT_PREFIX_KEY")]
    asked = Asked(asked.addresses, asked.size, {**options, "namespace": prefixes[-1] if prefixes else ""})
    before, after = libmemcached.php_behaviors(before), libmemcached.php_behaviors(after)
    return _replayed(asked, before, after, options["servers_added_as"])


# ---- Python


def pymemcache(asked: Asked) -> Choice:
    form = "repr" if asked.options["key_type"] == "bytes" else "characters"
    prefix = encoded(asked.options["key_prefix"])
    # A dash joins node and key.
    return Choice("rendezvous", "murmur3_32", KeyRule(form=form, prefix=b"-"), out="skip", prefix=prefix)


def _check_vnodes(options: Any) -> None:
    vnodes = options["vnodes"]
    if vnodes is not None and (type(vnodes) is not int or vnodes < 0):
        raise ConfigError("vnodes", f"{vnodes!r} is not a number of points")


def uhashring(asked: Asked) -> Choice:
    options = asked.options
    _check_vnodes(options)
    if options["hash_fn"] not in (None, "ketama"):
        raise ConfigError("hash_fn", "a custom hash function is not supported")
    if not 1 <= options["replicas"] <= 4:
        raise ConfigError("replicas", f"{options['replicas']}: a digest has 1 to 4 words")
    layout = options["hash_fn"] or "default"
    if layout == "ketama" and options["replicas"] != 4:
        layout = f"ketama_{options['replicas']}"
    return Choice(layout, "md5_32", KeyRule(form=text_form(options)), out="recompute")


def meta_memcache(asked: Asked) -> Choice:
    _check_vnodes(asked.options)
    return Choice(asked.options["provider"], "crc32")


def bmemcached(asked: Asked) -> Choice:
    return Choice("default", "md5_32", KeyRule(form=text_form(asked.options)))


def emcache(asked: Asked) -> Choice:
    return Choice("rendezvous", "emcache", out="skip")


LIBMC_HASHES = {"md5": "md5_32", "fnv1_32": "fnv1_32", "fnv1a_32": "fnv1a_32", "crc_32": "crc32"}


def libmc(asked: Asked) -> Choice:
    prefix = encoded(asked.options["prefix"])
    out = "skip" if asked.options["failover"] else "fail"
    hash = LIBMC_HASHES[asked.options["hash"]]
    return Choice("ketama", hash, KeyRule(lead=b"?"), out=out, prefix=prefix, hashes_prefix=True)


PYTHON_MEMCACHED_HASHES = {"default": "crc32_mid15", "crc32": "crc32"}


def python_memcached(asked: Asked) -> Choice:
    return Choice("modulo", PYTHON_MEMCACHED_HASHES[asked.options["hash"]], out="python_memcached")


JUMP_HASHES = {
    "crc32": "crc32",
    "md5": "md5_64",
    "mmh3_32": "murmur3_32",
    "mmh3_32_signed": "murmur3_32_signed",
    "mmh3_64": "murmur3_x64_low",
}


def jump(asked: Asked) -> Choice:
    seed = asked.options["seed"]
    if not 0 <= seed < 1 << 32:
        raise ConfigError("seed", f"{seed} is not a number of 32 bits")
    return Choice("jump", JUMP_HASHES[asked.options["key_hash"]], seed=seed)


# ---- pecl-memcache

# By strategy and function.
PECL_HASHES = {
    ("standard", "crc32"): "crc32_mid15",
    ("standard", "fnv"): "fnv1a_32_signed_mid15",
    ("consistent", "crc32"): "crc32",
    ("consistent", "fnv"): "fnv1a_32_signed",
}


def pecl_memcache(asked: Asked) -> Choice:
    strategy = asked.options["hash_strategy"]
    out = "pecl_memcache" if asked.options["allow_failover"] else "fail"
    return Choice(strategy, PECL_HASHES[strategy, asked.options["hash_function"]], out=out)


# ---- memcached's own proxy

PROXY_HASHES = {"xxh3": "xxh3", "md5": "md5_32"}


def memcached_proxy(asked: Asked) -> Choice:
    options = asked.options
    layout = options["dist"] if options["dist"] == "jump" else options["omode"]
    if layout not in ("jump", "default") and options["obuckets"] % 4:
        raise ConfigError(
            "obuckets", f"{options['obuckets']} is not divisible by 4: points would be left unset"
        )
    key = KeyRule()
    if options["filter"] == "stop":
        key = KeyRule("stop", marks=encoded(options["filter_conf"]))
    elif options["filter"] == "tags":
        key = KeyRule("empty_tag", marks=_two("filter_conf", options["filter_conf"]))
    seed = hash_key("xxh3", encoded(options["seed"])) if options["seed"] else 0
    return Choice(layout, PROXY_HASHES[options["hash"]], key, seed)


# ---- mcrouter

MCROUTER_FUNCTIONS = ("Ch3", "WeightedCh3", "Crc32", "ConstShard", "Rendezvous", "WeightedRendezvous")
_NO_PLACE = {
    "Latest": "the first server that is up has the key: keys have no place that could be kept",
    "LoadBalancer": "the least loaded server has the key: keys have no place that could be kept",
}


def mcrouter(asked: Asked) -> Choice:
    options = asked.options
    function = options["hash_func"] or ("WeightedCh3" if options["weights"] else "Ch3")
    if function in _NO_PLACE:
        raise ConfigError("hash_func", f"{function!r}: {_NO_PLACE[function]}")
    if function not in MCROUTER_FUNCTIONS:
        raise ConfigError("hash_func", f"{function!r} is none of {', '.join(MCROUTER_FUNCTIONS)}")
    key = KeyRule(suffix=encoded(options["salt"]))
    if options["routing_key"]:
        key = KeyRule("routing", marks=b"|#|", suffix=encoded(options["salt"]))
        if function in ("Ch3", "WeightedCh3", "ConstShard") and asked.size > FURC_MAX:
            raise ConfigError(
                "servers", f"{asked.size} servers are more than the {FURC_MAX} that {function} supports"
            )
    weights = _mcrouter_weights(function, options["weights"], asked.size)
    return Choice(function, "crc32_low31" if function == "Crc32" else "murmur64a", key, weights=weights)


def _mcrouter_weights(function: str, weights: Any, size: int) -> tuple[float, ...]:
    if not function.startswith("Weighted"):
        return ()
    given = tuple(float(weight) for weight in weights or ())
    if function == "WeightedCh3":
        if any(not 0 <= weight <= 1 for weight in given):
            raise ConfigError("weights", "the weights of WeightedCh3 are from 0 to 1")
        return (*given, *(0.5,) * (size - len(given)))[:size]
    if len(given) != size:
        raise ConfigError("weights", f"expected {size} weights, one per server, got {len(given)}")
    # With a weight that is not a number from 0 on, no score would be the highest.
    if not all(0 <= weight < math.inf for weight in given):
        raise ConfigError("weights", "the weights of WeightedRendezvous are numbers from 0 on")
    return given


# ---- Java


def _java_hashes(digest: str) -> dict[str, str]:
    return {
        "KETAMA_HASH": digest,
        "NATIVE_HASH": "utf16_native",
        "CRC_HASH": "crc32_mid15",
        "FNV1_32_HASH": "utf16_fnv1_32",
        "FNV1A_32_HASH": "utf16_fnv1a_32",
        "FNV1_64_HASH": "utf16_fnv1_64_low",
        "FNV1A_64_HASH": "utf16_fnv1a_64_low",
    }


JAVA_HASHES = _java_hashes("md5_32")


def _spymemcached(asked: Asked, digest: str) -> Choice:
    options = asked.options
    hash = _java_hashes(f"{digest}_32")[options["hash"]]
    redistributes = options["failure_mode"] == "Redistribute"
    if options["locator"] == "mod":
        return Choice("mod", hash, out="skip" if redistributes else "fail")
    weighted = options["weighted"]
    if weighted is None:
        weighted = any(address.weight != 1 for address in asked.addresses)
    kind = "weighted" if weighted else "ketama" if options["hash"] == "KETAMA_HASH" else "other"
    return Choice(
        f"{kind}_{options['format'].lower()}",
        hash,
        point_hash="" if kind == "other" else digest,
        out="spymemcached" if redistributes else "fail",
    )


def spymemcached(asked: Asked) -> Choice:
    return _spymemcached(asked, "md5")


def elasticache(asked: Asked) -> Choice:
    """From 1.2.0 on, KETAMA_HASH is another hash."""
    version = asked.options["version"]
    if not version:
        raise ConfigError(
            "version", "1.2.0 and later place keys by SHA-384, earlier ones by md5: give the version"
        )
    try:
        number = tuple(int(part) for part in str(version).split(".")[:2])
    except ValueError:
        raise ConfigError("version", f"{version!r} is not like 1.2.4") from None
    return _spymemcached(asked, "sha384" if number >= (1, 2) else "md5")


def evcache(asked: Asked) -> Choice:
    options = asked.options
    layout = "ketama" if options["hash"] == "KETAMA_HASH" else "other"
    key = KeyRule("before", marks=encoded(options["delimiter"])) if options["partial_key"] else KeyRule()
    return Choice(layout if options["locator"] == "ketama" else "mod", JAVA_HASHES[options["hash"]], key)
