"""`mcroute top` in a pseudo-terminal: it shows a server that goes out, and leaves the terminal as it was."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

pytest.importorskip("termios")

import fcntl
import pty
import termios

from mcroute.asyncio import start_proxy
from mcroute.policy import HealthSettings, Pool, Replicate, SupervisorSettings
from mcroute.testing import MemcachedServer, find_memcached
from tests.preloading import child_environment

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
    pytest.mark.skipif(importlib.util.find_spec("textual") is None, reason="no textual"),
]

ALTERNATE_SCREEN, MAIN_SCREEN = b"\x1b[?1049h", b"\x1b[?1049l"
HIDDEN, VISIBLE = b"\x1b[?25l", b"\x1b[?25h"


class Terminal:
    """A pseudo-terminal of 120 columns, and a process in it."""

    def __init__(self, *arguments: str) -> None:
        self._ours, self._theirs = pty.openpty()
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
        self.before = termios.tcgetattr(self._theirs)
        self.written = b""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mcroute", *arguments],
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            env={**(child_environment() or os.environ), "TERM": "xterm-256color", "COLUMNS": "", "LINES": ""},
            preexec_fn=self._take,
        )

    def _take(self) -> None:
        os.setsid()
        fcntl.ioctl(self._theirs, termios.TIOCSCTTY, 0)

    def attributes(self) -> list[object]:
        return termios.tcgetattr(self._theirs)

    def press(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def read_until(self, pattern: bytes) -> None:
        """Reads what the process writes, until the rest of it has the pattern."""
        begin = len(self.written)
        while not re.search(pattern, self.written[begin:]):
            self.written += os.read(self._ours, 1 << 16)

    def read_to_the_end(self) -> None:
        os.close(self._theirs)
        while True:
            try:
                block = os.read(self._ours, 1 << 16)
            except OSError:
                # Nobody has the terminal open any more.
                return
            self.written += block

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


@contextmanager
def terminal(*arguments: str) -> Iterator[Terminal]:
    opened = Terminal(*arguments)
    try:
        yield opened
    finally:
        opened.close()


ENDS: dict[str, Callable[[Terminal], None]] = {
    "q": lambda opened: opened.press(b"q"),
    "ctrl-c": lambda opened: opened.press(b"\x03"),
    "SIGINT": lambda opened: opened.process.send_signal(signal.SIGINT),
    "SIGTERM": lambda opened: opened.process.send_signal(signal.SIGTERM),
}


@pytest.mark.parametrize("end", ENDS)
def test_it_shows_a_server_that_goes_out_and_leaves_the_terminal_as_it_was(end: str) -> None:
    def watch(port: int, server: MemcachedServer) -> None:
        with terminal("top", f"127.0.0.1:{port}", "--interval", "0.1") as opened:
            opened.read_until(rb"2 of 2 servers up")
            server.kill()
            opened.read_until(rb"1 of 2 servers up")
            opened.read_until(rb"ejected|probing")
            ENDS[end](opened)
            assert opened.process.wait(30) == 0
            assert opened.attributes() == opened.before
            opened.read_to_the_end()
            written = opened.written
        assert written.rindex(MAIN_SCREEN) > written.rindex(ALTERNATE_SCREEN)
        assert written.rindex(VISIBLE) > written.rindex(HIDDEN)
        assert b"Traceback" not in written

    async def run() -> None:
        settings = SupervisorSettings(HealthSettings(retry_base_s=3600, retry_cap_s=3600))
        with MemcachedServer() as server, MemcachedServer() as other:
            route = Replicate(Pool.of("main", [server.address, other.address]), 2)
            async with await start_proxy(route, settings=settings) as proxy:
                await asyncio.to_thread(watch, proxy.port, server)

    asyncio.run(asyncio.wait_for(run(), 55))


def test_without_a_proxy_the_screen_does_not_change() -> None:
    with terminal("top", "127.0.0.1:1") as opened:
        assert opened.process.wait(30) == 1
        opened.read_to_the_end()
        assert b"no proxy answers at 127.0.0.1:1" in opened.written
        assert ALTERNATE_SCREEN not in opened.written


def test_a_proxy_that_comes_back_is_shown_again() -> None:
    async def run() -> None:
        with MemcachedServer() as server:
            route = Replicate(Pool.of("main", [server.address]), 1)
            proxy = await start_proxy(route)
            port = proxy.port
            with terminal("top", f"127.0.0.1:{port}", "--interval", "0.1") as opened:
                await asyncio.to_thread(opened.read_until, rb"1 of 1 servers up")
                await proxy.close()
                await asyncio.to_thread(opened.read_until, rb"no proxy answers at")
                async with await start_proxy(route, port=port):
                    await asyncio.to_thread(opened.read_until, rb"up for")

    asyncio.run(asyncio.wait_for(run(), 55))
