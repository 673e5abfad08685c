"""What did not fit is kept for the log: the server, the command, the first bytes."""

import pytest

from mcroute.policy import PoolRoute

from .network import network, pool

pytestmark = pytest.mark.usefixtures("driver")


def test_the_first_of_several_is_told_with_their_number() -> None:
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    for reply in (b"VALUE other 0 1\r\nx\r\nEND\r\n", b"nonsense " + b"x" * 100 + b"\r\n"):
        net.send(client, b"get k\r\nget k\r\n")
        net.reply(0, reply)
        net.lose(0) if net.links[0] not in net.closed else None
        net.got(client)
        net.engine.open_link(0)
        net.engine.link_connected(net.links[0])
        net.closed.clear()
    assert net.engine.losses().desyncs == 2
    (desync,) = net.engine.take_desyncs()
    assert (desync.server, desync.times, desync.command, desync.depth) == (0, 2, "get", 2)
    assert desync.text == b"VALUE other 0 1\r\nx\r\nEND\r\n"
    assert net.engine.take_desyncs() == []
