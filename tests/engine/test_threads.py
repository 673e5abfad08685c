"""An engine is for one thread; calls by several threads, or by its own routes, break nothing."""

from __future__ import annotations

import gc
import logging
import threading

import pytest

from mcroute import Engine
from mcroute.policy import Plan, PoolRoute, compile_plan
from mcroute.policy.steps import Ask
from tests.threads import TIMEOUT_S, together

from .network import Network, pool
from .test_routes import FAILED, GET, Custom

THREADS, ROUNDS = 4, 1500


def test_threads_may_share_an_engine() -> None:
    """Without the GIL this is about memory: what is not guarded there crashes within a second."""
    engine = Engine(compile_plan(PoolRoute(pool(2))))
    links = [engine.open_link(server) for server in range(2)]
    for link in links:
        engine.link_connected(link)
    lock = threading.Lock()
    answered = {engine.open_session(): bytearray() for _ in range(THREADS)}

    def turn() -> None:
        for number in engine.take_dirty():
            output = engine.take_output(number)
            if number in answered:
                with lock:
                    answered[number] += output
            elif output:
                engine.receive(number, b"END\r\n" * output.count(b"get"), 0.0)

    def work(number: int) -> None:
        session = list(answered)[number]
        for i in range(ROUNDS):
            engine.receive(session, b"get k%d\r\n" % i, 0.0)
            engine.next_wakeup()
            engine.counters()
            turn()

    together(THREADS, work)
    while engine.next_wakeup() <= 0.0:
        turn()
    assert list(answered.values()) == [b"END\r\n" * ROUNDS] * THREADS


def test_lent_memory_may_be_released_in_any_thread() -> None:
    net = Network(PoolRoute(pool(1)), 1)
    client, (link,) = net.client(), net.links
    reply = b"VALUE a 0 100000\r\n%b\r\nEND\r\n" % (b"v" * 100_000)
    lent: list[list[bytes | memoryview]] = []

    def work(number: int) -> None:
        if number == 0:
            for _ in range(300):
                net.engine.receive(client, b"get a\r\n", net.now)
                net.engine.take_output(link)
                net.engine.receive(link, reply, net.now)
                lent.append(net.engine.take_pieces(client))
            return
        for _ in range(3000):
            if lent:
                lent.pop().clear()

    together(3, work)
    lent.clear()
    gc.collect()
    assert net.engine.snapshot().counters["requests"] == 300


def test_no_plan_is_installed_while_another_thread_installs_one() -> None:
    """Ids are given out by Python code: neither the GIL nor a critical section keeps others out meanwhile."""
    entered, ended = threading.Event(), threading.Event()
    engine = Engine(compile_plan(PoolRoute(pool(1))))

    class Lingering:
        """A plan that gives the other thread time to come in."""

        def __init__(self, plan: Plan) -> None:
            self._plan = plan

        def __getattr__(self, name: str) -> object:
            if name == "servers" and not entered.is_set():
                entered.set()
                ended.wait(TIMEOUT_S)
            return getattr(self._plan, name)

    def work(number: int) -> None:
        plan = compile_plan(PoolRoute(pool(2 + number)))
        if number == 0:
            engine.install(Lingering(plan))  # type: ignore[arg-type]
        else:
            assert entered.wait(TIMEOUT_S)
            try:
                for change in (engine.admit, engine.install):
                    with pytest.raises(RuntimeError, match="another thread admits or installs a plan"):
                        change(plan)
            finally:
                ended.set()

    together(2, work)
    assert len(engine.server_ids()) == 2
    engine.install(compile_plan(PoolRoute(pool(3))))
    assert len(engine.server_ids()) == 3


def test_a_route_that_calls_its_engine_gets_an_error(caplog: pytest.LogCaptureFixture) -> None:
    def steps(request: object):
        net.engine.take_dirty()
        yield Ask(0)

    net = Network(Custom(steps), 2)
    client = net.client()
    with caplog.at_level(logging.ERROR, "mcroute"):
        net.send(client, GET)
    assert net.got(client) == FAILED
    (record,) = caplog.records
    assert record.exc_info is not None and "the engine runs routes" in str(record.exc_info[1])


def test_no_other_thread_comes_in_while_a_route_runs() -> None:
    """With the GIL too: a route's code may let another thread go on."""
    entered, go_on = threading.Event(), threading.Event()

    def steps(request: object):
        entered.set()
        go_on.wait(TIMEOUT_S)
        return (yield Ask(0))

    net = Network(Custom(steps), 2)
    client, other = net.client(), net.client()
    calls = {
        "receive": lambda: net.engine.receive(other, GET, net.now),
        "close": lambda: net.engine.close(client, net.now),
        "check": lambda: net.engine.check(net.now + 10),
        "open_session": net.engine.open_session,
        "install": lambda: net.engine.install(compile_plan(PoolRoute(pool(1)))),
        "submit": lambda: net.engine.submit(GET, net.now),
    }

    def work(number: int) -> dict[str, str]:
        if number == 0:
            net.send(client, GET)
            return {}
        assert entered.wait(TIMEOUT_S)
        errors = {}
        for name, call in calls.items():
            with pytest.raises(RuntimeError) as refused:
                call()
            errors[name] = str(refused.value)
        # Read-only commands may go on.
        assert net.engine.snapshot().counters["requests"] == 1
        go_on.set()
        return errors

    errors = together(2, work)[1]
    assert all("the engine runs routes" in text for text in errors.values())
    assert net.asked(0) == GET
    net.reply(0, b"END\r\n")
    assert net.got(client) == b"END\r\n"
