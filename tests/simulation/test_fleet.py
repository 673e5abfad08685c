"""Hosts of configured servers, and names that lead to them."""

from __future__ import annotations

from random import Random

import pytest

from mcroute.errors import ConfigError
from mcroute.policy import Server
from mcroute.simulation.fleet import Fleet
from mcroute.simulation.loop import SimulationLoop
from mcroute.simulation.network import Network
from mcroute.simulation.servers import ServerOptions


def fleet(*addresses: str) -> Fleet:
    network = Network(Random(1))
    SimulationLoop.of(network)
    made = Fleet(network, ServerOptions())
    made.add(Server.parse(address) for address in addresses)
    return made


def test_servers_with_one_host_name_are_on_one_address() -> None:
    made = fleet("a.test:1", "a.test:2", "b.test:1")
    ends = [host.end for host in made.hosts.values()]
    assert ends[0][0] == ends[1][0] != ends[2][0]
    assert [port for _, port in ends] == [1, 2, 1]


def test_addresses_stay_as_they_are() -> None:
    made = fleet("127.0.0.1:11211", "[::1]:11212")
    assert [host.end for host in made.hosts.values()] == [("127.0.0.1", 11211), ("::1", 11212)]
    assert [made.name_of(name) for name in made.hosts] == ["", ""]


def test_two_names_of_one_endpoint_are_one_process() -> None:
    network = Network(Random(1))
    SimulationLoop.of(network)
    made = Fleet(network, ServerOptions())
    made.add([Server.parse("10.0.0.9:1", name="a"), Server.parse("10.0.0.9:1", name="b")])
    assert made.hosts["a"] is made.hosts["b"]


def test_a_move_takes_all_servers_of_the_host_name_along() -> None:
    made = fleet("a.test:1", "a.test:2", "b.test:1")
    before = {name: host.end[0] for name, host in made.hosts.items()}
    made.move("a.test:2")
    after = {name: host.end[0] for name, host in made.hosts.items()}
    assert after["a.test:1"] == after["a.test:2"] != before["a.test:1"]
    assert after["b.test:1"] == before["b.test:1"]
    assert [host.end[1] for host in made.hosts.values()] == [1, 2, 1]


def test_known_servers_are_not_added_again() -> None:
    made = fleet("a.test:1")
    host = made.hosts["a.test:1"]
    made.add([Server.parse("a.test:1")])
    assert made.hosts == {"a.test:1": host}


def test_unix_sockets_are_refused() -> None:
    with pytest.raises(ConfigError, match="no unix sockets"):
        fleet("unix:/tmp/memcached.sock")
