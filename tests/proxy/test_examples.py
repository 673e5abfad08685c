"""The examples and the page about the client do what they say."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import re
import runpy
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import mcroute.asyncio
from mcroute.asyncio import Client
from mcroute.policy import Pool, PoolRoute
from mcroute.testing import EmbeddedServer
from tests.engine.network import Network
from tests.preloading import child_environment

HAS_NATIVE = importlib.util.find_spec("mcroute._loop.threads") is not None
ROOT = Path(__file__).parents[2]


def said_by(example: str, *arguments: str) -> list[str]:
    """The lines that it writes; it must not complain."""
    command = [sys.executable, str(ROOT / "examples" / example), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=50, check=False, env=child_environment()
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_the_client() -> None:
    with EmbeddedServer() as first, EmbeddedServer() as second, EmbeddedServer() as third:
        addresses = [server.address for server in (first, second, third)]
        lines = said_by("client.py", *addresses)
    assert lines == [
        "{'answer': 42}",
        "{'answer': 42}",
        "['ada', 'edsger', 'grace']",
        "{'question': {'answer': 42}}",
        *(f"{address} UP" for address in addresses),
    ]


@pytest.mark.skipif(not HAS_NATIVE, reason="no epoll")
def test_a_service_with_its_own_proxy() -> None:
    with EmbeddedServer() as first, EmbeddedServer() as second, EmbeddedServer() as third:
        addresses = [server.address for server in (first, second, third)]
        lines = said_by("embedded_proxy.py", *addresses)
    assert lines[1:] == ["kept on two servers: 333332833333500000", "3 requests, 3 replies"]


@pytest.mark.parametrize("servers_are_given", [True, False])
def test_a_route_of_ones_own(servers_are_given: bool) -> None:
    with EmbeddedServer() as one, EmbeddedServer() as other:
        given = [one.address, other.address] if servers_are_given else []
        lines = said_by("custom_route.py", *given)
    assert lines == ["both have b'10'", "they differ: None", "both have b'12'"]


GET, X, Y = b"get k\r\n", b"VALUE k 0 1\r\nx\r\nEND\r\n", b"VALUE k 0 1\r\ny\r\nEND\r\n"
LOST = b"SERVER_ERROR connection to the server lost\r\n"


def network_of(name: str) -> Network:
    """One of the example's routes over a server for each of its children."""
    route = runpy.run_path(str(ROOT / "examples" / "custom_route.py"))[name]
    count = 1 if name == "AskAgain" else 2
    children = tuple(PoolRoute(Pool.of(f"p{i}", [f"127.0.0.1:{i + 1}"])) for i in range(count))
    return Network(route(children), count)


@pytest.mark.parametrize(("request_", "is_asked_again"), [(GET, True), (b"incr k 1\r\n", False)])
def test_a_read_whose_connection_was_lost_is_asked_again_after_a_pause(
    request_: bytes, is_asked_again: bool
) -> None:
    net = network_of("AskAgain")
    client = net.client()
    net.send(client, request_)
    assert net.asked(0) == request_
    net.lose(0)
    assert net.got(client) == (b"" if is_asked_again else LOST)
    net.engine.open_link(0)
    net.engine.link_connected(net.links[0])
    net.wait(0.31)
    assert net.asked(0) == (GET if is_asked_again else b"")
    if is_asked_again:
        net.reply(0, X)
        assert net.got(client) == X


@pytest.mark.parametrize(
    ("replies", "answer"),
    [
        ((X, X), X),
        ((X, Y), b"END\r\n"),
        ((X, b"END\r\n"), b"END\r\n"),
        ((X, b"SERVER_ERROR no\r\n"), b"SERVER_ERROR no\r\n"),
    ],
)
def test_only_values_of_both_copies_are_answered(replies: tuple[bytes, bytes], answer: bytes) -> None:
    net = network_of("Agreed")
    client = net.client()
    net.send(client, GET)
    for server, reply in enumerate(replies):
        net.reply(server, reply)
    assert net.got(client) == answer


BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "client.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_the_page_about_the_client(block: str) -> None:
    with contextlib.ExitStack() as stack:
        for i in (1, 2, 3):
            server = stack.enter_context(EmbeddedServer())
            block = block.replace(f"cache{i}:11211", server.address)
        scope: dict[str, Any] = {}
        exec("async def run():\n" + textwrap.indent(block, "    "), scope)
        asyncio.run(scope["run"]())


def test_the_page_names_every_method_and_exception() -> None:
    page = (ROOT / "docs" / "client.md").read_text()
    for name in [*vars(Client), *mcroute.asyncio.__all__]:
        if not name.startswith("_") and name not in ("Proxy", "start_proxy", "Serde"):
            assert re.search(rf"\b{name}\b", page), name
