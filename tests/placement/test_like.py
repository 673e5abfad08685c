"""Ring.like: the systems' own words, what they refuse, what they do that people do not expect."""

from __future__ import annotations

import copy
import hashlib
import pickle
import sys
import warnings
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcroute import Ring
from mcroute.errors import ConfigError, PlacementWarning
from mcroute.placement import SYSTEMS, Address

THREE = ["10.0.0.1:11211", "10.0.0.2:11212", "10.0.0.3:11213"]
TEN = [f"10.0.0.{i}:11211" for i in range(1, 11)]
KEYS = [f"user:{i}:profile" for i in range(500)]

# The options that a system requires besides its servers.
NEEDED = {
    "elasticache-java": {"version": "1.2.4"},
    "evcache": {"reverse": {f"10.0.0.{i}": f"cache-{i}" for i in range(1, 11)}},
}
of_each = pytest.mark.parametrize("system", SYSTEMS)


def like(system: str, servers: object = THREE, **options: object) -> Ring:
    return Ring.like(system, servers, **{**NEEDED.get(system, {}), **options})


# ---- every system


@of_each
def test_every_system_places_with_its_defaults(system: str) -> None:
    ring = like(system)
    owners = ring.route_many(KEYS).tolist()
    assert set(owners) == {0, 1, 2}
    assert owners == [ring.owner(key.encode()) for key in KEYS]
    assert ring.distribution == system


@of_each
def test_skipping_goes_on_to_the_next_candidate(system: str) -> None:
    ring = like(system, TEN)
    for key in KEYS[:50]:
        candidates = ring.candidates(key)
        assert sorted(candidates) == list(range(10))
        assert ring.owner(key, candidates[:3]) == candidates[3]


@of_each
def test_an_inherited_ring_is_a_value(system: str) -> None:
    ring = like(system)
    assert ring == like(system) == pickle.loads(pickle.dumps(ring)) == copy.deepcopy(ring)
    assert hash(ring) == hash(like(system))
    assert eval(repr(ring)) == ring
    assert ring != like(system, THREE[:2])


@of_each
def test_options_are_declared(system: str) -> None:
    for option in SYSTEMS[system].options:
        assert option.name.isidentifier()
        assert not option.choices or option.default in (*option.choices, None)


@of_each
def test_layouts_and_hashes_exist(system: str) -> None:
    row = SYSTEMS[system]
    assert row.layouts and row.version
    choice = row.settle(like(system).inherited.asked)
    assert choice.layout in row.layouts and choice.out in row.outs


def test_unknown_words_are_refused_with_the_nearest() -> None:
    for call, message in (
        (lambda: like("twemproxi"), "did you mean 'twemproxy'"),
        (
            lambda: like("twemproxy", hashes="md5"),
            "hashes: twemproxy has no such option; did you mean 'hash'",
        ),
        (lambda: like("twemproxy", hash="fnv1a64"), "hash: 'fnv1a64' is not known; did you mean 'fnv1a_64'"),
        (lambda: like("twemproxy", out="eject"), "out: 'eject' is not known"),
        (lambda: like("twemproxy", auto_eject_hosts=1), "auto_eject_hosts: 1 does not have the type"),
        (lambda: like("memcached-proxy", obuckets=True), "obuckets: True does not have the type of 160"),
        (lambda: like("libmemcached", behaviors=5), "behaviors: 5 does not have the type"),
        (lambda: like("spymemcached", reverse={"10.0.0.1": True}), "reverse: True is not text"),
        (lambda: like("spymemcached", reverse=[("10.0.0.1", "a")]), "reverse: .* is not a mapping"),
        (lambda: like("twemproxy", 3), "their number is not enough"),
        (lambda: like("twemproxy", []), "servers: there is none"),
        (lambda: like("twemproxy", "a:1"), "not one text"),
        (lambda: like("twemproxy", ["a:x"]), r"servers\[0\]"),
        (lambda: like("jump-consistent-hash", 0), "0 is not a number of servers"),
    ):
        with pytest.raises(ConfigError, match=message):
            call()


# ---- what the systems refuse

WEIGHTED = {"hash_func": "WeightedRendezvous", "tags": ["a", "b", "c"]}


@pytest.mark.parametrize(
    ("system", "servers", "options", "reason"),
    [
        ("twemproxy", THREE, {"distribution": "random"}, "no place that could be kept"),
        ("twemproxy", ["a:1:1 x", "b:1:1 x"], {}, "two servers are named 'x'"),
        ("twemproxy", THREE, {"hash_tag": "{"}, "two characters"),
        ("libmemcached", THREE, {"behaviors": [("HASH", "hsieh")]}, "setting it fails"),
        ("libmemcached", THREE, {"behaviors": [("DISTRIBUTION", "random")]}, "no place that could be kept"),
        ("libmemcached", THREE, {"behaviors": [("DISTRIBUTION", "virtual_bucket")]}, "not part of"),
        ("pylibmc", ["a:1", "/run/b.sock"], {}, "does not mix"),
        ("uhashring", THREE, {"hash_fn": len}, "hash function is not supported"),
        ("uhashring", THREE, {"replicas": 5}, "1 to 4 words"),
        ("uhashring", THREE, {"vnodes": float("inf")}, "not a number of points"),
        ("meta-memcache", THREE, {"vnodes": -1}, "not a number of points"),
        ("mcrouter", THREE, {"hash_func": "Latest"}, "no place that could be kept"),
        ("mcrouter", THREE, {"hash_func": "Rendezvous"}, "tags"),
        ("mcrouter", THREE, {"weights": [1.5, 1, 1]}, "from 0 to 1"),
        ("mcrouter", THREE, {"hash_func": "Rendezvous", "tags": "abc"}, "not a list of names"),
        ("mcrouter", THREE, {**WEIGHTED, "weights": [1, -1, 1]}, "numbers from 0 on"),
        ("mcrouter", THREE, {**WEIGHTED, "weights": [1, float("nan"), 1]}, "numbers from 0 on"),
        ("mcrouter", 3, {"hash_func": "Rendezvous"}, "give tags"),
        ("mcrouter", 1 << 24, {}, "more than the 8388608"),
        ("jump-consistent-hash", 1 << 31, {}, "from 1 to"),
        ("jump-consistent-hash", 3, {"seed": -1}, "not a number of 32 bits"),
        ("python-memcached", [("a", 1, 1e308)], {}, "weight"),
        ("python-memcached", [("a", 1, "x")], {}, "weight 'x'"),
        ("memcached-proxy", THREE, {"dist": "ring", "omode": "ketama", "obuckets": 30}, "left unset"),
        ("spymemcached", ["cache-a:11211"], {"locator": "ketama", "hash": "KETAMA_HASH"}, "which address"),
        ("elasticache-java", THREE, {"version": ""}, "give the version"),
        ("elasticache-java", THREE, {"version": "new"}, "not like 1.2.4"),
    ],
)
def test_refusals_give_the_reason(system: str, servers: object, options: dict, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        like(system, servers, **options)


@pytest.mark.filterwarnings("ignore::mcroute.errors.PlacementWarning")
@pytest.mark.parametrize("obuckets", [0, -160])
def test_rings_without_a_point_are_refused(obuckets: int) -> None:
    with pytest.raises(ValueError, match="no server has a point"):
        like("memcached-proxy", dist="ring", obuckets=obuckets)


# ---- traps


@pytest.mark.parametrize(
    ("system", "options"),
    [
        ("twemproxy", {"hash": "crc32"}),
        ("libmemcached", {"behaviors": [("KETAMA_WEIGHTED", 1), ("HASH", "crc")]}),
        ("php-memcached", {"options": [("OPT_LIBKETAMA_COMPATIBLE", True), ("OPT_HASH", "HASH_CRC")]}),
    ],
)
def test_the_one_server_ring_is_reproduced_with_a_warning(system: str, options: dict) -> None:
    with pytest.warns(PlacementWarning, match="15 bits"):
        ring = like(system, **options)
    assert len(set(ring.route_many(KEYS))) == 1


def test_a_server_without_points_is_warned_of() -> None:
    with pytest.warns(PlacementWarning, match="tiny gets no point"):
        ring = like("twemproxy", ["10.0.0.1:11211:5000 a", "10.0.0.2:11211:1 tiny", "10.0.0.3:11211:5000 b"])
    assert set(ring.route_many(KEYS)) == {0, 2}


def test_servers_that_are_called_the_same_are_warned_of() -> None:
    resolved = {"cache": "10.0.0.1"}
    with pytest.warns(PlacementWarning, match="have one name"):
        like("evcache", ["cache:11211", "cache:11212"], resolved=resolved, reverse={})


def test_names_by_reverse_lookup_are_warned_of() -> None:
    options = {"locator": "ketama", "hash": "KETAMA_HASH", "format": "LIBMEMCACHED"}
    with pytest.warns(PlacementWarning, match="in reverse"):
        like("spymemcached", **options)
    like("spymemcached", **options, reverse={t.partition(":")[0]: f"cache-{i}" for i, t in enumerate(THREE)})


# ---- notations of servers


@pytest.mark.parametrize(
    ("system", "text", "address"),
    [
        ("twemproxy", "10.0.0.1:11211:2 alpha", Address("10.0.0.1", 11211, 2, "alpha")),
        ("twemproxy", "::1:24901:1", Address("::1", 24901, 1)),
        ("twemproxy", "/run/a.sock:3", Address("/run/a.sock", 0, 3)),
        ("libmemcached", "cache:11212 7", Address("cache", 11212, 7)),
        ("libmemcached", "cache:11212:7", Address("cache", 11212, 7)),
        ("pylibmc", "[::1]:11213", Address("::1", 11213)),
        ("pylibmc", "cache", Address("cache", 11211)),
        ("libmc", "cache:11212 alias", Address("cache", 11212, 1, "alias")),
        ("uhashring", "node-1", Address("node-1", 11211, 1, "node-1")),
    ],
)
def test_servers_are_read_in_the_systems_notation(system: str, text: str, address: Address) -> None:
    ring = like(system, [text])
    assert ring.inherited is not None and ring.inherited.servers == (address,)


@pytest.mark.parametrize("system", ["twemproxy", "uhashring", "pecl-memcache"])
def test_weights_that_leave_nobody_are_refused(system: str) -> None:
    nobody = [("10.0.0.1", 11211, 0), ("10.0.0.2", 11211, 0)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PlacementWarning)
        with pytest.raises(ValueError, match="no server has a point"):
            like(system, nobody)
    with pytest.raises(ConfigError, match=r"servers\[1\]: weight -1"):
        like(system, [nobody[0], ("10.0.0.2", 11211, -1)])
    with pytest.raises(ConfigError, match="weight nan"):
        like(system, [("10.0.0.2", 11211, float("nan"))])


def test_servers_may_be_tuples_objects_and_a_mapping() -> None:
    texts = like("twemproxy", ["a:11211:2 x", "/run/b.sock:1"])
    assert like("twemproxy", [("a", 11211, 2, "x"), ("/run/b.sock",)]) == texts
    assert like("twemproxy", [Address("a", 11211, 2, "x"), Address("/run/b.sock", 0)]) == texts
    weights = like("uhashring", {"n1": 1, "n2": 3})
    assert weights.weights == (1, 3)
    assert weights.servers == ("n1", "n2")


def test_sizeof_includes_the_table() -> None:
    small, large = like("uhashring", THREE), like("uhashring", TEN)
    assert 8 * 480 < sys.getsizeof(small) < sys.getsizeof(large) < 40 * 1600


def test_servers_may_only_be_counted() -> None:
    ring = like("mcrouter", 1_000_000)
    assert len(ring) == len(ring.servers) == 1_000_000
    owner = ring.owner("key")
    assert ring.servers[owner] == str(owner)
    assert ring.owner("key", [owner]) != owner
    assert ring.servers[:2] == ["0", "1"]


# ---- keys


def md5_place(text: bytes) -> int:
    return int.from_bytes(hashlib.md5(text, usedforsecurity=False).digest()[:4], "little")


@pytest.mark.parametrize(
    ("tag", "key", "hashed"),
    [
        ("{}", "a{b}c", "b"),
        ("{}", "a{}c", "a{}c"),
        ("{}", "{}{x}", "{}{x}"),
        ("{}", "a{b", "a{b"),
        ("{}", "}a{b}", "b"),
        ("{}", "a{b{c}d}", "b{c"),
        ("$$", "a$b$c", "b"),
        ("", "a{b}c", "a{b}c"),
    ],
)
def test_twemproxy_hashes_the_inside_of_a_tag(tag: str, key: str, hashed: str) -> None:
    ring = like("twemproxy", TEN, hash="crc32a", distribution="modula", hash_tag=tag)
    order = [index for _, index, _ in ring.inherited.placement.laid]
    assert ring.owner(key) == order[zlib.crc32(hashed.encode()) % 10]


@pytest.mark.parametrize(
    ("options", "key", "hashed"),
    [
        ({"filter": "tags", "filter_conf": "{}"}, "a{}c", ""),
        ({"filter": "tags", "filter_conf": "{}"}, "a{b}c", "b"),
        ({"filter": "stop", "filter_conf": "|#|"}, "a|#|b|#|c", "a"),
        ({"filter": "stop", "filter_conf": "|#|"}, "|#|b", ""),
        ({"filter": "stop", "filter_conf": "|#|"}, "a|#b", "a|#b"),
    ],
)
def test_the_proxy_filters_keys(options: dict, key: str, hashed: str) -> None:
    assert like("memcached-proxy", TEN, **options).owner(key) == like("memcached-proxy", TEN).owner(hashed)


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        ("/region/cluster/key|#|tail", "key"),
        ("/region/key", "/region/key"),
        ("/a/b/", ""),
        ("|#|abc", ""),
        ("key|#|a|#|b", "key"),
        ("key", "key"),
    ],
)
def test_mcrouter_hashes_the_routing_key(key: str, hashed: str) -> None:
    whole = like("mcrouter", 1000, hash_func="Crc32", routing_key=False)
    assert like("mcrouter", 1000, hash_func="Crc32").owner(key) == whole.owner(hashed)
    salted = like("mcrouter", 1000, hash_func="Crc32", salt="x")
    assert salted.owner(key) == whole.owner(hashed + "x")


@pytest.mark.parametrize(
    ("key", "shard"), [("x:12:y", 12), ("x:007:y", 7), ("x:1000:y", None), ("x:1a:y", None), ("x::y", None)]
)
def test_a_shard_may_be_named_in_the_key(key: str, shard: int | None) -> None:
    found = like("mcrouter", 1000, hash_func="ConstShard").owner(key)
    assert found == (like("mcrouter", 1000).owner(key) if shard is None else shard)


def test_evcache_may_hash_the_part_before_a_delimiter() -> None:
    options = {"resolved": {}, "reverse": {t.partition(":")[0]: f"cache-{t}" for t in TEN}}
    ring = like("evcache", TEN, partial_key=True, delimiter=":", **options)
    whole = like("evcache", TEN, **options)
    assert ring.owner("user:1") == ring.owner("user:2") == whole.owner("user")
    assert ring.owner(":user") == whole.owner(":user")


@given(key=st.binary(min_size=1, max_size=250))
def test_bytes_are_hashed_as_python_writes_them(key: bytes) -> None:
    as_bytes, as_text = like("uhashring", TEN, key_type="bytes"), like("uhashring", TEN)
    assert as_bytes.owner(key) == as_text.owner(repr(key))


@given(key=st.text(min_size=1, max_size=80))
def test_pymemcache_hashes_the_low_bits_of_characters(key: str) -> None:
    cut = "".join(chr(ord(c) & 0xFF) for c in key)
    assert like("pymemcache", TEN).owner(key) == like("pymemcache", TEN).owner(cut)


def test_keys_longer_than_any_room_are_placed() -> None:
    for system, options in (("uhashring", {"key_type": "bytes"}), ("pymemcache", {}), ("emcache", {})):
        ring = like(system, TEN, **options)
        assert {ring.owner("k" * n) for n in (2000, 20_000, 20_001, 20_002, 30_000)} <= set(range(10))
    weighted = like("mcrouter", TEN, weights=[0.01] * 10)
    assert 0 <= weighted.owner("k" * 5000) < 10


# ---- prefixes: what the application says, and what goes over the wire


@pytest.mark.parametrize(
    ("system", "options", "prefix"),
    [
        ("pymemcache", {"key_prefix": "app:"}, "app:"),
        ("libmc", {"prefix": "app:"}, "app:"),
        ("php-memcached", {"options": [("OPT_PREFIX_KEY", "app:")]}, "app:"),
        ("libmemcached", {"namespace": "app:"}, "app:"),
        ("libmemcached", {"namespace": "app:", "behaviors": [("HASH_WITH_PREFIX_KEY", 1)]}, "app:"),
    ],
)
def test_keys_on_the_wire_begin_with_the_prefix(system: str, options: dict, prefix: str) -> None:
    client, wire = like(system, TEN, **options), like(system, TEN, keys="wire", **options)
    assert client.route_many(KEYS) == wire.route_many([prefix + key for key in KEYS])


def test_libmc_keeps_a_question_mark_in_front() -> None:
    with_prefix, without = like("libmc", TEN, prefix="app:"), like("libmc", TEN)
    assert with_prefix.owner("?key") == without.owner("?app:key")
    assert like("libmc", TEN, prefix="app:", keys="wire").owner("?app:key") == with_prefix.owner("?key")


def test_a_hashed_prefix_that_makes_keys_too_long_leaves_hash_0() -> None:
    options = {"namespace": "p" * 50, "behaviors": [("HASH_WITH_PREFIX_KEY", 1)]}
    ring = like("libmemcached", TEN, **options)
    assert {ring.owner("k" * n) for n in range(201, 250)} == {0}
    assert len({ring.owner("k" * n) for n in range(1, 201)}) > 1


# ---- libmemcached's sequence of calls


def calls(*behaviors: tuple[str, object], **options: object) -> Ring:
    return like("libmemcached", TEN, behaviors=behaviors, **options)


def test_the_order_of_calls_decides() -> None:
    weighted = calls(("KETAMA_WEIGHTED", 1))
    assert calls(("KETAMA_WEIGHTED", 1), ("HASH", "md5")) != weighted
    same = [
        calls(("HASH", "crc"), ("KETAMA_WEIGHTED", 1)),
        calls(("DISTRIBUTION", "weighted"), ("HASH", "md5")),
        calls(("KETAMA_WEIGHTED", 1), ("KETAMA_HASH", "crc")),
    ]
    for ring in same:
        assert ring.route_many(KEYS) == weighted.route_many(KEYS)
    off = calls(("KETAMA_WEIGHTED", 0))
    assert off.route_many(KEYS) == calls(("KETAMA", 1)).route_many(KEYS)
    assert calls(("KETAMA", 0)).route_many(KEYS) == calls().route_many(KEYS)


def test_the_hash_of_points_is_the_one_at_the_last_rebuild() -> None:
    hash_after = calls(behaviors_after_servers=[("DISTRIBUTION", "consistent"), ("HASH", "md5")])
    hash_before = calls(behaviors_after_servers=[("HASH", "md5"), ("DISTRIBUTION", "consistent")])
    assert hash_before.route_many(KEYS) == calls(("HASH", "md5"), ("DISTRIBUTION", "consistent")).route_many(
        KEYS
    )
    assert hash_after.route_many(KEYS) != hash_before.route_many(KEYS)


def test_weights_count_when_servers_are_added_to_a_ring() -> None:
    servers = [("10.0.0.1", 11211, 1), ("10.0.0.2", 11211, 9)]
    ketama = [("HASH", "md5"), ("KETAMA", 1)]
    added_later = like("libmemcached", servers, behaviors=ketama)
    added_before = like("libmemcached", servers, behaviors_after_servers=ketama)
    share = added_later.shares()
    assert share is not None and share[1] > 0.85
    assert added_before.shares() == [0.5, 0.5]


def test_hosts_may_be_sorted() -> None:
    turned = like("libmemcached", TEN[::-1], behaviors=[("SORT_HOSTS", 1)])
    straight = like("libmemcached", sorted(TEN, key=lambda t: t.partition(":")[0].encode()))
    assert [turned.servers[i] for i in turned.route_many(KEYS)] == [
        straight.servers[i] for i in straight.route_many(KEYS)
    ]


def test_pylibmc_has_an_order_of_its_own() -> None:
    one = like("pylibmc", TEN, behaviors={"ketama_weighted": True, "hash": "fnv1_32"})
    assert one.inherited.placement.hash == "md5_32"
    spaces = like("pylibmc", TEN, behaviors={"distribution": "consistent ketama"})
    assert spaces.route_many(KEYS) == like("pylibmc", TEN, behaviors={"ketama": True}).route_many(KEYS)


def test_php_memcached_takes_everything_back_with_its_compatibility() -> None:
    option = "OPT_LIBKETAMA_COMPATIBLE"
    on_and_off = like("php-memcached", TEN, options=[(option, True), (option, False)])
    assert on_and_off.route_many(KEYS) == like("php-memcached", TEN).route_many(KEYS)


# ---- versions, and neighbours


def test_elasticache_changed_its_hash() -> None:
    options = {"locator": "ketama", "hash": "KETAMA_HASH"}
    old, new = (like("elasticache-java", TEN, version=v, **options) for v in ("1.1.3", "1.2.0"))
    spymemcached = like("spymemcached", TEN, **options)
    assert old.route_many(KEYS) == spymemcached.route_many(KEYS)
    assert new.route_many(KEYS) != spymemcached.route_many(KEYS)


def test_libketama_is_the_same_everywhere() -> None:
    rings = [
        like("twemproxy", TEN, hash="md5"),
        calls(("KETAMA_WEIGHTED", 1)),
        like("pylibmc", TEN, behaviors={"ketama_weighted": True}),
        like("php-memcached", TEN, options=[("OPT_LIBKETAMA_COMPATIBLE", True)]),
        like("memcached-proxy", TEN, dist="ring", hash="md5", omode="twemproxy"),
    ]
    first = rings[0].route_many(KEYS)
    assert all(ring.route_many(KEYS) == first for ring in rings)


# ---- a server is out


def test_points_are_laid_out_anew_without_a_server() -> None:
    servers = [(f"10.0.0.{i}", 11211, weight) for i, weight in enumerate((1, 2, 3, 5, 10), 1)]
    ring = like("twemproxy", servers, out="theirs", auto_eject_hosts=True)
    without = like("twemproxy", servers[:2] + servers[3:])
    for key in KEYS:
        found = without.owner(key)
        assert ring.owner(key, [2]) == ring.route_many([key], [2])[0] == found + (found >= 2)
    assert ring.owners("key", 5, [2])[0] == ring.owner("key", [2])
    assert ring.owner("key", []) == ring.owner("key")
    skipping = like("twemproxy", servers, auto_eject_hosts=True)
    moved = sum(skipping.owner(key, [2]) != ring.owner(key, [2]) for key in KEYS)
    assert moved > 0


@pytest.mark.filterwarnings("ignore::mcroute.errors.PlacementWarning")
@pytest.mark.parametrize("weights", [(1, 1, 1), (1, 0, 0)])
def test_points_are_not_laid_out_anew_for_nobody(weights: tuple[int, ...]) -> None:
    servers = [(f"10.0.0.{i}", 11211, weight) for i, weight in enumerate(weights, 1)]
    ring = like("twemproxy", servers, out="theirs", auto_eject_hosts=True)
    out = [i for i, weight in enumerate(weights) if weight]
    assert ring.candidates("key", out) == []
    with pytest.raises(LookupError):
        ring.owner("key", out)


@pytest.mark.parametrize(
    ("system", "options"),
    [
        ("twemproxy", {}),
        ("mcrouter", {}),
        ("memcached-proxy", {}),
        ("libmc", {}),
        ("spymemcached", {"failure_mode": "Retry"}),
    ],
)
def test_a_key_may_have_nobody_else(system: str, options: dict) -> None:
    ring = like(system, TEN, out="theirs", **options)
    for key in KEYS[:20]:
        owner = ring.owner(key)
        assert ring.candidates(key) == [owner]
        with pytest.raises(LookupError):
            ring.owner(key, [owner])
        assert ring.owner(key, [(owner + 1) % 10]) == owner


def test_python_memcached_hashes_again() -> None:
    ring = like("python-memcached", TEN, out="theirs")
    for key in KEYS[:100]:
        first = zlib.crc32(key.encode()) >> 16 & 0x7FFF
        second = zlib.crc32(f"{first}0".encode()) >> 16 & 0x7FFF
        if first % 10 != second % 10:
            assert ring.owner(key, [first % 10]) == second % 10


def test_pecl_memcache_asks_for_another_key() -> None:
    ring = like("pecl-memcache", TEN, out="theirs")
    for key in KEYS[:100]:
        first, second = ring.owner(key), ring.owner(f"{key}-0")
        if first != second:
            assert ring.owner(key, [first]) == second


def test_spymemcached_gives_up_after_seven_places() -> None:
    ring = like("spymemcached", TEN, out="theirs", locator="ketama", hash="KETAMA_HASH")
    assert all(1 <= len(ring.candidates(key)) <= 7 for key in KEYS)
    gone = [i for i in range(10) if i != 4]
    found = [key for key in KEYS if 4 not in ring.candidates(key)]
    with pytest.raises(LookupError):
        ring.owner(found[0], gone)


def test_warnings_are_given_once_and_point_to_the_caller() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ring = Ring.like("twemproxy", THREE, hash="crc32")
        pickle.loads(pickle.dumps(ring))
    assert [(w.category, w.filename) for w in caught] == [(PlacementWarning, __file__)]
