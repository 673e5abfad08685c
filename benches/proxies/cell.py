"""One measurement: one freshly started peer, under one workload, in front of four memcacheds."""

from __future__ import annotations

import json
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from mcroute.testing import free_port

from .peers import SERVERS, Peer, Tools
from .processes import Cores, Failed, Program, memory_kb, pinned
from .workloads import Workload

__all__ = ("Cell", "Memcacheds", "Settings", "describe", "measure", "memcacheds")

KEY_LENGTH = 24
FILL_TIMEOUT_S = 60
COULD_NOT_RUN = 1  # the exit status of a load without a report

Cell = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """The settings of all cells of a run. Times in seconds."""

    load: Path
    memcached: str
    tools: Tools
    cores: Cores
    threads: int = 1
    seconds: float = 2.0
    warmup: float = 0.5
    settle: float = 0.3


# ---- the servers ----


@dataclass(frozen=True)
class Memcacheds:
    ports: list[int]
    pids: list[int]

    def operations(self) -> int:
        """The number of keys that were read or set so far."""
        return sum(_operations(port) for port in self.ports)


@contextmanager
def memcacheds(settings: Settings) -> Iterator[Memcacheds]:
    """Four memcacheds, with one thread each, and enough memory for a round."""
    with ExitStack() as stack:
        directory = stack.enter_context(_own_directory())
        ports, pids = [], []
        for i in range(SERVERS):
            port = free_port()
            options = f"-u nobody -l 127.0.0.1 -p {port} -U 0 -t 1 -m 1024 -c 16384"
            command = [settings.memcached, *options.split()]
            program = stack.enter_context(Program(command, settings.cores.rest, directory / f"{i}.log"))
            program.wait_until_it_listens(port)
            ports.append(port)
            pids += program.pids
        yield Memcacheds(ports, pids)


def _operations(port: int) -> int:
    with socket.create_connection(("127.0.0.1", port), 5) as s:
        s.sendall(b"stats\r\n")
        text = b""
        while not text.endswith(b"END\r\n"):
            text += s.recv(65536)
    counted = dict(line.split()[1:] for line in text.splitlines() if line.startswith(b"STAT cmd_"))
    return int(counted[b"cmd_get"]) + int(counted[b"cmd_set"])


@contextmanager
def _own_directory() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="mcroute-bench-"))
    directory.chmod(0o755)  # some peers drop their privileges before they read their configuration
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


# ---- the peer ----


@contextmanager
def _started(peer: Peer, servers: Memcacheds, settings: Settings) -> Iterator[tuple[int, list[int]]]:
    """Yields the peer's port and its processes."""
    if not peer.command:
        yield servers.ports[0], servers.pids[:1]
        return
    with _own_directory() as directory:
        values = {"dir": str(directory), "threads": str(settings.threads), **peer.programs(settings.tools)}
        values |= {name: str(free_port()) for name in ("port", "spare", "closed")}
        values |= {f"port{i}": str(port) for i, port in enumerate(servers.ports)}
        values |= {f"server{i}": f"127.0.0.1:{port}" for i, port in enumerate(servers.ports)}
        for name, text in peer.files.items():
            (directory / name).write_text(Template(text).substitute(values))
        command = shlex.split(Template(peer.command).substitute(values))
        with Program(command, settings.cores.proxy, directory / "log") as program:
            program.wait_until_it_listens(int(values["port"]))
            time.sleep(settings.settle)
            yield int(values["port"]), program.pids


# ---- the load ----


def _run_load(options: Sequence[str], settings: Settings, timeout_s: float) -> Cell:
    command = [str(settings.load), *options]
    try:
        with pinned(settings.cores.rest):
            done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        raise Failed(f"the load did not end within {timeout_s:g} s") from None
    if done.returncode == COULD_NOT_RUN:
        raise Failed(done.stderr.strip()[:300])
    report: Cell = json.loads(done.stdout)
    return report | {"status": done.returncode}


def _fill(data: Sequence[str], settings: Settings) -> None:
    options = ["--fill", "--connections", "4", "--depth", "16", "--seconds", str(FILL_TIMEOUT_S)]
    filled = _run_load([*data, *options], settings, FILL_TIMEOUT_S + 30)
    if filled["status"]:
        raise Failed(f"filling: {filled['trouble'] or 'it took too long'}")


def _busy(options: Sequence[str], settings: Settings) -> Cell:
    times = ["--seconds", str(settings.seconds), "--warmup", str(settings.warmup)]
    return _run_load([*options, *times], settings, settings.seconds + settings.warmup + 60)


def _idle(options: Sequence[str], settings: Settings, pids: Sequence[int]) -> Cell:
    """Holds many connections that have sent one request, while the memory is measured."""
    with pinned(settings.cores.rest):
        process = subprocess.Popen(
            [settings.load, *options, "--seconds", str(FILL_TIMEOUT_S)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    with process:
        assert process.stdin and process.stdout
        line = process.stdout.readline()
        held_kb = memory_kb(pids)
        process.stdin.close()
        status = process.wait(FILL_TIMEOUT_S)
    if status == COULD_NOT_RUN:
        raise Failed("the load could not hold its connections")
    report: Cell = json.loads(line)
    return report | {"status": status, "held_kb": held_kb}


def measure(peer: Peer, workload: Workload, number: int, servers: Memcacheds, settings: Settings) -> Cell:
    """The report of the load, with memory and the servers' counters; `number` separates the keys of cells.

    Raises Failed if the peer does not start, or the load cannot run.
    """
    with _started(peer, servers, settings) as (port, pids):
        memory = {"idle_kb": memory_kb(pids)}
        data = ["--port", str(port), "--prefix", f"{workload.letter}{number}:", *workload.data_options]
        data += ["--key-length", str(KEY_LENGTH), *peer.load]
        _fill(data, settings)
        memory["filled_kb"] = memory_kb(pids)
        watched = {"proxy": pids, "servers": servers.pids, "load": [0]}
        options = [*data, *workload.options, "--seed", str(number + 1), "--cores", settings.cores.listed]
        for name, group in watched.items():
            options += ["--watch", f"{name}={','.join(map(str, group))}"]
        before = servers.operations()
        report = _idle(options, settings, pids) if workload.is_idle else _busy(options, settings)
        operations = servers.operations() - before
        memory["rss_kb"] = memory_kb(pids)
    ours = sum(report["cpu"][name]["us"] for name in watched if peer.command or name != "servers")
    others = (report["cores_us"] - ours) / 1e6 / report["seconds"]
    return {
        **report,
        **memory,
        "processes": len(pids),
        "others_cores": max(0.0, round(others, 3)),
        "operations_per_key": round(operations / max(1, report["asked_keys"]), 3),
    }


def describe(cell: Cell) -> str:
    """A line of progress."""
    text = f"{cell['cpu']['proxy']['us_per_request']:8.2f} us/request {cell['requests_per_s']:9,.0f}/s"
    text += f"  p50 {cell['p50_us']:8.0f}  p99 {cell['p99_us']:8.0f} us  {cell['rss_kb'] / 1024:6.1f} MiB"
    return text + (f"  WRONG: {cell['trouble']}" if cell["status"] else "")
