"""`mcroute demo`: what it shows, what its exit status says, and that it leaves nothing behind."""

import asyncio
import signal
import socket
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

pytest.importorskip("rich")

from mcroute.cli.demo.fleet import Fault, Fleet
from mcroute.cli.demo.load import Client, Load
from mcroute.cli.demo.tally import Counts, Latencies, Tally
from mcroute.testing import EmbeddedServer, find_memcached

# A short run with a light load.
SHORT = ["--duration", "2", "--clients", "8", "--keys", "100", "--rate", "200"]
REAL = pytest.param([], marks=pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"))


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "mcroute", "demo", *SHORT, *options]


def run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*options), capture_output=True, text=True, timeout=50)


@pytest.mark.parametrize("servers", [["--embedded"], REAL])
def test_a_server_dies_and_no_client_notices(servers):
    result = run(*servers)
    assert (result.returncode, result.stderr) == (0, "")
    assert "\x1b" not in result.stdout
    assert "is killed" in result.stdout
    assert "cache-2 runs again" in result.stdout
    last = result.stdout.splitlines()[-1]
    assert last.endswith(" requests, 0 errors seen by clients, 0 stale and 0 wrong values")


def test_with_one_copy_clients_see_errors_and_so_does_the_exit_status():
    result = run("--embedded", "--copies", "1")
    assert result.returncode == 1
    assert " 0 errors seen by clients, " not in result.stdout
    assert "SERVER_ERROR" in result.stdout
    assert " 0 stale and 0 wrong values" in result.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["load:", "is killed", "runs again"])
def test_a_signal_ends_the_demo_at_any_time_with_its_results(moment, number):
    process = subprocess.Popen(
        command("--embedded"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if moment in line:
                    break
            process.send_signal(number)
            rest, errors = process.communicate(timeout=50)
        finally:
            process.kill()
    assert (process.returncode, errors) == (128 + number, "")
    assert "0 errors seen by clients, 0 stale and 0 wrong values" in rest
    assert rest.endswith(f"interrupted by {number.name}\n")


@pytest.mark.skipif(sys.platform == "win32", reason="a program that is no memcached")
def test_servers_that_do_not_start_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    broken = tmp_path / "memcached"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("MEMCACHED", str(broken))
    result = run()
    assert result.returncode == 1
    assert result.stderr.startswith(f"Error: {broken} ")
    assert result.stderr.endswith(" does not answer\n")


@pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH")
@pytest.mark.parametrize("fault", Fault)
def test_servers_are_stopped_also_after_an_exception(fault):
    with pytest.raises(ZeroDivisionError), Fleet(2, is_embedded=False) as fleet:
        fleet.start()
        fleet.inject(1, fault)
        _ = 1 / 0
    for server in fleet.pool().servers:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((server.host, server.port), timeout=10)


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(b"key:0=0", "stale"), (b"key:1=1", "wrong"), (b"key:0=999999", "wrong"), (b"nonsense", "wrong")],
)
def test_a_wrong_value_is_noticed(value, verdict):
    async def scenario() -> Counts:
        tally, over = Tally(), asyncio.Event()
        load = Load(server.port, clients=1, keys=1, rate=1000, rng=Random(1), tally=tally, over=over)
        await load.fill()
        loading = asyncio.create_task(load.run())
        intruder = await Client.to(server.port)
        # The load writes too, so that a wrong value may be overwritten before it is read.
        while not getattr(tally.counts, verdict):
            await intruder.set("key:0", value)
            await asyncio.sleep(0.001)
        over.set()
        await loading
        await intruder.close()
        return tally.total()

    with EmbeddedServer() as server:
        counts = asyncio.run(scenario())
    others = {"stale", "wrong", "errors"} - {verdict}
    assert [getattr(counts, other) for other in others] == [0, 0]


def test_percentiles_are_exact_to_five_percent():
    latencies = Latencies()
    for milliseconds in range(1, 1001):
        latencies.add(milliseconds / 1000)
    assert latencies.percentile(0.5) == pytest.approx(0.5, rel=0.05)
    assert latencies.percentile(0.99) == pytest.approx(0.99, rel=0.05)
    assert latencies.percentile(1.0) == latencies.slowest_s == 1.0
    assert Latencies().percentile(0.5) == 0.0
