"""A memcached on simulated clocks, across the ends of its processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from random import Random

import pytest

from mcroute.simulation.model_server import ModelServer
from mcroute.testing.profiles import MIB, Limits
from tests.testing.model_clock import ModelClock

CLIENT = ("10.0.0.1", 5000)
STORE = b"set k 0 100 1\r\nx\r\n"
FOUND = b"VALUE k 0 1\r\nx\r\nEND\r\n"


def told(server: ModelServer, name: bytes) -> bytes:
    lines = server.accept(CLIENT).receive(b"stats\r\n").split(b"\r\n")
    return next(line.split(b" ")[2] for line in lines if line.startswith(b"STAT %b " % name))


def test_a_killed_process_refuses_and_reads_nothing_more():
    server = ModelServer(ModelClock())
    talk = server.accept(CLIENT)
    server.kill()
    assert talk.is_closed
    assert talk.receive(STORE) == b""
    with pytest.raises(ConnectionRefusedError):
        server.accept(CLIENT)
    server.kill()


def test_a_restart_is_another_process_without_items():
    clock = ModelClock()
    server = ModelServer(clock, pid=70)
    talk = server.accept(CLIENT)
    talk.receive(STORE)
    clock.now += 50
    assert (told(server, b"pid"), told(server, b"uptime")) == (b"70", b"52")
    assert server.restart() is False
    assert talk.is_closed
    assert (told(server, b"pid"), told(server, b"uptime")) == (b"71", b"2")
    assert server.accept(CLIENT).receive(b"get k\r\n") == b"END\r\n"
    server.restart(pid=5)
    assert server.pid == 5


def test_a_restart_with_old_data_goes_on_with_its_clock_and_cas_numbers():
    clock = ModelClock()
    server = ModelServer(clock)
    before = server.accept(CLIENT).receive(STORE + b"gets k\r\n").split()[5]
    clock.now += 10
    server.kill()
    clock.now += 30
    assert server.restart(keeps_items=True) is True
    assert told(server, b"uptime") == b"42"
    talk = server.accept(CLIENT)
    assert talk.receive(b"mg k t\r\n") == b"HD t60\r\n"
    assert int(talk.receive(b"ms other 0 c\r\n\r\n").split(b"c")[1]) > int(before)
    clock.now += 61
    assert talk.receive(b"get k\r\n") == b"END\r\n"


def test_old_data_are_lost_where_the_hosts_date_has_not_gone_on():
    clock = ModelClock()
    server = ModelServer(clock)
    server.accept(CLIENT).receive(STORE)
    server.kill()
    clock.now += 100
    clock.date_jump_s = -3600
    assert server.restart(keeps_items=True) is False
    assert server.accept(CLIENT).receive(b"get k\r\n") == b"END\r\n"


def test_a_snapshot_comes_back_as_it_was():
    clock = ModelClock()
    server = ModelServer(clock, pid=9)
    talk = server.accept(CLIENT)
    talk.receive(STORE)
    clock.now += 10
    snapshot = server.snapshot()
    talk.receive(b"delete k\r\n")
    clock.now += 1000
    server.restart()
    server.go_back(snapshot)
    assert (told(server, b"pid"), told(server, b"uptime")) == (b"9", b"12")
    assert server.accept(CLIENT).receive(b"mg k t\r\n") == b"HD t90\r\n"
    # It can be used again, whatever happened since.
    server.accept(CLIENT).receive(b"delete k\r\n")
    clock.now += 5
    server.go_back(snapshot)
    assert server.accept(CLIENT).receive(b"get k\r\n") == FOUND


def history(seed: int) -> bytes:
    """The replies of a small server to random requests, kills and jumps of time."""
    rng, clock = Random(seed), ModelClock()
    server = ModelServer(clock, limits=Limits(2 * MIB, MIB // 8, MIB // 64))
    said = []
    for _ in range(3000):
        clock.now += rng.expovariate(20)
        key, kind = b"k%d" % rng.randrange(1500), rng.random()
        if kind < 0.0008:
            server.restart(keeps_items=kind < 0.0004)
        value = b"v" * rng.randrange(4000, 4300)
        line = b"set %b 0 %d %d\r\n%b\r\n" % (key, rng.randrange(200), len(value), value)
        talk = server.accept(CLIENT)
        said.append(talk.receive(line if kind < 0.6 else b"get %b\r\nstats\r\n" % key))
        said.append(talk.receive(b"lru_crawler metadump all\r\n") if kind > 0.99 else b"")
        talk.close()
    return b"".join(said)


def test_one_seed_is_one_history_whatever_the_hash_seed():
    script = "import hashlib; from tests.simulation.test_model_server import history\n"
    script += "print(hashlib.sha256(history(1)).hexdigest())"
    digests = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(["src", "."])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1
    assert re.search(rb"STAT evictions [1-9]", history(1))
    assert history(1) != history(2)
