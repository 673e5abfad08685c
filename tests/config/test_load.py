"""From TOML to policy objects: what one builds by hand, and errors that say where and what instead."""

import sys
from pathlib import Path

import pytest

from mcroute import Ring
from mcroute.config import load_config, parse_config
from mcroute.errors import ConfigError
from mcroute.placement import Like
from mcroute.policy import (
    AllAsync,
    ByCommand,
    ByPrefix,
    Error,
    Failover,
    HealthSettings,
    Null,
    Pool,
    PoolRoute,
    Replicate,
    Server,
    SupervisorSettings,
)
from mcroute.policy.warming_settings import WarmingSettings

SERVERS = 'servers = ["10.0.0.1:11211", "10.0.0.2:11211"]'
ONE = '[pools.main]\nservers = ["a:1"]\n'
TWO = ONE + '[pools.spare]\nservers = ["b:1", "b:2"]\n'
MAIN, SPARE = Pool.of("main", ["a:1"]), Pool.of("spare", ["b:1", "b:2"])


def test_a_pool_and_nothing_else_is_a_configuration():
    config = parse_config(ONE)
    assert config.pools == (MAIN,)
    assert config.route == PoolRoute(MAIN)
    assert (config.proxy.host, config.proxy.port) == ("127.0.0.1", 11311)
    assert config.supervisor == SupervisorSettings()
    assert config.plan.servers == MAIN.servers


@pytest.mark.parametrize(
    ("metrics", "address"),
    [
        ("127.0.0.1:9151", ("127.0.0.1", 9151)),
        ("127.1.2.3:1", ("127.1.2.3", 1)),
        ("[::1]:9151", ("::1", 9151)),
        ("localhost:9151", ("localhost", 9151)),
        ("", None),
    ],
)
def test_metrics_are_for_this_machine_alone(metrics, address):
    assert parse_config(f'{ONE}[proxy]\nmetrics = "{metrics}"').proxy.metrics == address


def test_a_proxy_listens_on_a_port_or_on_a_path():
    assert parse_config(ONE).proxy.listen == "127.0.0.1:11311"
    on_path = parse_config(ONE + '[proxy]\nlisten = "unix:/run/mcroute.sock"').proxy
    assert (on_path.path, on_path.listen) == ("/run/mcroute.sock", "unix:/run/mcroute.sock")
    carried = parse_config(ONE + '[proxy]\nloop = "native"\nthreads = 2').proxy
    assert (carried.loop, carried.threads) == ("native", 2)


def test_servers_are_addresses_or_tables():
    config = parse_config(
        "[pools.main]\n"
        'servers = ["a", "b:2:3", { name = "c", address = "[::1]:4", weight = 5 }, { address = "unix:/s" }]\n'
        "reply_timeout_s = 2\n"
        "trip_after = 7\n"
        "links = 3\n"
    )
    assert config.pools[0] == Pool(
        "main",
        (Server("a:11211", "a"), Server("b:2", "b", 2, 3), Server("c", "::1", 4, 5), Server("/s", path="/s")),
        reply_timeout_s=2,
        trip_after=7,
        links=3,
    )


@pytest.mark.parametrize(
    ("text", "route"),
    [
        ('route = "spare"', PoolRoute(SPARE)),
        ('route = { type = "pool", pool = "main" }', PoolRoute(MAIN)),
        ('route = { type = "replicate", pool = "spare", write = "async" }', Replicate(SPARE, 2, "async")),
        (
            'route = { type = "failover", children = ["main", "spare"] }',
            Failover([PoolRoute(MAIN), PoolRoute(SPARE)]),
        ),
        ('route = { type = "all_async", children = [{ type = "null" }] }', AllAsync([Null()])),
        (
            'route = { type = "by_prefix", routes = { "u:" = "spare" }, default = { type = "error" } }',
            ByPrefix({"u:": PoolRoute(SPARE)}, Error()),
        ),
        (
            'route = { type = "by_command", routes = { delete = "spare" }, default = "main" }',
            ByCommand({"delete": PoolRoute(SPARE)}, PoolRoute(MAIN)),
        ),
    ],
)
def test_a_configured_route_equals_one_built_by_hand(text, route):
    assert parse_config(f"{text}\n{TWO}").route == route


def test_the_supervisor_gets_its_settings():
    config = parse_config(ONE + "[health]\nretry_base_s = 2\npanic_share = 0.7\n")
    assert config.supervisor == SupervisorSettings(HealthSettings(retry_base_s=2), panic_share=0.7)


def test_servers_are_warmed_as_configured():
    config = parse_config(ONE + "[warming]\nkeys_per_s = 0\nservers_max = 1\nkeys_max = 5000\n")
    assert config.supervisor.warming == WarmingSettings(keys_per_s=0, servers_max=1, keys_max=5000)
    assert parse_config(ONE).supervisor.warming == WarmingSettings()


def test_the_retry_budget_is_in_the_plan():
    plan = parse_config(ONE + "[retry]\nshare = 0.5\nfloor_per_s = 0\n").plan
    assert (plan.retry_share, plan.retry_floor_per_s) == (0.5, 0)


@pytest.mark.parametrize(("value", "is_down"), [("true", True), ("false", False)])
def test_a_server_may_be_down(value: str, is_down: bool):
    text = '[pools.main]\nservers = ["a", {{ address = "b", weight = 2, down = {} }}]'
    [pool] = parse_config(text.format(value)).pools
    assert pool.servers == (Server("a:11211", "a"), Server("b:11211", "b", weight=2, down=is_down))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[pools.main]\nservers = [{ address = "a", down = 1 }]',
            "pools.main.servers[0].down: expected true or false, got 1; write for instance down = true",
        ),
        ("", 'pools: there is no pool; write [pools.main] and servers = ["127.0.0.1:11211"]'),
        ("pools = 3", "pools: expected a table, got 3"),
        ("[pool.main]", "pool: no such section; did you mean pools?"),
        ("[pools.main]", f"pools.main: servers is missing; write for instance {SERVERS}"),
        ("[pools.main]\nserver = []", "pools.main.server: no such option; did you mean servers?"),
        ("[pools.main]\nservers = []", "pools.main.servers: a pool needs at least one server"),
        (
            '[pools.main]\nservers = "a:1"',
            f'pools.main.servers: expected an array of servers, got "a:1"; write for instance {SERVERS}',
        ),
        (
            '[pools.main]\nservers = ["a:1", "b:2", "c:0"]',
            "pools.main.servers[2]: port 0 is not between 1 and 65535",
        ),
        ('[pools.main]\nservers = ["a:1", "a:1"]', "pools.main.servers[1]: a second server named a:1"),
        ("[pools.main]\nservers = [1]", "pools.main.servers[0]: expected a table, got 1"),
        (
            '[pools.main]\nservers = [{ name = "a" }]',
            'pools.main.servers[0]: address is missing; write for instance address = "10.0.0.1:11211"',
        ),
        (
            '[pools.main]\nservers = [{ address = "a", weight = 0 }]',
            "pools.main.servers[0].weight: weight 0 is less than 1",
        ),
        (
            '[pools.main]\nservers = [{ address = "a:1:2", weight = 1 }]',
            "pools.main.servers[0]: the weight is given twice, in the address and by itself",
        ),
        (
            ONE + 'trip_after = "3"',
            'pools.main.trip_after: expected an integer, got "3"; write for instance trip_after = 3',
        ),
        (
            ONE + "trip_after = true",
            "pools.main.trip_after: expected an integer, got true; write for instance trip_after = 3",
        ),
        (
            ONE + "trip_after = 3000000000",
            "pools.main.trip_after: 3000000000 is too large; write for instance trip_after = 3",
        ),
        (ONE + "deadline_s = nan", "pools.main.deadline_s: nan is not a number from 0 on"),
        (
            ONE + 'distribution = "Ketma"',
            'pools.main.distribution: "Ketma" is not known; did you mean ketama?',
        ),
        (
            '[pools."my pool"]\nservers = ["a:1:2", "b"]\ndistribution = "jump"',
            'pools."my pool".distribution: weights[0]: jump does not support weights, got 2',
        ),
        (ONE + '[proxy]\nlisten = "x"\nlistne = "y"', "proxy.listne: no such option; did you mean listen?"),
        (ONE + '[proxy]\nlisten = "x:y"', "proxy.listen: 'x:y': port and weight are decimal numbers"),
        (ONE + '[proxy]\nloop = "nativ"', 'proxy.loop: "nativ" is not known; did you mean native?'),
        (ONE + "[proxy]\nthreads = -1", "proxy.threads: -1 is not an integer from 0 to 64"),
        (
            ONE + '[proxy]\nmetrics = "0.0.0.0:9"',
            "proxy.metrics: 0.0.0.0 can be reached from other machines; "
            'write "127.0.0.1:9", behind a proxy that authenticates',
        ),
        (
            ONE + '[proxy]\nmetrics = "cache1:9"',
            "proxy.metrics: cache1 can be reached from other machines; "
            'write "127.0.0.1:9", behind a proxy that authenticates',
        ),
        (ONE + "deadline_s = 0", "pools.main.deadline_s: 0 is not a positive, finite number of seconds"),
        (ONE + "[health]\njitter = 1.5", "health.jitter: 1.5 is not a number from 0 to 1"),
        (ONE + "[health]\nretry_cap_s = inf", "health.retry_cap_s: inf is not a number from 0.01 on"),
        (ONE + "[warming]\nkeys_per_s = -1", "warming.keys_per_s: -1 is not a number from 0 to 1000000"),
        (ONE + "[warming]\nservers_max = 0", "warming.servers_max: 0 is not an integer from 1 on"),
        (ONE + "[retry]\nshare = -1", "retry.share: -1 is not a number from 0 on"),
        (TWO, "route: is missing, and there are 2 pools to choose from"),
        ("route = 'mian'\n" + ONE, "route: there is no pool 'mian'; did you mean main?"),
        (
            ONE + "[route]",
            "route: type is missing; it is one of pool, replicate, failover, miss_failover, warm, "
            "all_sync, all_majority, all_fastest, all_async, by_prefix, by_command, null, error",
        ),
        (
            ONE + '[route]\ntype = "fail-over"',
            "route.type: 'fail-over' is no type of route; did you mean failover?",
        ),
        (ONE + '[route]\ntype = "failover"\nchildren = []', "route: Failover needs at least one child"),
        (
            TWO + 'copies = 2\n[route]\ntype = "warm"\ncold = "main"\nwarm = "spare"',
            "route.warm: pool spare has copies; this route takes pools without copies",
        ),
        (
            ONE + '[route]\ntype = "warm"\ncold = "main"',
            'route: warm is missing; write for instance warm = "old"',
        ),
        (
            ONE + '[route]\ntype = "warm"\ncold = "main"\nwarm = "main"',
            "route.warm: server a:1 is in the pool main too",
        ),
        (
            ONE + '[route]\ntype = "failover"\nchildren = ["main", { type = "replicate", pool = "main" }]',
            "route.children[1].copies: 2 copies on 1 servers (at most 8)",
        ),
        (
            ONE
            + '[route]\ntype = "by_prefix"\ndefault = "main"\n[route.routes."u:"]\ntype = "pool"\npool = "x"',
            "route.routes.\"u:\".pool: there is no pool 'x'; there is main",
        ),
        (
            ONE + '[route]\ntype = "by_prefix"\ndefault = "main"\nroutes = { "" = "main" }',
            "route: the empty prefix is what `default` is for",
        ),
        (
            ONE + '[route]\ntype = "by_command"\ndefault = "main"\nroutes = { deletes = "main" }',
            "route.routes.deletes: no such kind of command; did you mean delete?",
        ),
        (
            ONE + '[route]\ntype = "error"\nmessage = "a\\nb"',
            "route.message: has to be one line of printable text",
        ),
    ],
)
def test_an_error_names_the_place_and_a_correction(text, message):
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "mcroute.toml")
    assert str(caught.value) == f"mcroute.toml: {message}"


def test_an_error_in_toml_is_named_by_line_and_column():
    with pytest.raises(ConfigError, match=r"^mcroute.toml: is not TOML: .*line 2, column"):
        parse_config("[proxy]\nlisten = !", "mcroute.toml")


def test_a_file_is_read_as_utf8(tmp_path: Path):
    path = tmp_path / "mcroute.toml"
    path.write_bytes('[pools."größer"]\nservers = ["a:1"]'.encode())
    assert load_config(path).pools[0].name == "größer"
    path.write_bytes(b"# \xff")
    with pytest.raises(ConfigError, match="is not UTF-8: byte 2 is 0xff"):
        load_config(path)


@pytest.mark.skipif(sys.platform == "win32", reason="the words of the operating system")
def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"nothing.toml: cannot be read: No such file"):
        load_config(tmp_path / "nothing.toml")


def test_the_example_is_a_good_configuration():
    config = load_config(Path(__file__).parents[2] / "examples" / "proxy.toml")
    assert [pool.name for pool in config.pools] == ["main", "sessions"]


# ---- placement ----

TAGGED = (
    '[pools.main]\nservers = ["10.0.0.1:11211", "10.0.0.2:11211", "/run/c.sock"]\n[pools.main.placement]\n'
)


def test_a_pool_may_place_keys_as_another_system() -> None:
    pool = parse_config(TAGGED + 'like = "twemproxy"\nhash = "md5"\nhash_tag = "{}"\n').pools[0]
    assert pool.placement == Like("twemproxy", {"hash": "md5", "hash_tag": "{}", "out": "skip"})
    servers = [("10.0.0.1",), ("10.0.0.2",), ("/run/c.sock",)]
    assert pool.ring() == Ring.like("twemproxy", servers, keys="wire", hash="md5", hash_tag="{}", out="skip")
    assert pool.ring().owner("a{user}b") == pool.ring().owner("user")
    assert hash(pool) == hash(parse_config(TAGGED + 'like="twemproxy"\nhash="md5"\nhash_tag="{}"').pools[0])


def test_names_and_weights_of_servers_count_in_a_placement() -> None:
    text = '[pools.main]\nservers = [{address = "a:1", name = "x", weight = 3}, "b:2"]\n'
    pool = parse_config(text + '[pools.main.placement]\nlike = "twemproxy"\n').pools[0]
    assert pool.ring() == Ring.like("twemproxy", ["a:1:3 x", "b:2:1"], keys="wire", out="skip")


@pytest.mark.parametrize(
    ("lines", "place", "message"),
    [
        ("", "pools.main.placement", "like is missing"),
        ('like = "twemproxi"', "pools.main.placement.like", "did you mean twemproxy"),
        ('like = "twemproxy"\nhashes = 1', "pools.main.placement.hashes", "did you mean 'hash'"),
        ('like = "twemproxy"\nhash = "sha"', "pools.main.placement.hash", "is not known"),
        ('like = "twemproxy"\nout = "drop"', "pools.main.placement.out", "is not known"),
        ('like = "pylibmc"', "pools.main.servers", "does not mix"),
        (
            'like = "twemproxy"\nauto_eject_hosts = true\nout = "theirs"',
            "pools.main.placement.out",
            "does not recompute points",
        ),
    ],
)
def test_a_placement_that_cannot_work_is_refused_by_place(lines: str, place: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse_config(TAGGED + lines)
    assert caught.value.place == place


def test_a_distribution_beside_a_placement_is_refused() -> None:
    text = TAGGED.replace("[pools.main.placement]", 'distribution = "jump"\n[pools.main.placement]')
    with pytest.raises(ConfigError, match="remove one of the two"):
        parse_config(text + 'like = "twemproxy"')
