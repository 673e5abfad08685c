"""`mcroute proxy` as a process, with its file."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from tests.preloading import child_environment

__all__ = ("Service", "service")


@dataclass
class Service:
    file: Path
    port: int
    process: asyncio.subprocess.Process

    async def line(self) -> str:
        """The next one of the log; empty at its end."""
        assert self.process.stderr is not None
        return (await self.process.stderr.readline()).decode()

    def hang_up(self, text: str) -> None:
        """Has it read another configuration."""
        # Replaced at once: the proxy may still read the file, because of an earlier signal.
        fresh = self.file.with_suffix(".fresh")
        fresh.write_text(text)
        fresh.replace(self.file)
        self.process.send_signal(signal.SIGHUP)

    async def reload(self, text: str, answer: str = " INFO reloaded: ") -> str:
        """Returns the log's line about the result."""
        self.hang_up(text)
        while answer not in (line := await self.line()):
            assert line
        return line


@contextlib.asynccontextmanager
async def service(loop: str, file: Path, text: str, port: int, threads: int = 2) -> AsyncIterator[Service]:
    file.write_text(text)
    command = [sys.executable, "-m", "mcroute", "proxy", "--loop", loop, "--threads", str(threads), str(file)]
    process = await asyncio.create_subprocess_exec(
        *command, stderr=asyncio.subprocess.PIPE, env=child_environment()
    )
    service = Service(file, port, process)
    try:
        while re.search(" (WARNING|INFO) server ", line := await service.line()):
            """An earlier process has left servers that are not trusted at once."""
        assert line.startswith(f"mcroute listens on 127.0.0.1:{port} ("), line
        yield service
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
