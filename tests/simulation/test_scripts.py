"""Fault scripts: read, and mistakes with their places."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcroute.errors import ConfigError
from mcroute.policy import Pool, PoolRoute, compile_plan
from mcroute.simulation.faults import FAULTS, Fault
from mcroute.simulation.scripts import load_script, parse_script
from mcroute.simulation.workload import Workload

PLAN = compile_plan(PoolRoute(Pool.of("main", ["a.test:11211", "10.0.0.1:11211"])))
KILL = '[[faults]]\nkind = "kill"\nserver = "a.test:11211"\nat_s = 1\nfor_s = 2\n'


def test_an_empty_script_has_the_defaults() -> None:
    script = parse_script("", PLAN)
    assert script.workload == Workload()
    assert script.faults == script.other_plans == ()
    assert (script.value_size, script.slow_s) == (100, 0.1)


def test_all_sections_are_read() -> None:
    script = parse_script(
        '[workload]\nrequests_per_s = 7\nvalue_size = "1k"\nslow_ms = 20\n'
        '[memcached]\nversion = "1.6.18"\nmemory = "8m"\n' + KILL + "# first in time\n"
        '[[faults]]\nkind = "slow"\nserver = "10.0.0.1:11211"\nat_s = 0.5\nfor_s = 2\namount = 0.3\n'
        '[[faults]]\nkind = "restart-router"\nrouter = "proxy-2"\nat_s = 3\nfor_s = 1\n',
        PLAN,
        ("proxy-1", "proxy-2"),
    )
    assert script.workload.requests_per_s == 7
    assert (script.value_size, script.slow_s) == (1024, 0.02)
    assert script.server_options.version == "1.6.18"
    assert script.server_options.limits.memory == 8 << 20
    assert script.faults == (
        Fault("slow", "10.0.0.1:11211", 0.5, 2, 0.3),
        Fault("kill", "a.test:11211", 1, 2, 0.0),
        Fault("restart-router", "proxy-2", 3, 1, 0.0),
    )


def test_a_fault_without_an_amount_has_the_default() -> None:
    for kind in ("slow", "flap", "clock", "loss"):
        [fault] = parse_script(KILL.replace('"kill"', f'"{kind}"'), PLAN).faults
        assert fault.amount == FAULTS[kind].amount > 0


def test_a_reload_reads_another_configuration_beside_the_script(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text('[pools.main]\nservers = ["a.test:11211"]\n')
    path = tmp_path / "script.toml"
    path.write_text('[[faults]]\nkind = "reload"\nconfig = "other.toml"\nat_s = 1\nfor_s = 1\n')
    script = load_script(path, PLAN)
    assert [len(plan.servers) for plan in script.other_plans] == [1]
    assert script.faults == (Fault("reload", "proxy-1", 1, 1, 0.0),)


ROUTER = '[[faults]]\nkind = "restart-router"\nat_s = 1\nfor_s = 1\n'
MOVE = KILL.replace('"kill"', '"move"')
RELOAD = '[[faults]]\nkind = "reload"\nat_s = 1\nfor_s = 1\n'


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("x", "s.toml", "is not TOML"),
        ("[worklod]", "s.toml: worklod", "did you mean workload?"),
        ("workload = 1", "s.toml: workload", "expected a table"),
        ("[workload]\nrequest_per_s = 1", "s.toml: workload.request_per_s", "did you mean requests_per_s?"),
        ("[workload]\nreads = 1.5", "s.toml: workload.reads", ""),
        ("[workload]\nkeys = 0", "s.toml: workload.keys", ""),
        ("[workload]\nvalue_size = 1", "s.toml: workload.value_size", ""),
        ('[memcached]\nversion = "1.4"', "s.toml: memcached.version", "1.6.18 on"),
        ("[memcached]\nmemory = 1048576", "s.toml: memcached.memory", "half of the memory"),
        ("faults = 1", "s.toml: faults", "[[faults]]"),
        (KILL.replace('"kill"', '"kil"'), "s.toml: faults[0].kind", "did you mean kill?"),
        (KILL + KILL.replace("a.test", "b.test"), "s.toml: faults[1].server", "did you mean a.test:11211?"),
        (KILL.replace('server = "a.test:11211"\n', ""), "s.toml: faults[0]", "server is missing"),
        (KILL.replace("at_s = 1\n", ""), "s.toml: faults[0]", "at_s is missing"),
        (KILL.replace("at_s = 1\n", "at_s = 30\n"), "s.toml: faults[0].at_s", "not before the end, at 30 s"),
        (KILL + "amount = 1", "s.toml: faults[0].amount", "kill has no amount"),
        (KILL + 'config = "x"', "s.toml: faults[0].config", "only a reload"),
        (KILL + 'router = "proxy-1"', "s.toml: faults[0].router", "fault of a server"),
        (KILL.replace('"kill"', '"loss"') + "amount = 5", "s.toml: faults[0].amount", "from 0 to 1"),
        (KILL.replace('"kill"', '"flap"') + "amount = 0", "s.toml: faults[0].amount", "from 0.01 on"),
        (KILL.replace('"kill"', '"limit"') + "amount = -1", "s.toml: faults[0].amount", "from 0 on"),
        (MOVE.replace("a.test", "10.0.0.1"), "s.toml: faults[0].server", "host name"),
        (ROUTER + 'router = "proxy-7"', "s.toml: faults[0].router", "did you mean proxy-1?"),
        (ROUTER + 'server = "a.test:11211"', "s.toml: faults[0].server", "fault of a router"),
        (RELOAD, "s.toml: faults[0]", "config is missing"),
        (RELOAD + 'config = "none.toml"', "s.toml: none.toml", "cannot be read"),
        (RELOAD + 'amount = 1\nconfig = "x"', "s.toml: faults[0].amount", "no amount"),
    ],
)  # fmt: skip
def test_mistakes_name_their_places(text: str, place: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_script(text, PLAN, place="s.toml")
    assert caught.value.place == place
    assert message in caught.value.message


def test_without_a_proxy_there_is_no_router() -> None:
    with pytest.raises(ConfigError, match="there are none"):
        parse_script(ROUTER + 'router = "proxy-1"', PLAN, ())


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_script(tmp_path / "none.toml", PLAN)
