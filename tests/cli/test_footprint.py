"""A running `mcroute proxy` has imported only what it uses: each of these modules would take memory."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mcroute.testing import EmbeddedServer, free_port

from .loops import HAS_NATIVE

UNUSED = {
    "click",
    "difflib",
    "email",
    "hashlib",
    "http",
    "multiprocessing",
    "numbers",
    "pathlib",
    "prometheus_client",
    "secrets",
    "shutil",
    "ssl",
    "stringprep",
    "urllib",
    "uuid",
    "uvloop",
    "xml",
    "mcroute._protocol.messages",
    "mcroute.cli.commands",
    "mcroute.cli.demo",
    "mcroute.cli.ring",
    "mcroute.client",
    "mcroute.observe.hooks",
    "mcroute.observe.metrics",
    "mcroute.observe.prometheus",
    "mcroute.observe.stats",
    "mcroute.observe.webhook",
    "mcroute.placement.inherited",
    "mcroute.placement.systems",
    "mcroute.proxy.on_asyncio",
    "mcroute.testing",
}
# An environment's .pth files may have imported some of them before.
PROGRAM = """
import atexit, sys
before = set(sys.modules)
atexit.register(lambda: print(*set(sys.modules) - before))
from mcroute.cli import main
main()
"""


@pytest.mark.skipif(not HAS_NATIVE, reason="no epoll")
def test_a_running_native_proxy_has_imported_only_what_it_uses(tmp_path: Path) -> None:
    config = tmp_path / "mcroute.toml"
    with EmbeddedServer() as server:
        config.write_text(
            f'proxy.listen = "127.0.0.1:{free_port()}"\n[pools.main]\nservers = ["{server.address}"]\n'
        )
        command = [sys.executable, "-c", PROGRAM, "proxy", str(config)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                assert process.stderr is not None
                assert "(native loop" in process.stderr.readline()
                process.send_signal(signal.SIGTERM)
                modules, errors = process.communicate(timeout=30)
            finally:
                process.kill()
    assert not errors
    assert modules
    assert UNUSED.isdisjoint(modules.split())
