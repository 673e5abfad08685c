"""`check_mcroute` against answers from a table: states, status lines, performance data, ranges, mistakes."""

from __future__ import annotations

import contextlib
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import nagiosplugin
import pytest

from mcroute.monitoring.nagios.findings import duration
from mcroute.monitoring.nagios.options import parse
from mcroute.monitoring.nagios.plugin import check
from mcroute.testing import free_port
from tests.preloading import child_environment

OK, WARNING, CRITICAL, UNKNOWN = range(4)
PROGRAM = Path(sys.executable).with_name("check_mcroute")

Rows = Mapping[str, object]
UP = {"state": "up", "fault": "none", "cause": "none", "reason": "none", "last_change_s": 300}
COUNTS = {"requests": 120, "failed": 3, "timeouts": 1, "hits": 90, "misses": 10, "unanswered": 2}
OUT = {**UP, "state": "ejected", "cause": "latency", "reason": "it is too slow: 23 ms", "last_change_s": 7}
SLOW, FAILING = {**UP, "state": "slow"}, {**UP, "state": "failing"}


def of_servers(**servers: Rows) -> dict[str, Rows]:
    rows = {f"{name}:1:{what}": value for name, own in servers.items() for what, value in own.items()}
    return {"stats servers": rows, "stats": {"mcroute": "1", "pid": 1}}


def of_pools(hash: str = "f00", panic: int = 0, **servers: str) -> dict[str, Rows]:
    """Servers by their state, all in pool main."""
    up = sum(state in ("up", "slow") for state in servers.values())
    rows: dict[str, object] = {
        f"config_hash_info:{hash}": 1,
        "pool_servers:main": len(servers),
        "pool_servers_up:main": up,
        "panic_mode:main": panic,
    }
    for name, state in servers.items():
        rows[f"pool_server_info:main:{name}:1"] = 1
        rows |= {f"server_state:{name}:1:{other}": int(other == state) for other in ("up", "ejected", "slow")}
    return {"stats mcroute": rows}


def of_reads(hits: int, misses: int) -> dict[str, Rows]:
    return {"stats": {"mcroute": "1", "get_hits": hits, "get_misses": misses}}


@contextlib.contextmanager
def proxy(answers: Mapping[str, Rows | bytes | None]) -> Iterator[int]:
    """Answers each command from the table: rows, or bytes as they are; never one that maps to None."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while line := self.rfile.readline():
                answer = answers.get(line.decode().strip(), b"ERROR\r\n")
                if isinstance(answer, Mapping):
                    lines = [f"STAT {name} {value}\r\n" for name, value in answer.items()]
                    answer = "".join([*lines, "END\r\n"]).encode()
                if answer is not None:
                    self.wfile.write(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def checked(answers: Mapping[str, Rows | bytes | None], *arguments: str) -> nagiosplugin.Check:
    with proxy(answers) as port:
        found = check(parse(["-p", str(port), *arguments]))
        found()
        return found


def result(answers: Mapping[str, Rows | bytes | None], *arguments: str) -> tuple[int, str]:
    found = checked(answers, *arguments)
    return found.exitcode, found.summary_str


# ---- servers ----


@pytest.mark.parametrize(
    ("servers", "arguments", "expected"),
    [
        ({"a": UP, "b": UP}, [], (OK, "2 of 2 servers in service")),
        (
            {"a": UP, "b": OUT},
            [],
            (
                WARNING,
                "1 of 2 servers in service; b:1 is ejected, out of service for 7 s: it is too slow: 23 ms",
            ),
        ),
        (
            {"a": UP, "b": FAILING},
            ["-c", "0"],
            (CRITICAL, "1 of 2 servers in service; b:1 is failing, in service for 5 min"),
        ),
        (
            {"a": UP, "b": SLOW},
            [],
            (WARNING, "2 of 2 servers in service; b:1 is slow, in service for 5 min"),
        ),
        ({"a": UP, "b": OUT}, ["-w", "1"], (OK, None)),
        ({"a": UP, "b": OUT}, ["-m", "server", "--server", "b:1"], (CRITICAL, None)),
        (
            {"a": UP, "b": OUT},
            ["-m", "server", "--server", "a:1"],
            (OK, "server a:1 is up, in service for 5 min"),
        ),
        (
            {"a": UP, "b": OUT, "c": UP},
            ["-m", "server", "--server", "a:1", "--server", "c:1"],
            (OK, "2 of 2 servers in service"),
        ),
        ({"a": UP}, ["--server", "b:1"], (UNKNOWN, "the proxy has no server b:1; it has a:1")),
        (
            {name: {**OUT, "reason": "none"} for name in "abcde"},
            [],
            (
                WARNING,
                "0 of 5 servers in service; a:1 is ejected, out of service for 7 s; "
                "b:1 is ejected, out of service for 7 s; c:1 is ejected, out of service for 7 s; 2 more",
            ),
        ),
    ],
)
def test_servers(servers: dict[str, Rows], arguments: list[str], expected: tuple[int, str | None]) -> None:
    state, text = result(of_servers(**servers), *arguments)
    assert (state, text if expected[1] is not None else None) == expected


def test_performance_data_of_all_servers_is_short_and_of_one_server_has_its_counters() -> None:
    servers = of_servers(a=UP, b={**OUT, **COUNTS})
    assert checked(servers).perfdata == ["out=1;0;;0;2", "slow=0;0;;0;2"]
    assert checked(servers, "-m", "server", "--server", "b:1").perfdata == [
        "failed=3c",
        "hits=90c",
        "misses=10c",
        "out=1;;0;0;1",
        "requests=120c",
        "slow=0;0;;0;1",
        "timeouts=1c",
        "unanswered=2",
    ]


# ---- pools ----


@pytest.mark.parametrize(
    ("pool", "arguments", "state", "text"),
    [
        (of_pools(a="up", b="slow"), [], OK, "servers in service: main 2 of 2"),
        (of_pools(a="up", b="ejected"), [], WARNING, "servers in service: main 1 of 2"),
        (of_pools(a="up", b="ejected", c="ejected"), [], CRITICAL, "servers in service: main 1 of 3"),
        (of_pools(a="up", b="ejected"), ["-w", "50:"], OK, "servers in service: main 1 of 2"),
        (of_pools(panic=1, a="up"), [], CRITICAL, "servers in service: main 1 of 1, panic mode"),
        (of_pools(a="up"), ["--pool", "x"], UNKNOWN, "the proxy has no pool x; it has main"),
    ],
)  # fmt: skip
def test_pools(pool: dict[str, Rows], arguments: list[str], state: int, text: str) -> None:
    assert result(pool, "-m", "pool", *arguments) == (state, text)


def test_performance_data_of_a_pool() -> None:
    perfdata = checked(of_pools(a="up", b="up", c="ejected"), "-m", "pool").perfdata
    assert perfdata == ["main=66.7%;100:;50:;0;100", "main_panic=0;;0;0;1", "main_up=2;;;0;3"]


def test_a_pool_may_have_any_name() -> None:
    rows = {
        "config_hash_info:f": 1,
        "pool_servers:it's=a|b": 1,
        "pool_servers_up:it's=a|b": 1,
        "panic_mode:it's=a|b": 0,
    }
    assert checked({"stats mcroute": rows}, "-m", "pool").perfdata[0] == "it_s_a_b=100.0%;100:;50:;0;100"


# ---- hits ----


def test_the_hit_ratio_is_judged_since_the_start_or_since_the_last_check(tmp_path: Path) -> None:
    arguments = ["-m", "hits", "-w", "80:", "-c", "50:", "--min-reads", "10"]
    assert result(of_reads(90, 10), *arguments) == (OK, "hit ratio 90 % of 100 reads since the start")
    assert result(of_reads(9, 0), *arguments) == (OK, "only 9 reads since the start")
    assert result(of_reads(0, 0), "-m", "hits", "--min-reads", "0")[1] == "only 0 reads since the start"
    answers: dict[str, Rows] = of_reads(90, 10)
    with proxy(answers) as port:

        def seen() -> tuple[int, str]:
            found = subprocess.run(
                [PROGRAM, "-p", str(port), *arguments, "--state", str(tmp_path / "state")],
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
                env=child_environment(),
            )
            return found.returncode, found.stdout.partition(" | ")[0].strip()

        assert seen() == (OK, "MCROUTE OK - hit ratio 90 % of 100 reads since the start")
        answers |= of_reads(97, 12)
        assert seen() == (OK, "MCROUTE OK - only 9 reads since the last check")
        answers |= of_reads(100, 30)
        assert seen() == (CRITICAL, "MCROUTE CRITICAL - hit ratio 33.33 % of 30 reads since the last check")
        # Another process, whose counters begin anew.
        answers |= of_reads(60, 20)
        assert seen() == (WARNING, "MCROUTE WARNING - hit ratio 75 % of 80 reads since the start")
        (tmp_path / "state").write_text("damaged")
        assert seen()[0] == UNKNOWN
        assert seen()[0] == WARNING


def test_the_hit_ratio_of_a_server() -> None:
    servers = of_servers(a={**UP, **COUNTS}, b={**UP, "hits": 0, "misses": 9})
    assert result(servers, "-m", "hits", "--server", "a:1") == (
        OK,
        "hit ratio 90 % of 100 reads since the start",
    )
    assert checked(servers, "-m", "hits", "--server", "a:1").perfdata == [
        "hit_ratio=90.0%;;;0;100",
        "hits=90c",
        "misses=10c",
    ]  # fmt: skip


# ---- replication ----


def test_replication_counts_what_copies_lack() -> None:
    servers = of_servers(
        a={**UP, "copies_waiting": 3},
        b={**OUT, "journal_keys": 120, "missed_writes": 150},
        c={**UP, "warming": "yes", "warming_keys_ahead": 40},
        d={**UP, "standin_keys": 5},
    )
    state, text = result(servers, "-m", "replication", "-w", "100", "-c", "1000")
    assert state == WARNING
    assert text == (
        "3 stores are on their way to a:1; b:1 has missed writes of 120 keys; "
        "c:1 gets its keys again, 40 ahead; d:1 has 5 keys of other servers"
    )
    perfdata = checked(servers, "-m", "replication", "-w", "100", "-c", "1000").perfdata
    assert {"behind=123;100;1000;0", "journal_keys=120;;;0", "missed_writes=150c"} <= set(perfdata)
    assert result(of_servers(a=UP), "-m", "replication", "-w", "0") == (OK, "no server lacks a write")


@pytest.mark.parametrize(("complete", "state"), [(0, WARNING), (1, OK)])
def test_a_journal_file_that_proves_nothing_is_a_warning(complete: int, state: int) -> None:
    answers = of_servers(a=UP)
    answers["stats"] = {**answers["stats"], "journal_file_complete": complete}
    assert result(answers, "-m", "replication")[0] == state


# ---- configuration ----


def test_proxies_with_different_configurations() -> None:
    mine = of_pools("f00", a="up", b="up")
    with proxy(mine) as same, proxy(of_pools("ba5", a="up")) as other, proxy(mine) as port:
        peers = ["--peer", f"127.0.0.1:{same}", "--peer", f"127.0.0.1:{other}"]
        arguments = ["-p", str(port), "-m", "configuration", "-v"]
        alike = check(parse([*arguments, *peers[:2]]))
        different = check(parse([*arguments, *peers]))
        judged = check(parse([*arguments, *peers, "-w", "1", "-c", "2"]))
        gone = check(parse([*arguments, "--peer", f"127.0.0.1:{free_port()}"]))
        for one in (alike, different, judged, gone):
            one()
    assert (alike.exitcode, alike.summary_str) == (OK, "proxies with the same configuration: 2")
    assert alike.perfdata == ["configurations=1;;1;1;2", "proxies=2"]
    assert (different.exitcode, judged.exitcode, gone.exitcode) == (CRITICAL, WARNING, CRITICAL)
    groups = [f"127.0.0.1:{port}, 127.0.0.1:{same}: f00", f"127.0.0.1:{other}: ba5"]
    assert different.summary_str == f"2 configurations: {'; '.join(groups)}"
    assert different.verbose_str == [*groups, f"127.0.0.1:{other} lacks main:b:1 (pool:server)"]


# ---- ranges, as the guidelines have them ----


@pytest.mark.parametrize(
    ("text", "within", "outside"),
    [
        ("10", [0, 10], [11]),
        ("10:", [10, 99], [9, 0]),
        ("~:10", [0, 10], [11]),
        ("10:20", [10, 20], [9, 21]),
        ("@10:20", [9, 21], [10, 20]),
        ("2.5", [2], [3]),
        ("", [0, 99], []),
    ],
)
@pytest.mark.parametrize(("option", "state"), [("-w", WARNING), ("-c", CRITICAL)])
def test_ranges(text: str, within: list[int], outside: list[int], option: str, state: int) -> None:
    for value in (*within, *outside):
        answers = of_servers(a={**UP, "journal_keys": value})
        found = checked(answers, "-m", "replication", option, text)
        assert (value, found.exitcode) == (value, state if value in outside else OK)
        range_of = {"-w": f"{text};", "-c": f";{text}"}[option]
        [figure] = [figure for figure in found.perfdata if figure.startswith("behind=")]
        assert figure.startswith(f"behind={value};{range_of}")


# ---- the whole program ----


def ran(*arguments: str, program: str | Path = PROGRAM) -> tuple[int, list[str]]:
    """The exit status and the lines."""
    done = subprocess.run(
        [program, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env=child_environment(),
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def test_one_line_and_with_v_a_line_for_each_problem_and_with_vv_for_each_server() -> None:
    down = "b:1 is ejected, out of service for 7 s: it is too slow: 23 ms"
    line, perfdata = f"MCROUTE WARNING - 1 of 2 servers in service; {down}", "| out=1;0;;0;2 slow=0;0;;0;2"
    with proxy(of_servers(a=UP, b=OUT)) as port:
        assert ran("-p", str(port)) == (WARNING, [f"{line} {perfdata}"])
        assert ran("-p", str(port), "-v") == (WARNING, [line, down, perfdata])
        every = ["a:1 is up, in service for 5 min", down]
        assert ran("-p", str(port), "-vv") == (WARNING, [line, *every, perfdata])


@pytest.mark.parametrize(
    "arguments",
    [
        ["-w", "abc"], ["-w", "20:10"], ["-c", "1:2:3"], ["-c", "10-20"], ["-t", "0"], ["-t", "soon"],
        ["-p", "70000"], ["-p", "x"], ["-m", "nonsense"], ["-m", "server"], ["-m", "configuration"],
        ["--no-such-option"], ["--peer", "a:b:c:d"], ["-H", "unix:"],
    ],
)  # fmt: skip
def test_mistakes_are_unknown(arguments: list[str]) -> None:
    state, lines = ran(*arguments)
    assert state == UNKNOWN
    assert lines[0].startswith("MCROUTE UNKNOWN - ") and lines[1].startswith("usage: check_mcroute ")


def test_help_and_version_are_unknown_as_the_guidelines_have_it() -> None:
    state, [version] = ran("-V")
    assert (state, version.split()[0]) == (UNKNOWN, "check_mcroute")
    state, lines = ran("--help")
    assert (state, lines[0]) == (UNKNOWN, version)
    assert max(map(len, lines)) < 90


def test_a_proxy_that_is_not_there_or_hangs_is_critical() -> None:
    port = free_port()
    text = f"MCROUTE CRITICAL - no proxy answers at 127.0.0.1:{port}: Connection refused"
    assert ran("-p", str(port)) == (CRITICAL, [text])
    with proxy({"stats servers": None}) as port:
        text = f"MCROUTE CRITICAL - 127.0.0.1:{port} has not answered `stats servers` within 0.3 s"
        assert ran("-p", str(port), "-t", "0.3") == (CRITICAL, [text])


@pytest.mark.parametrize(
    ("answer", "state"),
    [(b"ERROR\r\n", UNKNOWN), (b"END\r\n", UNKNOWN), (b"SERVER_ERROR out of memory\r\n", CRITICAL)],
)
@pytest.mark.parametrize("mode", ["servers", "pool", "hits", "replication"])
def test_another_service_is_unknown(mode: str, answer: bytes, state: int) -> None:
    commands = ("stats", "stats servers", "stats mcroute")
    assert result(dict.fromkeys(commands, answer), "-m", mode)[0] == state


@pytest.mark.parametrize("mode", ["servers", "pool", "hits", "replication"])
def test_rows_of_another_service_are_unknown(mode: str) -> None:
    rows = {"pid": 1, "get_hits": 1, "get_misses": 1, "x:state": "up"}
    commands = ("stats", "stats servers", "stats mcroute")
    assert result(dict.fromkeys(commands, rows), "-m", mode)[0] == UNKNOWN


def test_without_the_library_the_state_is_unknown_and_the_text_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['nagiosplugin'] = None\nfrom mcroute.monitoring.nagios import main; main()"
    )
    assert ran("-c", program, program=sys.executable) == (
        UNKNOWN,
        ["MCROUTE UNKNOWN - nagiosplugin is missing: pip install 'mcroute-engine[nagios]'"],
    )


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (400_000, "4 d")]
)
def test_durations(seconds: int, text: str) -> None:
    assert duration(seconds) == text
