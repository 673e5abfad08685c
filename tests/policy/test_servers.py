"""Servers and pools: what is read, and what is refused with its place."""

from dataclasses import FrozenInstanceError, fields, replace

import pytest

from mcroute.errors import ConfigError
from mcroute.placement import Like
from mcroute.policy import Pool, Server


@pytest.mark.parametrize(
    ("text", "name", "address", "weight"),
    [
        ("cache1:11212", "cache1:11212", ("cache1", 11212), 1),
        ("cache1", "cache1:11211", ("cache1", 11211), 1),
        ("10.0.0.1:11211:3", "10.0.0.1:11211", ("10.0.0.1", 11211), 3),
        ("[::1]:11213", "[::1]:11213", ("::1", 11213), 1),
        ("[fe80::1]:1:2", "[fe80::1]:1", ("fe80::1", 1), 2),
        ("[::1]", "[::1]:11211", ("::1", 11211), 1),
        ("/run/mc.sock", "/run/mc.sock", "/run/mc.sock", 1),
        ("unix:/run/mc.sock", "/run/mc.sock", "/run/mc.sock", 1),
    ],
)
def test_a_server_is_read_from_text(text, name, address, weight):
    server = Server.parse(text)
    assert (server.name, server.address, server.weight) == (name, address, weight)


@pytest.mark.parametrize(
    "text",
    ["", ":11211", "a:", "a:x", "a:0", "a:65536", "a:1:0", "a:1:2:3", "a:-1", "a:1_0", "a:\u0661",
     "::1", "[::1", "[::1]x", "[]:1", "unix:relative", "/with blank"],
)  # fmt: skip
def test_an_invalid_server_is_refused_with_its_place(text):
    with pytest.raises(ConfigError) as caught:
        Server.parse(text, place="pools.main.servers[2]")
    assert caught.value.place == "pools.main.servers[2]"


def test_a_name_may_be_given():
    assert Server.parse("10.0.0.1:11211", name="cache1").name == "cache1"


@pytest.mark.parametrize(
    ("addresses", "servers"),
    [
        ("a:1", [Server("a:1", "a", 1)]),
        (("a", 1), [Server("a:1", "a", 1)]),
        (("::1", 1), [Server("[::1]:1", "::1", 1)]),
        (Server("x", "a", 1), [Server("x", "a", 1)]),
        (("a:1", "b:1"), [Server("a:1", "a", 1), Server("b:1", "b", 1)]),
        (
            [("a", 1), "b:1:2", Server("x", "c", 1)],
            [Server("a:1", "a", 1), Server("b:1", "b", 1, 2), Server("x", "c", 1)],
        ),
    ],
)
def test_addresses_of_a_pool_are_one_or_several_in_any_form(addresses, servers):
    assert Pool.of("main", addresses).servers == tuple(servers)


@pytest.mark.parametrize(
    "address", [("a", 0), ("a", True), ("a", 1, 2), ("a", "1", 1), 5, b"a:1", ("", 1), ("a b", 1)]
)
def test_an_invalid_address_is_refused_with_its_place(address):
    with pytest.raises(ConfigError) as refused:
        Pool.of("main", ["a:1", address])
    assert refused.value.place == "pools.main.servers[1]"


def test_options_of_a_pool_are_those_of_its_fields():
    given = {"connect_timeout_s": 1.0, "reply_timeout_s": 2.0, "deadline_s": 3.0, "trip_after": 4, "links": 5}
    given |= {"value_max": 6, "identity": "any", "placement": Like("libmc")}
    given |= {"hedge_after_s": 0.1, "hedge_percentile": 90.0}
    assert given.keys() == {option.name for option in fields(Pool) if option.kw_only}
    pool = Pool.of("main", "a:1", **given)
    assert {name: getattr(pool, name) for name in given} == given


def test_a_pool_shows_its_name_first():
    shown = repr(Pool.of("main", "a:1", links=2))
    assert shown.startswith("Pool(name='main', servers=(Server(name='a:1',")
    assert "links=2" in shown
    assert "_ring" not in shown


def test_a_pool_is_a_value():
    pool = Pool.of("main", ["a:1", Server("b", "b", 1)])
    assert pool == Pool.of("main", ["a:1", Server("b", "b", 1)])
    assert hash(pool) == hash(Pool.of("main", ["a:1", Server("b", "b", 1)]))
    with pytest.raises(FrozenInstanceError):
        pool.name = "other"


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"name": ""}, "pools"),
        ({"servers": ()}, "pools.main.servers"),
        ({"servers": (Server("a", "a"), Server("a", "b"))}, "pools.main.servers[1]"),
        ({"connect_timeout_s": 0}, "pools.main.connect_timeout_s"),
        ({"reply_timeout_s": float("nan")}, "pools.main.reply_timeout_s"),
        ({"deadline_s": float("inf")}, "pools.main.deadline_s"),
        ({"trip_after": 0}, "pools.main.trip_after"),
        ({"links": 0}, "pools.main.links"),
        ({"links": 17}, "pools.main.links"),
        ({"value_max": -1}, "pools.main.value_max"),
        ({"identity": "none"}, "pools.main.identity"),
    ],
)
def test_a_pool_that_cannot_work_is_refused_with_its_place(changes, place):
    with pytest.raises(ConfigError) as caught:
        replace(Pool.of("main", ["a:1"]), **changes)
    assert caught.value.place == place


def test_the_ring_is_built_once_and_of_the_servers_names():
    pytest.importorskip("mcroute._ring")
    pool = Pool.of("main", ["a:1", "b:1:2"])
    assert pool.ring() is pool.ring()
    assert tuple(pool.ring().servers) == ("a:1", "b:1")


def test_pools_that_place_keys_alike_share_a_ring():
    pytest.importorskip("mcroute._ring")
    pool = Pool.of("main", ["a:1", "b:1:2"])
    assert replace(pool, name="other", reply_timeout_s=2.0).ring() is pool.ring()
    for different in (
        Pool.of("main", ["a:1", "b:1"]),
        Pool.of("main", ["b:1:2", "a:1"]),
        Pool.of("main", ["a:1", "b:1:2"], distribution="ketama"),
        replace(pool, placement=Like("twemproxy", {"out": "skip"})),
    ):
        assert different.ring() != pool.ring()
    inherited = replace(pool, placement=Like("twemproxy", {"hash": "md5", "out": "skip"}))
    assert replace(inherited, name="other").ring() is inherited.ring()
    assert replace(inherited, placement=Like("twemproxy", {"out": "skip"})).ring() != inherited.ring()


def test_a_distribution_that_does_not_exist_is_refused():
    pytest.importorskip("mcroute._ring")
    with pytest.raises(ConfigError) as caught:
        Pool.of("main", ["a:1", "b:1"], distribution="none such").ring()
    assert caught.value.place == "pools.main.distribution"
