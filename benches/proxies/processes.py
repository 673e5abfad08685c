"""Programs on chosen cores: started, looked at, and surely ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ("Cores", "Failed", "Program", "cores_for", "memory_kb", "pinned")

START_TIMEOUT_S = 15.0  # until it listens
LEAVE_S = 5.0  # after SIGTERM


class Failed(Exception):
    """A cell could not be measured; the text says why."""


@dataclass(frozen=True)
class Cores:
    """The cores of programs: the proxy, and everything else."""

    proxy: frozenset[int]
    rest: frozenset[int]

    @property
    def listed(self) -> str:
        return ",".join(str(core) for core in sorted(self.proxy | self.rest))


def cores_for(placement: str, threads: int) -> Cores:
    """`one`: all on one core. `split`: a core for each thread of the proxy, the rest on what is left."""
    available = sorted(os.sched_getaffinity(0))
    if placement == "one":
        return Cores(frozenset(available[:1]), frozenset(available[:1]))
    return Cores(frozenset(available[:threads]), frozenset(available[threads:] or available))


@contextmanager
def pinned(cores: frozenset[int]) -> Iterator[None]:
    """Programs started inside inherit these cores from their first instruction on."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Program:
    """One running program and its children: `with Program(...) as program`. Failed if it does not exist."""

    def __init__(self, command: Sequence[str], cores: frozenset[int], log: Path) -> None:
        self.log = log
        self.name = command[0]
        with log.open("ab") as output, pinned(cores):
            try:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
                )
            except OSError as error:
                raise Failed(f"{self.name} does not start: {error.strerror}") from None

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(LEAVE_S)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def wait_until_it_listens(self, port: int) -> None:
        """Raises Failed with the end of its log if it ends, or does not listen in time."""
        end = time.monotonic() + START_TIMEOUT_S
        while self._process.poll() is None and time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        said = self.log.read_text(errors="replace").strip()[-300:]
        raise Failed(f"{self.name} does not listen: {said}")

    @property
    def pids(self) -> list[int]:
        """Its process and all of their children."""
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:  # it ended just now
                continue
            children.setdefault(parent, []).append(int(entry.name))
        found = [self._process.pid]
        for pid in found:  # the list grows meanwhile
            found += children.get(pid, [])
        return found


def memory_kb(pids: Sequence[int]) -> int:
    """Their resident memory; shared pages count for each process.

    Raises Failed if one of them has ended.
    """
    total = 0
    for pid in pids:
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            raise Failed(f"process {pid} has ended") from None
        total += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
    return total
