"""The conditions of a run: date, machine, versions."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from string import Template

from .peers import Peer, Tools

__all__ = ("about",)

ROOT = Path(__file__).parents[2]


def about(peers: Iterable[Peer], tools: Tools, memcached: str) -> dict[str, object]:
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "commit": _first_line(["git", "-C", str(ROOT), "describe", "--always", "--dirty"]),
        "servers": _first_line([memcached, "-V"]),
        "versions": list(dict.fromkeys(_version(peer, tools) for peer in peers if peer.version)),
    }


def _version(peer: Peer, tools: Tools) -> str:
    command = Template(peer.version).substitute(peer.programs(tools))
    return _first_line(shlex.split(command)).removeprefix("This is ")


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _first_line(command: list[str]) -> str:
    """The first line of stdout or stderr; empty if the program does not exist."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except FileNotFoundError:
        return ""
    return (done.stdout or done.stderr).strip().partition("\n")[0]
