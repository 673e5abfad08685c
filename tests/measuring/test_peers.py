"""The table of peers: all that is templates can be filled in, and all of mcroute's policies are valid."""

from __future__ import annotations

import shlex
from pathlib import Path
from string import Template

import pytest

from benches.proxies import peers
from benches.proxies.peers import GROUPS, PEERS, Peer, Tools, peers_named
from benches.proxies.workloads import SHOWN_ROWS, WORKLOADS, workloads_named
from mcroute.config import parse_config

VALUES = {"dir": "/there", "threads": "2", "python": "python", "floor": "floor", **vars(Tools())}
VALUES |= {name: str(port) for port, name in enumerate(("port", "spare", "closed"), 1000)}
VALUES |= {f"port{i}": f"200{i}" for i in range(4)} | {f"server{i}": f"127.0.0.1:200{i}" for i in range(4)}


@pytest.mark.parametrize("peer", PEERS.values(), ids=lambda peer: peer.name)
def test_its_command_and_files_can_be_filled_in(peer: Peer) -> None:
    command = shlex.split(Template(peer.command).substitute(VALUES))
    files = {name: Template(text).substitute(VALUES) for name, text in peer.files.items()}
    assert ("1000" in " ".join([*command, *files.values()])) == bool(peer.command)
    assert all(f"/there/{name}" in " ".join(command) for name in files)


@pytest.mark.parametrize(
    "peer", [p for p in PEERS.values() if "mcroute.toml" in p.files], ids=lambda p: p.name
)
def test_its_policy_is_valid_and_reaches_all_servers(peer: Peer) -> None:
    config = parse_config(Template(peer.files["mcroute.toml"]).substitute(VALUES))
    reached = {server.port for server in config.plan.servers}
    assert reached - {1002} == {2000, 2001, 2002, 2003}
    assert (1002 in reached) == (peer.name == "mcroute-ejected")
    assert (config.proxy.host, config.proxy.port) == ("127.0.0.1", 1000)


def test_groups_name_peers() -> None:
    assert {name for group in GROUPS.values() for name in group} <= set(PEERS)


def test_names_and_groups_are_taken_once_in_their_order() -> None:
    names = [peer.name for peer in peers_named("floor,readme,floor", ["mine=./mine -p $port"])]
    assert names == ["floor", *(name for name in GROUPS["readme"] if name != "floor"), "mine"]


def test_an_unknown_name_is_named() -> None:
    with pytest.raises(ValueError, match="no peer or group 'nutcrakcer'"):
        peers_named("nutcrakcer")
    with pytest.raises(ValueError, match="no workload 'x'"):
        workloads_named("a,x")


def test_rows_are_named_by_letters() -> None:
    assert [row.letter for row in workloads_named("c, a")] == ["c", "a"]
    assert workloads_named(SHOWN_ROWS)
    assert {row.letter for row in WORKLOADS.values() if row.is_idle} == {"i"}


def test_a_peer_that_is_not_installed_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    tools = Tools(nutcracker=missing, memcached_proxy=missing)
    assert PEERS["nutcracker-v4"].absent(tools) == f"there is no {missing}"
    assert PEERS["memcached-proxy"].absent(tools) == f"there is no {missing}"
    assert PEERS["mcroute"].absent(tools) is None
    monkeypatch.setattr(peers, "compiler", lambda: None)
    assert PEERS["floor"].absent(tools) == "no C compiler is installed"


def test_a_memcached_without_its_proxy_is_none(tmp_path: Path) -> None:
    program = tmp_path / "memcached"
    program.write_text("#!/bin/sh\necho '-p, --port=<num>'\n")
    program.chmod(0o755)
    reason = PEERS["memcached-proxy"].absent(Tools(memcached_proxy=str(program)))
    assert reason
    assert "--memcached-proxy" in reason
