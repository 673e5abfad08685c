"""Metrics of the running proxy: over HTTP as Prometheus gets them, and as `stats mcroute`."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from mcroute._engine.engine import Engine
from mcroute._engine.snapshots import Latencies, ServerSnapshot, Snapshot
from mcroute.asyncio import start_proxy
from mcroute.config import parse_config
from mcroute.errors import ConfigError
from mcroute.observe.metrics import BOUNDS_S, METRICS, rows
from mcroute.observe.observation import Kind, Observation
from mcroute.observe.prometheus import ProxyCollector
from mcroute.policy import (
    Condition,
    Outcome,
    Plan,
    Pool,
    PoolReport,
    PoolRoute,
    Replicate,
    Route,
    Server,
    ServerReport,
    State,
    Tally,
    compile_plan,
)
from mcroute.proxy.on_asyncio import Proxy as AsyncioProxy
from mcroute.testing import EmbeddedServer
from tests.acceptance.drivers import HAS_NATIVE, NATIVE, AnyProxy

LOCAL = ("127.0.0.1", 0)
THREADS = 2
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def servers() -> Iterator[list[EmbeddedServer]]:
    with EmbeddedServer() as one, EmbeddedServer() as other:
        yield [one, other]


def pool(servers: list[EmbeddedServer], **options: object) -> Pool:
    return Pool("main", tuple(Server(f"s{i}", s.host, s.port) for i, s in enumerate(servers)), **options)


@pytest.fixture(params=["asyncio", NATIVE])
def driver(request: pytest.FixtureRequest) -> str:
    return request.param


def made(driver: str, plan: Plan) -> AnyProxy:
    if driver == "asyncio":
        return AsyncioProxy(plan)
    from mcroute.proxy.native_service import NativeService  # noqa: PLC0415

    return NativeService(plan, threads=THREADS)


class Visitor:
    """A client of a proxy, who also looks at its metrics."""

    def __init__(self, proxy: AnyProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.proxy = proxy
        self._reader = reader
        self._writer = writer

    async def ask(self, request: bytes, end: bytes = b"\r\n") -> bytes:
        self._writer.write(request)
        return await self._reader.readuntil(end)

    async def text(self) -> str:
        def fetch() -> str:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.proxy.metrics_port}/metrics", timeout=20
            ) as page:
                return page.read().decode()

        return await asyncio.to_thread(fetch)

    async def metrics(self) -> Samples:
        return samples(await self.text())


def samples(text: str) -> Samples:
    families = text_string_to_metric_families(text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return (f"mcroute_{name}", frozenset(labels.items()))


@contextlib.asynccontextmanager
async def visiting(driver: str, route: Route) -> AsyncIterator[Visitor]:
    async with made(driver, compile_plan(route)) as proxy:
        await proxy.start(metrics=LOCAL)
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        try:
            yield Visitor(proxy, reader, writer)
        finally:
            writer.close()


# ---- over HTTP ----


def test_requests_are_counted_and_timed(servers, driver):
    async def scenario() -> None:
        async with visiting(driver, PoolRoute(pool(servers))) as visitor:
            for number in range(20):
                await visitor.ask(b"set k%d 0 0 1\r\nx\r\n" % number)
            await visitor.ask(b"get k1 k2 none\r\n", b"END\r\n")
            seen = await visitor.metrics()
            assert seen[key("requests_total", command="set", outcome="stored")] == 20
            assert seen[key("requests_total", command="get", outcome="hit")] == 2
            assert seen[key("requests_total", command="get", outcome="miss")] == 1
            assert seen[key("request_duration_seconds_count", command="set")] == 20
            assert seen[key("request_duration_seconds_count", command="get")] == 1
            assert seen[key("request_duration_seconds_bucket", command="set", le="+Inf")] == 20
            asked = [seen[key("backend_requests_total", server=s, outcome="stored")] for s in ("s0", "s1")]
            timed = [seen[key("backend_request_duration_seconds_count", server=s)] for s in ("s0", "s1")]
            assert sum(asked) == 20
            assert 21 <= sum(timed) <= 22
            assert seen[key("read_bytes_total")] > 0 < seen[key("written_bytes_total")]
            assert seen[key("current_connections")] == seen[key("connections_total")] == seen[key("up")] == 1
            assert seen[key("requests_in_flight")] == 0

    asyncio.run(scenario())


def test_states_and_pools_are_exported(servers, driver):
    links = THREADS if driver == "native" else 1

    async def scenario() -> None:
        async with visiting(driver, Replicate(pool(servers), copies=2)) as visitor:
            seen = await visitor.metrics()
            for name in ("s0", "s1"):
                states = {state.name.lower(): state is State.UP for state in State}
                assert {s: seen[key("server_state", server=name, state=s)] for s in states} == states
                assert seen[key("backend_connections", server=name)] == links
            assert seen[key("degraded", pool="main")] == seen[key("panic_mode", pool="main")] == 0
            assert sum(value for (name, _), value in seen.items() if name == "mcroute_pool_server_info") == 2
            servers[0].kill()
            while (seen := await visitor.metrics())[key("server_state", server="s0", state="up")]:
                await visitor.ask(b"get k\r\n", b"END\r\n")
            assert seen[key("degraded", pool="main")] == 1
            assert (seen[key("pool_servers", pool="main")], seen[key("pool_servers_up", pool="main")]) == (
                2,
                1,
            )
            ejections = {labels: value for (name, labels), value in seen.items() if "ejections_total" in name}
            assert sum(ejections.values()) >= 1
            assert not any(value for labels, value in ejections.items() if ("server", "s1") in labels)
            # The next connection may be made before the server has closed its listening socket.
            assert seen[key("backend_disconnects_total", server="s0")] >= links
            while (await visitor.metrics())[key("backend_connections", server="s0")]:
                pass

    asyncio.run(scenario())


def test_a_reload_is_seen(servers, driver):
    async def scenario() -> None:
        async with visiting(driver, PoolRoute(pool(servers[:1]))) as visitor:
            before = await visitor.metrics()
            await visitor.proxy.reload(visitor.proxy.plan)
            same = await visitor.metrics()
            later = key("config_last_reload_success_timestamp_seconds")
            assert before[later] < same[later]
            hashes = [name for name in before if name[0] == "mcroute_config_hash_info"]
            assert [name for name in same if name[0] == "mcroute_config_hash_info"] == hashes
            assert same[key("config_reload_failures_total")] == 0
            visitor.proxy.reload_failed()
            assert (await visitor.metrics())[key("config_reload_failures_total")] == 1

    asyncio.run(scenario())


def test_every_metric_of_the_table_is_there_under_its_name(servers, driver):
    async def scenario() -> None:
        async with visiting(driver, PoolRoute(pool(servers))) as visitor:
            await visitor.ask(b"get k\r\n", b"END\r\n")
            families = {f.name: f for f in text_string_to_metric_families(await visitor.text())}
            for metric in METRICS:
                name = f"mcroute_{metric.name}"
                family = families[name.removesuffix("_total") if metric.kind is Kind.COUNTER else name]
                assert (family.type, family.documentation) == (metric.kind.value, metric.help)
                for sample in family.samples:
                    assert set(sample.labels) - {"le"} == set(metric.labels)
            assert "process_cpu_seconds" in families or sys.platform != "linux"

    asyncio.run(scenario())


def test_keys_are_no_labels(servers, driver):
    async def scenario() -> None:
        async with visiting(driver, PoolRoute(pool(servers))) as visitor:
            await visitor.ask(b"get secret\r\n", b"END\r\n")
            await visitor.ask(b"secret secret\r\n")
            assert "secret" not in await visitor.text()

    asyncio.run(scenario())


def test_the_port_is_free_when_the_proxy_is_closed(servers, driver):
    async def scenario() -> int:
        async with visiting(driver, PoolRoute(pool(servers))) as visitor:
            return visitor.proxy.metrics_port

    port = asyncio.run(scenario())
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_an_address_that_is_taken_is_named(servers, driver):
    async def scenario() -> None:
        with socket.create_server(LOCAL) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(OSError, match=f"metrics at 127.0.0.1:{port}: "):
                await made(driver, compile_plan(PoolRoute(pool(servers)))).start(metrics=("127.0.0.1", port))

    asyncio.run(scenario())


def test_without_the_library_the_error_names_the_package(servers, driver, monkeypatch):
    monkeypatch.setitem(sys.modules, "mcroute.observe.prometheus", None)

    async def scenario() -> None:
        with pytest.raises(ConfigError, match=r"proxy.metrics: needs prometheus-client: pip install"):
            await made(driver, compile_plan(PoolRoute(pool(servers)))).start(metrics=LOCAL)

    asyncio.run(scenario())


def test_a_configuration_says_where(servers):
    async def scenario() -> None:
        text = f'[proxy]\nlisten = "127.0.0.1:1"\n[pools.main]\nservers = ["{servers[0].address}"]\n'
        async with await start_proxy(parse_config(text), port=0, metrics=LOCAL) as proxy:
            assert proxy.metrics_port > 0

    asyncio.run(scenario())


@pytest.mark.skipif(not HAS_NATIVE, reason="no epoll")
def test_a_proxy_in_any_process_goes_into_any_registry(servers):
    from mcroute.native import Proxy  # noqa: PLC0415

    with Proxy(PoolRoute(pool(servers)), threads=THREADS) as proxy:
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=20) as client:
            client.sendall(b"get a\r\n")
            assert client.recv(100) == b"END\r\n"
        registry = CollectorRegistry()
        registry.register(ProxyCollector(proxy))
        seen = samples(generate_latest(registry).decode())
        assert seen[key("requests_total", command="get", outcome="miss")] == 1


# ---- from an observation ----


def observation() -> Observation:
    slow = Latencies({150: 3, 192: 1}, 70.0)
    nothing = Engine(compile_plan(PoolRoute(Pool.of("main", ["a:1"])))).snapshot()
    something = Snapshot(
        results={("get", Outcome.HIT): 3},
        failovers={Outcome.LOST: 2},
        durations={"get": slow},
        servers={"a:1": ServerSnapshot({"trips": 5}, {Outcome.HIT: 3}, slow)},
    )
    servers = {
        "a:1": ServerReport(State.FENCING, Tally(), Condition.FENCING),
        "new": ServerReport(State.UP, Tally(), Condition.UP),
    }
    pools = {"big pool": PoolReport(2, 1, True)}
    members = {"big pool": ("a:1", "new")}
    return Observation(
        nothing + something,
        servers,
        pools,
        members,
        "f00",
        1e9,
        2e9,
        0,
        True,
        {"a:1": (7, 1)},
        {"a:1": (3, 2)},
    )


class Still:
    """Always the same."""

    def observe(self) -> Observation:
        return observation()


def test_buckets_are_cumulative_and_exact():
    family = next(
        f for f in ProxyCollector(Still()).collect() if f.name == "mcroute_request_duration_seconds"
    )
    buckets = [(s.labels["le"], s.value) for s in family.samples if s.name.endswith("_bucket")]
    # Bucket 150 ends at 1.835 s, beyond the last bound.
    assert buckets == [*((repr(bound), 0) for bound in BOUNDS_S), ("+Inf", 4)]
    values = [Latencies({bucket: 1}).below(BOUNDS_S[0]) for bucket in range(64)]
    assert sum(values) == 24


def test_bounds_are_from_about_50_us_to_1_s():
    assert BOUNDS_S[0] == 32e-6 and BOUNDS_S[-1] == 1.048576
    assert all(2 * below == above for below, above in itertools.pairwise(BOUNDS_S))


def test_rows_equal_those_of_stats():
    shown = dict(rows(observation()))
    assert shown["requests_total:get:hit"] == "3"
    assert shown["server_state:a:1:fencing"] == "1"
    assert shown["panic_mode:big_pool"] == shown["pool_server_info:big_pool:a:1"] == "1"
    assert shown["start_time_seconds"] == "1000000000.000000"
    assert shown["backend_request_duration_seconds:a:1:count"] == "4"
    assert shown["backend_request_duration_seconds:a:1:sum"] == "70.000000"
    assert shown["backend_request_duration_seconds:a:1:p999"] == "67.108864"
    assert shown["ejections_total:a:1:failures"] == "5"
    # An engine that does not know a server has not ejected it.
    assert shown["ejections_total:new:failures"] == "0"
    assert all(" " not in name and " " not in value for name, value in shown.items())


def test_stats_mcroute_has_the_rows(servers, driver):
    async def scenario() -> None:
        async with visiting(driver, PoolRoute(pool(servers))) as visitor:
            await visitor.ask(b"get a\r\n", b"END\r\n")
            reply = await visitor.ask(b"stats mcroute\r\n", b"END\r\n")
            lines = reply.decode().split("\r\n")[:-2]
            series = dict(line.split(" ", 2)[1:] for line in lines)
            assert series["requests_total:get:miss"] == series["request_duration_seconds:get:count"] == "1"
            assert series["up"] == series["server_state:s0:up"] == "1"

    asyncio.run(scenario())
