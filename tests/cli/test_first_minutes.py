"""The first file and the page about Django, as they stand: three servers, two copies, one of them dies."""

from __future__ import annotations

import contextlib
import importlib.util
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from mcroute.cli.commands import mcroute
from mcroute.testing import EmbeddedServer

from .test_proxy import free_port

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "django.md").read_text(encoding="utf-8")
(SETTINGS,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def servers() -> Iterator[list[EmbeddedServer]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(EmbeddedServer()) for _ in range(3)]


@pytest.fixture
def file(servers: list[EmbeddedServer], tmp_path: Path) -> Path:
    text = (ROOT / "examples" / "first.toml").read_text(encoding="utf-8")
    for number, server in enumerate(servers, 1):
        text = text.replace(f"127.0.0.1:1121{number}", server.address)
    path = tmp_path / "mcroute.toml"
    path.write_text(text)
    return path


def test_check_says_how_many_copies_there_are(file: Path) -> None:
    result = CliRunner().invoke(mcroute, ["check", str(file)])
    assert result.output.splitlines() == [
        "pool main: 3 servers, 2 copies of each key, murmur3",
        f"{file}: ok",
    ]
    assert result.output.splitlines()[0] in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def port(file: Path) -> Iterator[int]:
    """The port of a proxy in one process with the file, which listens elsewhere."""
    port = free_port()
    file.write_text(f'[proxy]\nlisten = "127.0.0.1:{port}"\n{file.read_text()}')
    command = [sys.executable, "-m", "mcroute", "proxy", str(file)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            assert process.stderr.readline().startswith(f"mcroute listens on 127.0.0.1:{port} (")
            yield port
        finally:
            process.send_signal(signal.SIGTERM)
            process.stderr.read()


# In a separate process: Django keeps objects that raise before it is configured.
APPLICATION = """
import sys
from django.core.cache import CacheHandler
from pymemcache.exceptions import MemcacheServerError

cache = CacheHandler(CACHES)["default"]
keys = [f"k{i}" for i in range(20)]
cache.set("old", 1)
cache.clear()
assert cache.get("old") is None
assert cache.set_many({key: {"of": key} for key in keys}, timeout=60) == []
assert cache.add("k0", "another") is False
print("stored", flush=True)
sys.stdin.readline()
assert cache.get_many(keys) == {key: {"of": key} for key in keys}
for key in keys:
    assert cache.get(key) == {"of": key}
    cache.set(key, 1)
    assert cache.incr(key) == 2
    assert cache.touch(key, 60) is True
cache.delete_many(keys[1:])
assert (cache.get("k0"), cache.get("k1", "gone")) == (2, "gone")
try:
    cache.clear()
except MemcacheServerError as error:
    print(error)
cache.close()
"""


@pytest.mark.skipif(importlib.util.find_spec("django") is None, reason="no Django")
def test_django_goes_on_when_a_server_dies(port: int, servers: list[EmbeddedServer]) -> None:
    program = SETTINGS.replace("127.0.0.1:11311", f"127.0.0.1:{port}") + APPLICATION
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "stored\n"
            servers[0].kill()
            output, complaints = process.communicate("\n", timeout=40)
        finally:
            process.kill()
    assert (process.returncode, complaints) == (0, "")
    # "it cannot be connected to", or "its connection was lost", whichever is noticed first.
    assert f"server {servers[0].address} is out of service: it" in output
