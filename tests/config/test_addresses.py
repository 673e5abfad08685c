"""Addresses in a configuration: what is meant, or an error that says what to write instead."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mcroute.config import load_config, parse_config
from mcroute.errors import ConfigError
from mcroute.placement import Like
from mcroute.policy import Pool, PoolRoute, Replicate, compile_plan, explain
from mcroute.policy.nodes import Ask

ONE = '[pools.main]\nservers = ["a:1"]\n'


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_config(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("unix:cache.sock", "the path of a unix socket begins with /, as in unix:/run/cache.sock"),
        ("unix:", "the path of a unix socket begins with /"),
        ("/run/c.sock:2", 'is a separate option; write { address = "/run/c.sock", weight = 2 }'),
        ("unix:/run/c.sock:2", 'is a separate option; write { address = "unix:/run/c.sock", weight = 2 }'),
        ("/" + "x" * 200, "a path of 1 to 1"),
        ("/a\\u0000b", "a name without blanks is needed"),
        ("tcp://a:1", "an address has no scheme"),
        ("11211", "'11211' has no host; write for instance 127.0.0.1:11211"),
        ("::1", "an IPv6 address is written in brackets, [::1]:11211"),
        ("fe80::1:11211", "an IPv6 address is written in brackets"),
        ("[::1", "is not [address]:port"),
        ("a b:1", "a name without blanks is needed"),
        ("a/b:1", "'a/b' is no host"),
        (":11211", "is not host:port or host:port:weight"),
        ("a:", "port and weight are decimal numbers"),
        ("a:" + "9" * 5000, "port and weight are decimal numbers"),
        ("a:1:0", "weight 0 is less than 1"),
    ],
)
def test_an_impossible_server_address_is_refused_with_the_reason(address: str, message: str) -> None:
    error = refused(f'[pools.main]\nservers = ["{address}"]')
    assert message in error and error.startswith("pools.main.servers[0]: ")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("x:1:2", "'x:1:2' has a weight, which only servers have; write x:1"),
        ("[::1]:1:2", "write [::1]:1"),
        ("localhost", "'localhost' has no port; write for instance localhost:11311"),
        (":11311", '"0.0.0.0:11311" is every address of this machine'),
        ("11311", "'11311' has no host; write for instance 127.0.0.1:11311"),
        ("unix:mcroute.sock", "the path of a unix socket begins with /"),
        ("x:0", "port 0 is not between 1 and 65535"),
    ],
)
@pytest.mark.parametrize("option", ["listen", "metrics"])
def test_an_error_in_a_listening_address_names_its_option(option: str, address: str, message: str) -> None:
    if option == "metrics" and "unix" in address:
        message = "is the path of a unix socket; host:port is needed"
    error = refused(f'{ONE}[proxy]\n{option} = "{address}"')
    assert message in error and error.startswith(f"proxy.{option}: ")


def test_a_path_to_listen_on_needs_no_word_before_it() -> None:
    assert parse_config(ONE + '[proxy]\nlisten = "/run/m.sock"').proxy.listen == "unix:/run/m.sock"


def test_an_ipv6_address_is_written_in_brackets_again() -> None:
    assert parse_config(ONE + '[proxy]\nlisten = "[::1]:11311"').proxy.listen == "[::1]:11311"


def test_threads_may_be_left_to_the_machine() -> None:
    assert parse_config(ONE + "[proxy]\nthreads = 0").proxy.threads == 0


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("[pools.main]".encode("utf-16"), "save it as UTF-8 instead of UTF-16"),
        (b"x = " + b"[" * 100_000, "is not TOML: "),
        (b"x = " + b"9" * 5000, "is not TOML: "),
        (b"\x00", "is not TOML: "),
        (b"[[pools]]\n", "write [pools.main] instead of [[pools]]"),
        (b'[pools."a\\u0000b"]\nservers = ["a:1"]', "the name of a pool is one line of printable text"),
    ],
)
def test_an_error_names_its_file_for_any_content(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "mcroute.toml"
    path.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert message in str(caught.value) and str(caught.value).startswith(str(path))


def test_a_byte_order_mark_is_read_past(tmp_path: Path) -> None:
    path = tmp_path / "mcroute.toml"
    path.write_bytes(b"\xef\xbb\xbf" + ONE.encode())
    assert load_config(path).pools[0].name == "main"


# ---- copies ----

THREE = '[pools.main]\nservers = ["a:1", "b:1", "c:1"]\n'


@pytest.mark.parametrize(
    ("route", "copies"),
    [
        ("", 2),
        ('route = "main"', 2),
        ('route = { type = "pool", pool = "main" }', 2),
        ('route = { type = "replicate", pool = "main" }', 2),
        ('route = { type = "replicate", pool = "main", copies = 2 }', 2),
    ],
)
def test_a_pool_says_how_many_copies_there_are(route: str, copies: int) -> None:
    config = parse_config(f"{route}\n{THREE}copies = {copies}")
    assert config.route == Replicate(config.pools[0], copies)


def test_children_and_defaults_have_their_pools_copies() -> None:
    config = parse_config(f'route = {{ type = "failover", children = ["main"] }}\n{THREE}copies = 3')
    assert config.route.children == (Replicate(config.pools[0], 3),)  # type: ignore[union-attr]


def test_one_copy_is_a_plain_pool() -> None:
    config = parse_config(THREE + "copies = 1")
    assert config.route == PoolRoute(config.pools[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (THREE + "copies = 4", "pools.main.copies: 4 copies on 3 servers (at most 8)"),
        (THREE + "copies = 0", "pools.main.copies: 0 is not an integer from 1 to 8"),
        (
            'route = { type = "replicate", pool = "main", copies = 3 }\n' + THREE + "copies = 2",
            "route.copies: 3 copies, and pools.main.copies says 2; leave one of them out",
        ),
        (
            'route = { type = "replicate", pool = "main" }\n' + THREE + "copies = 1\ncopy = 1",
            "pools.main.copy: no such option; did you mean copies?",
        ),
    ],
)
def test_copies_that_cannot_be_are_refused(text: str, message: str) -> None:
    assert refused(text) == message


# ---- copies that a placement has no server for ----

SMALL = '[pools.main]\nservers = ["a:1:1000", "b:1:5"]\n'


def test_a_weight_that_gives_a_server_no_key_is_refused_with_the_least_that_does() -> None:
    assert refused(SMALL + 'distribution = "ketama"') == (
        "pools.main.servers[1]: weight 5 of 1005 is too small: ketama gives b:1 no point, and so no key; "
        "the least weight that works is 13"
    )
    assert parse_config(SMALL.replace(":5", ":13") + 'distribution = "ketama"').pools[0].reach() == 2


@pytest.mark.parametrize(
    "options",
    [
        'like = "twemproxy"',
        'like = "libmemcached", behaviors = [["KETAMA_WEIGHTED", true]]',
        'like = "uhashring", hash_fn = "ketama"',
    ],
)
@pytest.mark.filterwarnings("ignore::mcroute.errors.PlacementWarning")
def test_copies_that_an_inherited_placement_has_no_server_for_are_refused(options: str) -> None:
    text = f"{SMALL}placement = {{ {options} }}\n"
    # Without copies, the other system does the same.
    assert parse_config(text).pools[0].reach() == 1
    assert refused(text + "copies = 2").startswith("pools.main.copies: 2 copies, but a key has at most 1: ")


def test_a_key_without_a_copy_is_explained() -> None:
    """The plan is one that no configuration makes."""
    pool = Pool("main", Pool.of("main", ["a:1:1000", "b:1:5"]).servers, placement=Like("twemproxy"))
    plan = compile_plan(PoolRoute(pool))
    plan = replace(plan, nodes=(Ask(0, 1),), root=0)
    with pytest.warns(UserWarning, match="gets no point"):
        assert "ask no server: the key has no copy 1 in main" in str(explain(plan, b"k"))


def test_copies_need_a_placement_that_goes_on_to_the_next_server() -> None:
    text = '[pools.main]\nservers = ["10.0.0.1:1", "10.0.0.2:1"]\n'
    text += 'placement = { like = "twemproxy", out = "theirs" }\n'
    assert parse_config(text).route == PoolRoute(parse_config(text).pools[0])
    assert refused(text + "copies = 2").startswith("pools.main.copies: 2 copies, but a key has at most 1: ")


# ---- one server under two names ----


@pytest.mark.parametrize(
    ("first", "second", "where"),
    [
        ("127.0.0.1:1", '{ name = "b", address = "127.0.0.1:1" }', "127.0.0.1:1"),
        ("127.0.0.1:1", '"[::ffff:127.0.0.1]:1"', "127.0.0.1:1"),
        ("127.0.0.1:1", '"0.0.0.0:1"', "127.0.0.1:1"),
        ("[::1]:1", '"[0:0:0:0:0:0:0:1]:1"', "[::1]:1"),
        ("/s", '{ name = "b", address = "unix:/s" }', "/s"),
    ],
)
def test_two_names_of_one_address_are_refused(first: str, second: str, where: str) -> None:
    error = refused(f'[pools.main]\nservers = ["{first}", {second}]')
    assert error.startswith("pools.main.servers[1]: ") and f"are one server, at {where}" in error


def test_one_name_may_be_in_two_pools() -> None:
    text = '[pools.main]\nservers = ["127.0.0.1:1"]\n[pools.spare]\nservers = ["127.0.0.1:1"]\n'
    parse_config('route = { type = "failover", children = ["main", "spare"] }\n' + text)
    error = refused(
        'route = { type = "failover", children = ["main", "spare"] }\n'
        + text.replace('1"]\n', '1"]\n', 1).replace(
            '[pools.spare]\nservers = ["127.0.0.1:1"]', '[pools.spare]\nservers = ["[::ffff:7f00:1]:1"]'
        )
    )
    assert error.startswith("pools.spare.servers[0]: ")


def test_names_of_hosts_are_left_to_the_command_that_looks_them_up() -> None:
    parse_config('[pools.main]\nservers = ["localhost:1", "127.0.0.1:1"]')


def test_a_pool_without_identity_checks_may_name_an_address_twice() -> None:
    names = '{ name = "a", address = "127.0.0.1:1" }, { name = "b", address = "127.0.0.1:1" }'
    config = parse_config(f'[pools.main]\nidentity = "any"\nservers = [{names}]')
    assert [server.name for server in config.plan.servers] == ["a", "b"]
