"""The programs that stand in front of memcached, started as processes of a test's own."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mcroute.testing import find_memcached

START_S = 10.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def find_nutcracker() -> str | None:
    return shutil.which("nutcracker")


def find_proxying_memcached() -> str | None:
    """The memcached of the tests, if it was built with its proxy."""
    found = find_memcached()
    if found is None:
        return None
    output = subprocess.run([found, "-h"], capture_output=True, text=True, check=False, timeout=10)
    return found if "proxy_config" in output.stdout else None


def version_of(system: str) -> str:
    """The version of twemproxy or memcached's proxy, as the program prints it."""
    command = [find_nutcracker() if system == "twemproxy" else find_proxying_memcached(), "-V"]
    output = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False, timeout=10
    )
    return re.findall(r"\d+\.\d+\.\d+", output.stdout + output.stderr)[0]


@contextlib.contextmanager
def _running(command: Sequence[str], port: int) -> Iterator[int]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"{' '.join(command)} does not answer") from None
                time.sleep(0.02)
        yield port
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def _written(name: str, text: str) -> Iterator[Path]:
    """A file that other users may read: not all programs stay root."""
    with tempfile.TemporaryDirectory(prefix="mcroute-") as directory:
        there = Path(directory)
        there.chmod(0o755)
        (there / name).write_text(text)
        yield there / name


Servers = Sequence[tuple[str, int, int, str | None]]


@contextlib.contextmanager
def nutcracker(servers: Servers, options: dict[str, Any]) -> Iterator[int]:
    """twemproxy over these servers; yields its port."""
    port = free_port()
    lines = [f"main:\n  listen: 127.0.0.1:{port}\n  timeout: 2000\n  servers:"]
    for host, number, weight, name in servers:
        lines.append(f"   - {host}:{number}:{weight}{f' {name}' if name else ''}")
    lines += [f'  {option}: "{value}"' for option, value in options.items()]
    with _written("nutcracker.yml", "\n".join(lines) + "\n") as path:
        log = ["-s", str(free_port()), "-a", "127.0.0.1", "-o", str(path.with_suffix(".log"))]
        with _running([find_nutcracker() or "", "-c", str(path), *log], port):
            yield port


PROXY_LUA = """\
function mcp_config_pools()
  local servers = {{ {backends} }}
  return mcp.pool(servers, {{ {options} }})
end

function mcp_config_routes(pool)
  local routes = mcp.funcgen_new()
  local handle = routes:new_handle(pool)
  routes:ready({{ n = "main", f = function(context)
    return function(request) return context:enqueue_and_wait(request, handle) end
  end }})
  mcp.attach(mcp.CMD_ANY_STORAGE, routes)
end
"""
PROXY_WORDS = {
    ("dist", "jump"): "mcp.dist_jump_hash",
    ("dist", "ring"): "mcp.dist_ring_hash",
    ("hash", "md5"): "mcp.dist_ring_hash.hash",
}


@contextlib.contextmanager
def memcached_proxy(servers: Servers, options: dict[str, Any]) -> Iterator[int]:
    """memcached's own proxy over these servers; yields its port."""
    port = free_port()
    backends = [f'mcp.backend("b{i}", "{s[0]}", "{s[1]}")' for i, s in enumerate(servers)]
    words = {name: PROXY_WORDS.get((name, value), repr(value)) for name, value in options.items()}
    lua = PROXY_LUA.format(
        backends=", ".join(backends), options=", ".join(f"{name} = {word}" for name, word in words.items())
    )
    command = [find_proxying_memcached() or "", "-l", "127.0.0.1", "-p", str(port), "-U", "0"]
    if os.geteuid() == 0:
        command += ["-u", "nobody"]
    with _written("proxy.lua", lua) as path, _running([*command, "-o", f"proxy_config={path}"], port):
        yield port
