"""Errors name the server that failed, and the reason that the driver knows."""

from __future__ import annotations

import pytest

from mcroute.policy import Outcome, PoolRoute, Replicate

from .network import Network, network, pool

WHY = "it cannot be connected to: Connection refused"


def described(fault: str = "", size: int = 1, **options: object) -> Network:
    route = PoolRoute(pool(1, **options)) if size == 1 else Replicate(pool(size, **options), size)
    net = network(route, size)
    for server in range(size):
        net.engine.describe(server, f"s{server}", fault)
    return net


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        ("", b"connection to server s0 lost"),
        (WHY, b"server s0: it cannot be connected to: Connection refused"),
    ],
)
@pytest.mark.parametrize("request_", [b"get k\r\n", b"get k l\r\n", b"set k 0 0 1\r\nx\r\n"])
def test_a_lost_server_is_named(fault: str, line: bytes, request_: bytes) -> None:
    net = described(fault)
    client = net.client()
    net.send(client, request_)
    net.lose(0)
    assert net.got(client) == b"SERVER_ERROR %b\r\n" % line


@pytest.mark.parametrize(
    ("fault", "line"),
    [("", b"server s0 is out of service"), (WHY, b"server s0 is out of service: " + WHY.encode())],
)
def test_one_that_is_out_of_service_is_named(fault: str, line: bytes) -> None:
    net = described(fault)
    net.engine.set_server_state(0, 1)
    client = net.client()
    net.send(client, b"get k\r\n")
    assert net.got(client) == b"SERVER_ERROR %b\r\n" % line


def test_one_that_does_not_answer_is_named() -> None:
    net = described(reply_timeout_s=5.0)
    client = net.client()
    net.send(client, b"get k\r\n")
    net.wait(1.1)
    assert net.got(client) == b"SERVER_ERROR timeout: server s0\r\n"


def test_an_error_names_the_copy_whose_failure_answers() -> None:
    """The merge prefers the error of a lost request to that of one which was never sent."""
    net = described(size=2)
    client = net.client()
    net.send(client, b"get k\r\n")
    asked = [server for server in range(2) if net.asked(server)]
    net.engine.set_server_state(1 - asked[0], 1)
    net.lose(asked[0])
    answer = net.got(client)
    assert answer in (
        b"SERVER_ERROR connection to server s%d lost\r\n" % asked[0],
        b"SERVER_ERROR server s%d is out of service\r\n" % (1 - asked[0]),
    )


def test_long_names_and_reasons_are_cut_and_stay_in_their_line() -> None:
    net = network(PoolRoute(pool(1)), 1)
    net.engine.describe(0, "é" * 200, "a\r\nb" + "c" * 300)
    client = net.client()
    net.send(client, b"get k\r\n")
    net.lose(0)
    line = net.got(client)
    assert line.count(b"\r\n") == 1 and line.endswith(b"ccc\r\n")
    assert line.startswith(b"SERVER_ERROR server " + "é".encode() * 63 + b": a  bccc")


def test_errors_name_a_servers_fault_until_it_is_cleared() -> None:
    net = described(WHY)
    net.engine.describe(0, "s0")
    client = net.client()
    net.send(client, b"get k\r\n")
    net.lose(0)
    assert net.got(client) == b"SERVER_ERROR connection to server s0 lost\r\n"


@pytest.mark.python_face("results are objects")
@pytest.mark.parametrize("request_", [b"get k\r\n", b"get k l\r\n"])
def test_a_call_returns_its_culprit(request_: bytes) -> None:
    net = Network(PoolRoute(pool(1)), 1)
    net.engine.describe(0, "s0", WHY)
    number = net.engine.submit(request_, net.now)
    net.lose(0)
    ((_, outcome, result),) = net.engine.take_results()
    assert (outcome, result) == (Outcome.LOST, b"SERVER_ERROR server s0: " + WHY.encode())
    assert net.engine.culprits_of_results() == {number: 0}
    assert net.engine.take_results() == [] and net.engine.culprits_of_results() == {}
