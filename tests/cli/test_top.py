"""`mcroute top`: from rows of `stats top` to a screen, printed once or live."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from click.testing import CliRunner

from mcroute._engine.histograms import bucket_of
from mcroute.cli.commands import mcroute
from mcroute.cli.top.commands import Looks
from mcroute.cli.top.figures import SortBy, screen, sorted_servers
from mcroute.cli.top.lines import page
from mcroute.cli.top.samples import Sample, parsed
from mcroute.monitoring.asking import NoProxy
from mcroute.observe.top import FORMAT
from mcroute.policy import Server

FAST, SLOW = str(bucket_of(0.0005)), str(bucket_of(0.02))
WHY = "it cannot be connected to: Connection refused"


def counts(requests: int, hits: int, misses: int, errors: int, **buckets: int) -> dict[str, Any]:
    durations = {{"fast": FAST, "slow": SLOW}[name]: count for name, count in buckets.items()}
    return {"requests": requests, "hits": hits, "misses": misses, "errors": errors, "buckets": durations}


def server(state: str, since_s: float, own: Mapping[str, Any], cause: str | None = None) -> dict[str, Any]:
    about = {"state": state, "since_s": since_s, "cause": cause, "reason": cause and WHY, "pools": ["main"]}
    return {**about, "connected": 2, "unanswered": 3, **own}


def rows(uptime_s: float, times: int) -> dict[str, Any]:
    """What a proxy has counted after so many seconds of the same load."""
    proxy = {"format": FORMAT, "uptime_s": uptime_s, "clients": 50, "clients_ever": 60, "in_flight": 4}
    pool = {"name": "main pool", "up": 2, "servers": 3, "is_panic": False}
    busy = counts(1000 * times, 900 * times, 100 * times, 0, fast=960 * times, slow=40 * times)
    idle = counts(50 * times, 20 * times, 0, 10 * times, slow=times)
    return {
        "proxy": proxy,
        "pool:0": pool,
        "pool:1": {**pool, "name": "spare", "is_panic": True},
        "command:get": counts(2000 * times, 1500 * times, 500 * times, 0, fast=2000 * times),
        "command:set": counts(200 * times, 0, 0, 2 * times, slow=200 * times),
        "server:10.0.0.1:11211": server("up", 3700, busy),
        "server:cache-2": server("ejected", 90, counts(7, 1, 1, 1), "unreachable"),
        "server:cache-3": server("slow", 7300, idle),
    }


def reply(rows: Mapping[str, Any]) -> bytes:
    lines = [f"STAT {name} {json.dumps(row)}\r\n" for name, row in rows.items()]
    return "".join([*lines, "END\r\n"]).encode()


def parse(rows: Mapping[str, Any]) -> Sample:
    return parsed({name: json.dumps(row) for name, row in rows.items()}, "here")


def sample(uptime_s: float, times: int) -> Sample:
    return parse(rows(uptime_s, times))


PAGE = f"""\
here: up for 2 min, 1 of 3 servers up
pools: main pool 2/3, spare 2/3 PANIC
clients: 50, 4 requests in flight, 2,200 requests/s, 75.0% hits, 2.0 errors/s, \
p50 0.50 ms, p95 19 ms, p99 19 ms
  get: 2,000 requests/s, 75.0% hits, 0 errors/s, p50 0.50 ms, p95 0.50 ms, p99 0.50 ms
  set: 200 requests/s, 2.0 errors/s, p50 19 ms, p95 19 ms, p99 19 ms

server           pools  state    since  requests/s    hits  errors/s      p50      p95    p99  waiting  cause
cache-2          main   ejected   90 s           0       -         0        -        -      -        3  \
unreachable: {WHY}
cache-3          main   slow       2 h          50  100.0%        10    19 ms    19 ms  19 ms        3
10.0.0.1:11211   main   up      61 min       1,000   90.0%         0  0.50 ms  0.50 ms  19 ms        3
"""


def test_the_screen_shows_what_has_happened_between_two_samples() -> None:
    now = screen(sample(120, 7), sample(130, 17))
    lines = page("here", now, sorted_servers(now.servers, SortBy.STATE))
    assert [line.split() for line in lines] == [line.split() for line in PAGE.splitlines()]


def test_columns_stand_below_each_other() -> None:
    now = screen(sample(120, 7), sample(130, 17))
    title, *table = [*page("here", now, now.servers)][6:]
    ends = title.index("requests/s") + len("requests/s")
    assert [line[:ends].split()[-1] for line in table] == ["1,000", "0", "50"]
    assert {line[ends] for line in table} == {" "}


@pytest.mark.parametrize("before", [None, sample(5000, 9)], ids=["first", "restarted"])
def test_without_an_earlier_sample_of_this_process_the_figures_are_since_its_start(
    before: Sample | None,
) -> None:
    now = screen(before, sample(10, 10))
    assert now.clients.figures.per_s == 2200
    assert {row.name: row.figures.per_s for row in now.servers} == {
        "10.0.0.1:11211": 1000,
        "cache-2": 0.7,
        "cache-3": 50,
    }


def test_a_server_that_is_new_under_a_name_begins_at_zero() -> None:
    later = rows(130, 17)
    later["server:10.0.0.1:11211"] = server("up", 5, counts(30, 30, 0, 0, fast=30))
    later["server:new"] = server("up", 5, counts(10, 0, 10, 0, fast=10))
    now = screen(sample(120, 7), parse(later))
    found = {row.name: row.figures for row in now.servers}
    assert (found["10.0.0.1:11211"].per_s, found["10.0.0.1:11211"].hit_share) == (3, 1)
    assert (found["new"].per_s, found["new"].hit_share) == (1, 0)


@pytest.mark.parametrize(
    ("by", "names"),
    [
        (SortBy.STATE, ["cache-2", "cache-3", "10.0.0.1:11211"]),
        (SortBy.NAME, ["10.0.0.1:11211", "cache-2", "cache-3"]),
        (SortBy.RATE, ["10.0.0.1:11211", "cache-3", "cache-2"]),
        (SortBy.ERRORS, ["cache-3", "10.0.0.1:11211", "cache-2"]),
        (SortBy.HITS, ["10.0.0.1:11211", "cache-3", "cache-2"]),
        (SortBy.LATENCY, ["10.0.0.1:11211", "cache-3", "cache-2"]),
    ],
)
def test_servers_are_sorted(by: SortBy, names: list[str]) -> None:
    servers = screen(sample(120, 7), sample(130, 17)).servers
    assert [row.name for row in sorted_servers(reversed(servers), by)] == names


# ---- from a proxy ----


@contextmanager
def answering(*replies: bytes) -> Iterator[str]:
    """A server that answers each connection with one of these, in pieces; then it hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for text in replies:
                with listener.accept()[0] as client:
                    assert client.recv(100) == b"stats top\r\n"
                    for start in range(0, len(text), 1000):
                        client.sendall(text[start : start + 1000])

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join(10)


def test_once_prints_one_screen_after_one_interval() -> None:
    with answering(reply(rows(120, 7)), reply(rows(130, 17))) as address:
        arguments = [*("top", address, "--once"), *("--interval", "0.1"), *("--sort", "name", "--limit", "2")]
        result = CliRunner().invoke(mcroute, arguments)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0] == f"{address}: up for 2 min, 1 of 3 servers up"
    assert [line.split()[0] for line in lines[7:9]] == ["10.0.0.1:11211", "cache-2"]
    assert lines[9:] == ["... and 1 more"]


OTHER_FORMAT = reply({**rows(1, 1), "proxy": {"format": FORMAT + 1}})


@pytest.mark.parametrize(
    "text",
    [b"END\r\n", b"ERROR\r\n", b"STAT proxy {\r\nEND\r\n", b"STAT pid 7\r\nEND\r\n", b"", OTHER_FORMAT],
)
def test_what_is_no_proxy_is_an_error(text: bytes) -> None:
    with answering(text) as address:
        result = CliRunner().invoke(mcroute, ["top", address, "--once"])
    assert result.exit_code == 1
    assert f"Error: {address} does not answer `stats top` as" in result.output


def test_an_address_that_is_none_and_a_pipe_are_the_users_mistakes() -> None:
    for arguments, why in ((["nowhere:x"], "port"), (["127.0.0.1:1"], "--once for a pipe")):
        result = CliRunner().invoke(mcroute, ["top", *arguments])
        assert result.exit_code == 2
        assert why in result.output


def test_after_a_failure_the_figures_begin_anew() -> None:
    with answering(reply(rows(120, 7)), b"", reply(rows(130, 17)), reply(rows(140, 27))) as address:
        looks = Looks(Server.parse(address))
        looks()
        with pytest.raises(NoProxy):
            looks()
        assert looks().clients.figures.per_s == 2200 * 17 / 130
        assert looks().clients.figures.per_s == 2200


# ---- live ----


def live(look: Callable[[], Any], scenario: Callable[[Any, Any], Any], size: tuple[int, int]) -> None:
    pytest.importorskip("textual")
    from mcroute.cli.top.app import TopApp  # noqa: PLC0415

    async def run() -> None:
        app = TopApp("here", look, SortBy.NAME, 3600)
        async with app.run_test(size=size) as pilot:
            await app.workers.wait_for_complete()
            await pilot.pause()
            await scenario(app, pilot)

    asyncio.run(asyncio.wait_for(run(), 50))


def shown(app: Any) -> list[str]:
    """The lines of the terminal."""
    return [
        "".join(segment.text for segment in line).rstrip() for line in app.screen._compositor.render_strips()
    ]


def test_keys_sort_and_scroll_a_thousand_servers_and_the_last_screen_stays_without_a_proxy() -> None:
    many = {f"server:cache-{i:04}": server("up", i, counts(i, i, 0, 0, fast=i)) for i in range(1000)}
    now = parse({**rows(1, 1), **many})
    answers: list[Any] = [screen(None, now)]

    def look() -> Any:
        if not answers:
            raise NoProxy("no proxy answers at here: Connection refused")
        return answers.pop()

    async def scenario(app: Any, pilot: Any) -> None:
        while "here: up for 1 s" not in shown(app)[0]:
            await pilot.pause(0.01)
        lines = shown(app)
        [title] = [number for number, line in enumerate(lines) if line.startswith("server ")]
        assert lines[title + 1].startswith("10.0.0.1:11211")
        await pilot.press("r")
        assert "cache-0999" in shown(app)[title + 2]
        await pilot.press("end")
        await pilot.pause()
        while "cache-0999" in "".join(shown(app)):
            await pilot.pause(0.01)
        # The title stays.
        assert shown(app)[title].startswith("server ")
        await app.look_now()
        await pilot.pause()
        assert "no proxy answers at here: Connection refused" in "\n".join(shown(app))
        assert "here: up for 1 s" in shown(app)[0]
        await pilot.press("q")
        assert not app.is_running

    live(look, scenario, (120, 30))
