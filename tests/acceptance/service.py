"""`mcroute proxy` as a process, with its file."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from tests.preloading import child_environment

__all__ = ("Service", "service", "started")


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


ON_START = (" WARNING server ", " INFO server ", " WARNING journal file ")


async def started(loop: str, file: Path, threads: int = 2) -> asyncio.subprocess.Process:
    """`mcroute proxy` by this file; it may not listen yet."""
    command = [sys.executable, "-m", "mcroute", "proxy", "--loop", loop, "--threads", str(threads), str(file)]
    return await asyncio.create_subprocess_exec(
        *command, stderr=asyncio.subprocess.PIPE, env=child_environment()
    )


@contextlib.asynccontextmanager
async def service(loop: str, file: Path, text: str, port: int, threads: int = 2) -> AsyncIterator[Service]:
    """The process may be replaced meanwhile; the last one is ended."""
    file.write_text(text)
    service = Service(file, port, await started(loop, file, threads))
    try:
        line = await service.line()
        # An earlier process has left servers that are not trusted at once, or a damaged file.
        while any(text in line for text in ON_START):
            line = await service.line()
        assert line.startswith(f"mcroute listens on 127.0.0.1:{port} ("), line
        yield service
    finally:
        with contextlib.suppress(ProcessLookupError):
            service.process.terminate()
        await service.process.wait()
