"""The examples and the page about the client do what they say."""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import mcroute.asyncio
from mcroute.asyncio import Client
from mcroute.testing import EmbeddedServer

ROOT = Path(__file__).parents[2]


def test_the_client() -> None:
    with EmbeddedServer() as first, EmbeddedServer() as second, EmbeddedServer() as third:
        addresses = [server.address for server in (first, second, third)]
        command = [sys.executable, str(ROOT / "examples" / "client.py"), *addresses]
        done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "{'answer': 42}",
        "{'answer': 42}",
        "['ada', 'edsger', 'grace']",
        "{'question': {'answer': 42}}",
        *(f"{address} UP" for address in addresses),
    ]


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
