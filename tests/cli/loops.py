"""How a proxy is started as a process: the arguments for each way of carrying bytes."""

from __future__ import annotations

import importlib.util

import pytest

HAS_NATIVE = importlib.util.find_spec("mcroute._loop.threads") is not None
MODULE = ["-m", "mcroute", "proxy"]
WITHOUT_UVLOOP = "import sys; sys.modules['uvloop'] = None; import mcroute.cli; mcroute.cli.main()"
ON_ASYNCIO = ["--loop", "asyncio"]

LOOPS = [
    pytest.param([*MODULE, *ON_ASYNCIO], id="installed"),
    pytest.param(["-c", WITHOUT_UVLOOP, "proxy", *ON_ASYNCIO], id="asyncio"),
    pytest.param(
        [*MODULE, "--loop", "native", "--threads", "2"],
        id="native",
        marks=pytest.mark.skipif(not HAS_NATIVE, reason="no epoll"),
    ),
]
