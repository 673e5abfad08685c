"""Writes tests/vectors/placement/: where real programs and libraries put keys.

    PYTHONPATH=src python -m tests.golden.make_vectors [SYSTEM...]

Libraries that say where a key goes are asked in process; proxies stand in front of listeners that note which
keys they are asked for. One file a system, a list of cases as in `adapter.py`. Keys that a library cannot be
given have owner -1. Of systems that could not be asked, FROZEN has what `Ring.like` says: it was made when
that agreed with vectors which others had taken from the real programs, and shows changes.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import random
import socket
import socketserver
import sys
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import mmh3

from mcroute.placement import settling

from . import adapter, programs

VECTORS = Path(__file__).parents[1] / "vectors" / "placement"
Row = tuple[str, int, int, str | None]
Owners = Callable[[Sequence[Row], dict[str, Any], Sequence[bytes]], list[int]]

EQUAL: list[Row] = [(f"127.88.0.{i}", 11211, 1, None) for i in range(1, 7)]
PORTS: list[Row] = [(f"127.88.1.{i}", 24000 + i, 1, None) for i in range(1, 5)]
WEIGHTS: list[Row] = [
    ("127.88.2.1", 11211, 1, None),
    ("127.88.2.2", 24022, 2, None),
    ("127.88.2.30", 11211, 3, None),
    ("127.88.2.4", 24024, 7, None),
]
NAMED: list[Row] = [
    ("127.88.3.1", 11211, 1, "omega"),
    ("127.88.3.2", 24032, 3, "b"),
    ("127.88.3.3", 11211, 1, "alpha"),
]
# With this number of servers, single precision gives each 156 points, not 160.
MANY: list[Row] = [(f"127.88.4.{i}", 11211, 1, None) for i in range(1, 26)]


def make_keys() -> list[bytes]:
    """300 keys: plain, UTF-8, any bytes, tags and routing prefixes, of 1 to 250 bytes."""
    rng = random.Random(2026)
    keys = [f"user:{i}:profile" for i in range(60)]
    keys += [
        "{a}b",
        "a{b}c",
        "a{}b",
        "{}",
        "a{b",
        "a}b{c}",
        "{a}{b}",
        "a|#|b",
        "|#|b",
        "a|#|",
        "/r/c/k|#|t",
        "/r/c/",
    ]
    keys += ["".join(rng.choices("äöüñжщ日本€", k=1 + i % 20)) for i in range(40)]
    keys += [f"{rng.getrandbits(128):032x}" for _ in range(40)]
    texts = [key.encode() for key in keys]
    allowed = [byte for byte in range(0x21, 0x100) if byte != 0x7F]
    for i in range(300 - len(texts)):
        texts.append(bytes(rng.choices(allowed, k=1 + i * 249 // (299 - len(keys)))))
    return list(dict.fromkeys(texts))


# ---- libraries


def text_of(key: bytes) -> str | None:
    try:
        return key.decode()
    except UnicodeDecodeError:
        return None


def each(keys: Sequence[bytes], ask: Callable[[str], int]) -> list[int]:
    texts = [text_of(key) for key in keys]
    return [-1 if text is None else ask(text) for text in texts]


def pymemcache(servers: Sequence[Row], params: dict[str, Any], keys: Sequence[bytes]) -> list[int]:
    hasher = import_module("pymemcache.client.rendezvous").RendezvousHash

    nodes = [f"{host}:{port}" for host, port, _, _ in servers]
    found = hasher(list(nodes))
    if params["key_type"] == "bytes":
        return [nodes.index(found.get_node(key)) for key in keys]
    return each(keys, lambda key: nodes.index(found.get_node(key)))


def uhashring(servers: Sequence[Row], params: dict[str, Any], keys: Sequence[bytes]) -> list[int]:
    nodes = {f"{host}:{port}": weight for host, port, weight, _ in servers}
    kwargs = {"hash_fn": "ketama"} if params["ring"] == "ketama" else {}
    kwargs |= {name: params[name] for name in ("vnodes", "replicas") if name in params}
    ring, names = import_module("uhashring").HashRing(nodes, **kwargs), list(nodes)
    if params["key_type"] == "bytes":
        return [names.index(ring.get_node(key)) for key in keys]
    return each(keys, lambda key: names.index(ring.get_node(key)))


def pylibmc(servers: Sequence[Row], params: dict[str, Any], keys: Sequence[bytes]) -> list[int]:
    library = import_module("pylibmc")

    texts = [f"{host}:{port}:{weight}" for host, port, weight, _ in servers]
    client = library.Client(texts, behaviors=params["python_behaviors"])
    return [client.hash(key) for key in keys]


def libmc(servers: Sequence[Row], params: dict[str, Any], keys: Sequence[bytes]) -> list[int]:
    library = import_module("libmc")

    texts = [f"{host}:{port}{f' {name}' if name else ''}" for host, port, _, name in servers]
    said = [name or f"{host}:{port}" for host, port, _, name in servers]
    words = {"md5": "MD5", "fnv1_32": "FNV1_32", "fnv1a_32": "FNV1A_32", "crc_32": "CRC_32"}
    function = getattr(library, f"MC_HASH_{words[params['hash']]}")
    client = library.Client(texts, hash_fn=function, prefix=params.get("prefix"))

    def ask(key: str) -> int:
        host = client.get_host_by_key(key)
        return said.index(host)

    return each(keys, ask)


def emcache(servers: Sequence[Row], params: dict[str, Any], keys: Sequence[bytes]) -> list[int]:
    cyemcache = import_module("emcache._cython.cyemcache")

    nodes = [cyemcache.RendezvousNode(f"{host}{port}", i) for i, (host, port, _, _) in enumerate(servers)]
    return [cyemcache.node_selection(key, nodes) for key in keys]


def meta_memcache(servers: Sequence[Row], params: dict[str, Any], keys: Sequence[bytes]) -> list[int]:
    library = import_module("meta_memcache")
    providers = import_module("meta_memcache.connection.providers")

    addresses = [library.ServerAddress(host, port) for host, port, _, _ in servers]
    pools: Any = {address: index for index, address in enumerate(addresses)}
    kind = {"ring": "HashRingConnectionPoolProvider", "modulo": "NonConsistentHashPoolProvider"}
    provider = getattr(providers, kind[params["provider"]])(pools)
    return each(keys, lambda key: int(provider.get_pool(library.Key(key))))


def bmemcached(servers: Sequence[Row], params: dict[str, Any], keys: Sequence[bytes]) -> list[int]:
    library = import_module("bmemcached")

    texts = [f"{host}:{port}" for host, port, _, _ in servers]
    client = library.DistributedClient(texts, params["username"], params["password"])
    found = [client._servers.index(client._get_server(key)) for key in keys if params["key_type"] == "bytes"]
    return found or each(keys, lambda key: int(client._servers.index(client._get_server(key))))


def python_memcached(servers: Sequence[Row], params: dict[str, Any], keys: Sequence[bytes]) -> list[int]:
    memcache = import_module("memcache")

    default = memcache.serverHashFunction
    if params["hash"] == "crc32":
        memcache.useOldServerHashFunction()
    try:
        client = memcache.Client([(f"{host}:{port}", weight) for host, port, weight, _ in servers])
        for index, server in enumerate(client.servers):
            server.connect = lambda index=index: index not in params.get("removed", ())
        return [client.servers.index(client._get_server(key)[0]) for key in keys]
    finally:
        memcache.serverHashFunction = default


def jump(servers: Sequence[Row], params: dict[str, Any], keys: Sequence[bytes]) -> list[int]:
    library = import_module("jump")

    hashes: dict[str, Callable[[bytes], int]] = {
        "crc32": zlib.crc32,
        "mmh3-32-seed0": lambda key: int(mmh3.hash(key, 0, signed=False)),
        "mmh3-64-low-seed7": lambda key: int(mmh3.hash64(key, 7, signed=False)[0]),
    }
    return [library.hash(hashes[params["key_hash"]](key), params["buckets"]) for key in keys]


# ---- proxies, in front of listeners


class _Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    heard: list[bytes]


class _Answers(socketserver.StreamRequestHandler):
    """Answers every get with a miss, and notes the key."""

    def handle(self) -> None:
        assert isinstance(self.server, _Listener)
        for line in self.rfile:
            words = line.split()
            if words[:1] == [b"get"]:
                self.server.heard.append(words[1])
            self.wfile.write(b"END\r\n" if words[:1] == [b"get"] else b"VERSION 1.6.18\r\n")


@contextlib.contextmanager
def listening(servers: Sequence[Row]) -> Iterator[list[_Listener]]:
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(_Listener((host, port), _Answers)) for host, port, _, _ in servers]
        for listener in listeners:
            listener.heard = []
            threading.Thread(target=listener.serve_forever, daemon=True).start()
            stack.callback(listener.shutdown)
        yield listeners


def through(start: Any, options: dict[str, Any], servers: Sequence[Row], keys: Sequence[bytes]) -> list[int]:
    with listening(servers) as listeners, start(servers, options) as port:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as link,
            link.makefile("rb") as replies,
        ):
            for key in keys:
                link.sendall(b"get %b\r\n" % key)
                assert replies.readline() == b"END\r\n", key
        owner = {key: index for index, listener in enumerate(listeners) for key in listener.heard}
    return [owner[key] for key in keys]


def twemproxy(servers: Sequence[Row], params: dict[str, Any], keys: Sequence[bytes]) -> list[int]:
    return through(programs.nutcracker, {k: v for k, v in params.items() if v}, servers, keys)


def memcached_proxy(servers: Sequence[Row], params: dict[str, Any], keys: Sequence[bytes]) -> list[int]:
    options = {name: value for name, value in params.items() if value is not None}
    if options["hash"] == "xxh3":
        del options["hash"]
    if options.get("omode") == "default":
        del options["omode"]
    return through(programs.memcached_proxy, options, servers, keys)


# ---- the cases


def twemproxy_cases() -> Iterator[tuple[str, Sequence[Row], dict[str, Any]]]:
    for i, word in enumerate(settling.TWEMPROXY_HASHES):
        servers = (EQUAL, PORTS, WEIGHTS, NAMED)[i % 4]
        yield f"ketama-{word}", servers, {"hash": word, "distribution": "ketama", "hash_tag": None}
        yield f"modula-{word}", WEIGHTS, {"hash": word, "distribution": "modula", "hash_tag": None}
    yield "ketama-many", MANY, {"hash": "md5", "distribution": "ketama", "hash_tag": None}
    for tag in ("{}", "||"):
        yield f"tag-{ord(tag[0]):x}", EQUAL, {"hash": "fnv1a_64", "distribution": "modula", "hash_tag": tag}


def pylibmc_cases() -> Iterator[tuple[str, Sequence[Row], dict[str, Any]]]:
    for word in ["default", "md5", "crc", "fnv1_64", "fnv1a_64", "fnv1_32", "fnv1a_32", "murmur", "jenkins"]:
        for more in ({}, {"ketama": True}, {"ketama_weighted": True}):
            name = "-".join((word, *more))
            servers = WEIGHTS if word in ("md5", "fnv1_64", "jenkins") else EQUAL
            params = {"hash": word, **more}
            yield name, servers, {"python_behaviors": params, "behaviors_after_servers": []}
    consistent = {"hash": "md5", "distribution": "consistent"}
    yield "ports", PORTS, {"python_behaviors": consistent, "behaviors_after_servers": []}


def proxy_cases() -> Iterator[tuple[str, Sequence[Row], dict[str, Any]]]:
    yield "jump", EQUAL, {"dist": "jump", "hash": "xxh3"}
    yield "jump-seed", EQUAL, {"dist": "jump", "hash": "xxh3", "seed": "a seed"}
    yield "stop", EQUAL, {"dist": "jump", "hash": "xxh3", "filter": "stop", "filter_conf": "|#|"}
    yield "tags", EQUAL, {"dist": "jump", "hash": "xxh3", "filter": "tags", "filter_conf": "{}"}
    for omode in ("ketama", "twemproxy", "evcache"):
        for hash in ("xxh3", "md5"):
            servers = WEIGHTS if hash == "md5" else EQUAL
            equal = [(host, port, 1, None) for host, port, _, _ in servers]
            yield f"{omode}-{hash}", equal, {"dist": "ring", "hash": hash, "omode": omode, "obuckets": 160}
    yield "default", PORTS, {"dist": "ring", "hash": "xxh3", "omode": "default", "obuckets": 40}


def small_cases(*named: tuple[str, Sequence[Row], dict[str, Any]]) -> Any:
    return lambda: iter(named)


TEXT, BYTES = {"key_type": "str"}, {"key_type": "bytes"}
NOBODY = {"username": None, "password": None}
SYSTEMS: dict[str, tuple[str | None, Owners, Any]] = {
    "twemproxy": (None, twemproxy, twemproxy_cases),
    "memcached-proxy": (None, memcached_proxy, proxy_cases),
    "pylibmc": ("pylibmc", pylibmc, pylibmc_cases),
    "pymemcache": ("pymemcache", pymemcache, small_cases(("text", EQUAL, TEXT), ("bytes", PORTS, BYTES))),
    "uhashring": (
        "uhashring",
        uhashring,
        small_cases(
            ("default", WEIGHTS, {"ring": "default", **TEXT}),
            ("bytes", PORTS, {"ring": "default", **BYTES}),
            ("vnodes", EQUAL, {"ring": "default", "vnodes": 17, **TEXT}),
            ("ketama", WEIGHTS, {"ring": "ketama", **TEXT}),
            ("ketama-many", MANY, {"ring": "ketama", **TEXT}),
            ("ketama-replicas", EQUAL, {"ring": "ketama", "replicas": 3, "vnodes": 11, **TEXT}),
        ),
    ),
    "meta-memcache": (
        "meta-memcache",
        meta_memcache,
        small_cases(("ring", PORTS, {"provider": "ring"}), ("modulo", EQUAL, {"provider": "modulo"})),
    ),
    "python-binary-memcached": (
        "python-binary-memcached",
        bmemcached,
        small_cases(
            ("text", EQUAL, {**NOBODY, **TEXT}),
            ("bytes", PORTS, {**NOBODY, **BYTES}),
            ("user", PORTS, {"username": "u", "password": "p", **TEXT}),
        ),
    ),
    "python-memcached": (
        "python-memcached",
        python_memcached,
        small_cases(
            ("default", WEIGHTS, {"hash": "default"}),
            ("crc32", EQUAL, {"hash": "crc32"}),
            ("removed", EQUAL, {"hash": "default", "removed": [1, 4]}),
        ),
    ),
    "libmc": (
        "libmc",
        libmc,
        small_cases(
            *((word, NAMED, {"hash": word}) for word in ("md5", "fnv1_32", "fnv1a_32", "crc_32")),
            ("prefix", EQUAL, {"hash": "md5", "prefix": "app:"}),
        ),
    ),
    "emcache": ("emcache", emcache, small_cases(("equal", EQUAL, {}), ("ports", PORTS, {}))),
    "jump-consistent-hash": (
        "jump-consistent-hash",
        jump,
        small_cases(
            *(
                (word, [], {"key_hash": word, "buckets": n})
                for word, n in (("crc32", 10), ("mmh3-32-seed0", 1000), ("mmh3-64-low-seed7", 65536))
            )
        ),
    ),
}


def cases_of(system: str, keys: Sequence[bytes]) -> list[dict[str, Any]]:
    package, owners, cases = SYSTEMS[system]
    found = []
    for name, servers, params in cases():
        case: dict[str, Any] = {"case": f"{system}-{name}", "system": system, "params": dict(params)}
        case["version"] = importlib.metadata.version(package) if package else programs.version_of(system)
        case["servers"] = servers
        if not servers:
            case["n_servers"] = params["buckets"]
        if "removed" in params:
            case["removed"] = case["params"].pop("removed")
        case["owners"] = owners(servers, params, keys)
        found.append(case)
    return found


# ---- systems that do not install from a package registry

JAVA_NAMED: list[Row] = [(f"cache-{i}.example.com", 11210 + i, i, f"10.1.0.{i}") for i in range(1, 5)]
KETAMA = {"locator": "ketama", "format": "SPYMEMCACHED"}


def frozen_cases() -> Iterator[tuple[str, str, Sequence[Row], dict[str, Any]]]:
    for function in ("Ch3", "Crc32", "ConstShard"):
        yield "mcrouter", function, EQUAL, {"hash_func": function, "key_mode": "routing", "salt": "s"}
    weights = [1, 0.5, 0.1, 0.25, 0, 1]
    yield "mcrouter", "WeightedCh3", EQUAL, {"key_mode": "routing", "weights": weights}
    for function in ("Rendezvous", "WeightedRendezvous"):
        params = {"hash_func": function, "key_mode": "routing", "tags": list("abcdef"), "weights": weights}
        yield "mcrouter", function, EQUAL, params
    for word in ("KETAMA_HASH", "NATIVE_HASH", "CRC_HASH", "FNV1_32_HASH", "FNV1A_64_HASH"):
        yield "spymemcached", word, JAVA_NAMED, {"hash": word, **KETAMA, "weighted": False}
        yield "evcache", word, JAVA_NAMED, {"hash": word, "points": 160}
    yield "spymemcached", "weighted", JAVA_NAMED, {"hash": "KETAMA_HASH", **KETAMA, "weighted": True}
    yield "elasticache-java", "sha384", EQUAL, {"hash": "KETAMA_HASH", **KETAMA, "weighted": False}
    for strategy in ("standard", "consistent"):
        for function in ("crc32", "fnv"):
            name = f"{strategy}-{function}"
            yield "pecl-memcache", name, WEIGHTS, {"hash_strategy": strategy, "hash_function": function}
    for behaviors in ([["KETAMA_WEIGHTED", 1]], [["DISTRIBUTION", "spy"]], [["SORT_HOSTS", 1]]):
        yield "libmemcached", behaviors[0][0], WEIGHTS[::-1], {"behaviors": [["HASH", "murmur3"], *behaviors]}
    option = [["OPT_LIBKETAMA_COMPATIBLE", True]]
    params = {"php_options": option, "php_options_after_servers": [], "servers_added_as": "list"}
    yield "php-memcached", "libketama", WEIGHTS, params


def frozen(keys: Sequence[bytes]) -> list[dict[str, Any]]:
    found = []
    for system, name, servers, params in frozen_cases():
        case: dict[str, Any] = {
            "case": f"{system}-{name}",
            "system": system,
            "params": params,
            "servers": servers,
        }
        case["version"] = "1.2.4" if system == "elasticache-java" else ""
        case["owners"] = [adapter.owner(case, key) for key in keys]
        found.append(case)
    return found


FROZEN = "frozen"


def main(systems: Sequence[str]) -> None:
    keys = make_keys()
    VECTORS.mkdir(parents=True, exist_ok=True)
    (VECTORS / "keys.txt").write_text("".join(f"{key.hex()}\n" for key in keys))
    for system in systems or (*SYSTEMS, FROZEN):
        cases = frozen(keys) if system == FROZEN else cases_of(system, keys)
        lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
        (VECTORS / f"{system}.json").write_text(f"[\n{lines}\n]\n")
        print(system)


if __name__ == "__main__":
    main(sys.argv[1:])
