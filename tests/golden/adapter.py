"""Golden cases -> rings: how the vectors taken from real programs are put to `Ring.like`.

A case says what program was run, with which servers and options; `owner` and `hashval` are what a checker of
such cases calls for each key. Where the system leaves a key without an owner, because its server is out, that
server counts as the owner.
"""

from __future__ import annotations

import re
import warnings
from typing import Any

from mcroute import Ring
from mcroute._hashing import hash_key
from mcroute.errors import PlacementWarning
from mcroute.placement import SYSTEMS
from mcroute.placement.libmemcached import HASHES as LIBHASHKIT

HASHES = {
    **{f"libhashkit:{word}": name for word, name in LIBHASHKIT.items()},
    "murmur64A": "murmur64a",
    "spooky32": "spooky32",
    "xxh3_64": "xxh3",
    "murmur3_x86_32": "murmur3_32",
    "murmur3_x64_128_low64": "murmur3_x64_low",
    "murmur3_x64_128_high64": "murmur3_x64_high",
}
# The jump cases, by the description of the key's number.
JUMP_HASHES = (
    (r"crc32", "crc32"),
    (r"md5.*", "md5"),
    (r"(?:mmh3|murmur3)-?(?:x64-128|64|128).*", "mmh3_64"),
    (r"(?:mmh3|murmur3)-?(?:x86-)?32-signed.*", "mmh3_32_signed"),
    (r"(?:mmh3|murmur3)-?(?:x86-)?32.*", "mmh3_32"),
)
JAVA = ("spymemcached", "elasticache-java", "evcache")
_last: dict[str, Any] = {}


def servers_of(case: dict[str, Any]) -> Any:
    if not case["servers"]:
        return case["n_servers"]
    if case["system"] in JAVA:
        return [(host, port, weight) for host, port, weight, _ in case["servers"]]
    return [(host, port or None, weight, name) for host, port, weight, name in case["servers"]]


def java_names(case: dict[str, Any]) -> dict[str, Any]:
    """The fourth column: the address of a host name, or the word unresolved."""
    named = {host: ip for host, _, _, ip in case["servers"] if ip is not None and ip != host}
    return {"resolved": {host: "" if ip == "unresolved" else ip for host, ip in named.items()}}


def behaviors_of(case: dict[str, Any]) -> dict[str, Any]:
    """libmemcached's family: as the program's own words, where the case has them."""
    params = case["params"]
    if case["system"] == "php-memcached":
        return {
            "options": params["php_options"],
            "options_after_servers": params["php_options_after_servers"],
            "servers_added_as": params["servers_added_as"],
        }
    if case["system"] == "pylibmc":
        return {
            "behaviors": params["python_behaviors"] or {},
            "behaviors_after_servers": [(n.lower(), value) for n, value in params["behaviors_after_servers"]],
        }
    return dict(params)


def mcrouter_options(case: dict[str, Any]) -> dict[str, Any]:
    params = dict(case["params"])
    weights = params.pop("weights", None)
    if isinstance(weights, dict):
        weights = [weights["const"]] * (case.get("n_servers") or len(case["servers"]))
    return {**params, "weights": weights, "routing_key": params["key_mode"] == "routing"}


def jump_options(case: dict[str, Any]) -> dict[str, Any]:
    word = case["params"]["key_hash"]
    seed = re.search(r"seed(\d+)", word)
    name = next(name for pattern, name in JUMP_HASHES if re.fullmatch(pattern, word))
    return {"key_hash": name, "seed": int(seed[1]) if seed else 0}


def options_of(case: dict[str, Any]) -> dict[str, Any]:
    system, params = case["system"], dict(case["params"])
    if system in ("libmemcached", "pylibmc", "php-memcached"):
        params = behaviors_of(case)
    elif system == "mcrouter":
        params = mcrouter_options(case)
    elif system == "jump-consistent-hash":
        params = jump_options(case)
    elif system == "uhashring":
        params["hash_fn"] = "ketama" if params.pop("ring") == "ketama" else None
    elif system == "meta-memcache":
        params.pop("routing_key", None)
    elif system in JAVA:
        params.pop("digest", None)
        params.update(java_names(case))
    if system == "elasticache-java":
        params["version"] = case["version"].split()[0]
    known = {option.name for option in SYSTEMS[system].options}
    # The other fields say how a case was made, not its configuration.
    return {name: value for name, value in params.items() if value is not None and name in known}


def ring_of(case: dict[str, Any]) -> Ring:
    """The ring of a case; the one of the last case is kept."""
    if _last.get("case") is not case:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PlacementWarning)
            ring = Ring.like(case["system"], servers_of(case), out="theirs", **options_of(case))
        _last.update(case=case, ring=ring)
    return _last["ring"]


def asked_key(case: dict[str, Any], key: bytes) -> str | bytes:
    """meta-memcache hashes a routing key, where the program gives one."""
    routing_key = case["params"].get("routing_key")
    number = re.search(r"first (\d+) characters", routing_key) if isinstance(routing_key, str) else None
    return key.decode()[: int(number[1])] if number else key


def owner(case: dict[str, Any], key: bytes) -> int:
    ring = ring_of(case)
    key = asked_key(case, key)
    try:
        return ring.owner(key, case.get("removed"))
    except LookupError:
        return ring.owner(key)


def hashval(case: dict[str, Any], key: bytes) -> int:
    params = case["params"]
    return hash_key(HASHES[params["function"]], key, params.get("seed") or 0)
