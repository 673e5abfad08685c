"""Signals that come while the proxy begins: they are neither lost nor the end of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcroute.testing import EmbeddedServer, free_port

from .loops import LOOPS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")


class Beginning:
    """A proxy that waits for its file: a named pipe, which it has opened."""

    def __init__(self, process: subprocess.Popen[str], file: Path, text: str) -> None:
        self.process = process
        self.file = file
        self.text = text

    def signal_then_write(self, number: int) -> None:
        # Returns when the other end is open.
        with self.file.open("w") as pipe:
            self.process.send_signal(number)
            pipe.write(self.text)

    def line(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.readline()


@pytest.fixture(params=LOOPS)
def beginning(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Beginning]:
    file = tmp_path / "mcroute.toml"
    os.mkfifo(file)
    with EmbeddedServer() as server:
        text = f'[proxy]\nlisten = "127.0.0.1:{free_port()}"\n[pools.main]\nservers = ["{server.address}"]\n'
        command = [sys.executable, *request.param, str(file)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            try:
                yield Beginning(process, file, text)
            finally:
                process.kill()


def test_an_early_reload_signal_is_handled_once_the_proxy_serves(beginning: Beginning) -> None:
    beginning.signal_then_write(signal.SIGHUP)
    assert beginning.line().startswith("mcroute listens on ")
    beginning.file.write_text(beginning.text)
    assert "reloaded: servers 1, the same" in beginning.line()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end_comes_in_peace_and_before_it_serves(beginning: Beginning, number: int) -> None:
    beginning.signal_then_write(number)
    assert beginning.process.wait(timeout=30) == 0
    assert beginning.line() == ""
