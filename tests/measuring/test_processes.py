"""Programs that are measured: on their cores, with their children, and gone afterwards."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from benches.proxies.processes import Failed, Program, cores_for, memory_kb
from mcroute.testing import free_port

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")

FORKS_AND_IGNORES_SIGTERM = """
import os, signal, socket, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.fork()
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
listener.bind(("127.0.0.1", int(sys.argv[1])))
listener.listen()
signal.pause()
"""


def all_cores() -> frozenset[int]:
    return frozenset(os.sched_getaffinity(0))


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_program_that_will_not_go_and_its_children_are_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benches.proxies.processes.LEAVE_S", 0.1)
    port = free_port()
    command = [sys.executable, "-c", FORKS_AND_IGNORES_SIGTERM, str(port)]
    with Program(command, all_cores(), tmp_path / "log") as program:
        program.wait_until_it_listens(port)
        end = time.monotonic() + 10
        while len(pids := program.pids) < 2 and time.monotonic() < end:
            time.sleep(0.01)
        assert len(pids) == 2
        assert memory_kb(pids) > memory_kb(pids[:1]) > 1000
    while any(map(is_running, pids)) and time.monotonic() < end:
        time.sleep(0.01)
    assert not any(map(is_running, pids))
    with pytest.raises(Failed, match=f"process {pids[0]} has ended"):
        memory_kb(pids)


def test_it_runs_on_its_cores_and_we_on_ours(tmp_path: Path) -> None:
    before, core = os.sched_getaffinity(0), frozenset([min(all_cores())])
    with Program(["sleep", "60"], core, tmp_path / "log") as program:
        assert os.sched_getaffinity(program.pids[0]) == core
    assert os.sched_getaffinity(0) == before


def test_one_that_ends_or_is_not_there_says_so(tmp_path: Path) -> None:
    complaint = [sys.executable, "-c", "raise SystemExit('no such thing')"]
    with (
        Program(complaint, all_cores(), tmp_path / "log") as program,
        pytest.raises(Failed, match="does not listen: no such thing"),
    ):
        program.wait_until_it_listens(free_port())
    with pytest.raises(Failed, match="does not start"):
        Program([str(tmp_path / "nothing")], all_cores(), tmp_path / "log")


def test_placement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 1, 2, 0})
    assert cores_for("one", 2).listed == "0"
    split = cores_for("split", 2)
    assert (split.proxy, split.rest, split.listed) == ({0, 1}, {2, 3}, "0,1,2,3")
    assert cores_for("split", 4).rest == {0, 1, 2, 3}
