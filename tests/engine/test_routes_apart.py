"""Users' routes whose interpreter comes when it can: the engine goes on meanwhile, and nothing dangles."""

import gc
import math
import threading
import weakref
from collections.abc import Callable, Generator
from types import ModuleType

import pytest

from mcroute.policy import Failover, Outcome, compile_plan
from mcroute.policy.steps import Ask, AskAll, Wait

from .network import Network
from .test_routes import GET, Custom, X, Y, child

# The compiler is slow on a busy machine.
pytestmark = pytest.mark.timeout(300)

BEGINS, OVER = -1, -2
SET, STORED = b"set k 0 0 1\r\nx\r\n", b"STORED\r\n"
TIMEOUT = b"SERVER_ERROR timeout\r\n"
FULL = b"SERVER_ERROR too many requests wait for the server\r\n"


class World(Network):
    """The engine does not call the routes by itself."""

    def __init__(
        self, apart: ModuleType, function: Callable[..., Generator], wrap: Callable = Custom
    ) -> None:
        super().__init__(wrap(function), 2)
        self.apart = apart

    def receive(self, number: int, data: bytes) -> list[int]:
        """The bytes arrive; returns the numbers of the events that come of it, which the runner is fed."""
        self.engine.receive(number, data, self.now)
        return self.take()

    def take(self) -> list[int]:
        numbers = self.apart.take(self.engine)
        self.turn()
        return numbers

    def pass_time(self, seconds: float) -> list[int]:
        self.now += seconds
        self.apart.check(self.engine, self.now)
        return self.take()

    def step(self) -> None:
        self.apart.step(self.engine, self.now)

    def apply(self) -> list[int]:
        self.apart.apply(self.engine, self.now)
        return self.take()


def asking(request: object) -> Generator:
    return (yield Ask(0))


def test_a_custom_route_takes_four_steps(apart: ModuleType) -> None:
    world = World(apart, asking)
    client = world.client()
    assert world.receive(client, GET) == [BEGINS]
    world.step()
    assert world.asked(0) == b""
    assert world.apply() == []
    assert world.asked(0) == GET
    assert world.receive(world.links[0], X) == [0]
    assert world.got(client) == b""
    world.step()
    assert world.apply() == []
    assert world.got(client) == X
    assert apart.routes_under_way(world.engine) == 0


def test_a_deadline_comes_in_time_while_python_is_away(apart: ModuleType) -> None:
    closed = []

    def steps(request):
        try:
            return (yield Ask(0))
        finally:
            closed.append(request.key)

    world = World(apart, steps)
    client = world.client()
    assert world.receive(client, SET) == [BEGINS]
    # A later request for the key waits for the write, and begins when the write has ended.
    later = world.client()
    assert world.receive(later, GET) == []
    assert world.engine.next_wakeup() <= world.now + 1.0
    assert world.pass_time(0.6) == []
    assert world.receive(world.client(), b"get other\r\n") == [BEGINS]
    assert world.pass_time(0.401) == [OVER]
    assert world.got(client) == world.got(later) == TIMEOUT
    assert closed == []
    world.step()
    assert closed == [b"k"]
    # Orders of the first route from before the event have no effect.
    assert world.apply() == []
    assert world.asked(0) == b"get other\r\n"


def test_a_key_is_free_when_its_route_is_over(apart: ModuleType) -> None:
    world = World(apart, asking)
    world.receive(world.client(), SET)
    world.now += 0.5
    client = world.client()
    assert world.receive(client, GET) == []
    assert world.pass_time(0.501) == [OVER, BEGINS]
    world.step()
    world.apply()
    assert world.asked(0) == GET
    world.receive(world.links[0], X)
    world.step()
    world.apply()
    assert world.got(client) == X


@pytest.mark.parametrize("is_told", [False, True])
def test_orders_for_ended_requests_are_harmless(apart: ModuleType, is_told: bool) -> None:
    def steps(request):
        yield AskAll((0, 1), 1)
        yield AskAll((0, 1, 0, 1), 4)

    world = World(apart, steps)
    client = world.client()
    world.receive(client, GET)
    world.step()
    world.apply()
    world.receive(world.links[0], X)
    world.step()
    assert (world.asked(0), world.asked(1)) == (GET, GET)
    # The route has ordered four asks, which are applied after the deadline.
    assert world.pass_time(1.1) == [1, OVER]
    assert world.got(client) == TIMEOUT
    if is_told:
        world.step()
    world.apply()
    assert (world.asked(0), world.asked(1)) == (b"", b"")
    world.step()
    world.apply()
    assert apart.routes_under_way(world.engine) == 0
    # The late reply belongs to no request.
    world.send(world.links[1], Y)
    assert world.got(client) == b""


def test_an_end_for_an_ended_request_is_harmless(apart: ModuleType) -> None:
    def steps(request):
        return Outcome.MISS
        yield

    world = World(apart, steps)
    client = world.client()
    world.receive(client, GET)
    world.step()
    # The deadline ends the request before the end of its route is applied.
    assert world.pass_time(1.1) == [OVER]
    world.apply()
    world.step()
    assert world.apply() == []
    assert world.got(client) == TIMEOUT
    assert apart.routes_under_way(world.engine) == 0


def test_events_of_the_past_do_not_reach_the_next_route(apart: ModuleType) -> None:
    got = []

    def steps(request):
        replies = yield AskAll((0, 1), 1)
        got.append((request.key, [reply and reply.data for reply in replies]))
        return Outcome.MISS

    world = World(apart, steps)
    client = world.client()
    world.receive(client, b"get a\r\n")
    world.step()
    world.apply()
    # Both end before the first route gets an event; the route ends, and the next one reuses its memory.
    assert world.receive(world.links[0], b"END\r\n") == [0]
    world.step()
    assert world.receive(world.links[1], b"END\r\n") == [1]
    world.apply()
    assert world.receive(client, b"get b\r\n") == [BEGINS]
    world.step()
    world.apply()
    world.receive(world.links[1], b"END\r\n")
    world.step()
    world.apply()
    assert got == [(b"a", [b"END\r\n", None]), (b"b", [None, b"END\r\n"])]


def test_waiting_is_the_runners_own(apart: ModuleType) -> None:
    def steps(request):
        yield Wait(0.25)
        return Outcome.MISS

    world = World(apart, steps)
    client = world.client()
    world.receive(client, GET)
    assert apart.next_due(world.engine) <= world.now
    world.step()
    world.apply()
    assert apart.next_due(world.engine) == world.now + 0.25
    world.now += 0.3
    world.step()
    world.apply()
    world.turn()
    assert world.got(client) == b"END\r\n"
    assert apart.next_due(world.engine) == math.inf


@pytest.mark.parametrize("phase", ["taken", "stepped", "asked", "answered"])
def test_an_engine_may_go_at_any_time(apart: ModuleType, phase: str) -> None:
    closed = []

    def steps(request):
        try:
            return (yield Ask(0))
        finally:
            closed.append(request.key)

    # The node above asks another server when the route is stopped.
    world = World(apart, steps, lambda function: Failover([Custom(function), child(0)]))
    client = world.client()
    world.receive(client, SET)
    world.receive(world.client(), GET)
    if phase != "taken":
        world.step()
    if phase in ("asked", "answered"):
        world.apply()
    if phase == "answered":
        world.receive(world.links[0], STORED)
    del world
    gc.collect()
    assert closed == ([] if phase == "taken" else [b"k"])


def test_no_more_than_so_many_wait_for_python(apart: ModuleType) -> None:
    world = World(apart, asking)
    apart.set_routes_max(world.engine, 2)
    clients = [world.client() for _ in range(3)]
    assert [world.receive(client, GET) for client in clients] == [[BEGINS], [BEGINS], []]
    assert [world.got(client) for client in clients] == [b"", b"", FULL]
    # This includes routes whose requests ended long ago.
    world.pass_time(1.1)
    world.receive(clients[2], GET)
    assert [world.got(client) for client in clients] == [TIMEOUT, TIMEOUT, FULL]
    world.step()
    world.apply()
    assert world.receive(clients[2], GET) == [BEGINS]


def test_a_refused_route_fails_over(apart: ModuleType) -> None:
    world = World(apart, asking, lambda function: Failover([Custom(function), child(1)]))
    apart.set_routes_max(world.engine, 0)
    world.receive(world.client(), GET)
    assert world.asked(1) == GET


def test_a_replaced_plan_stays_until_its_routes_have_ended(apart: ModuleType) -> None:
    world = World(apart, asking)
    route = Custom(asking)
    world.engine.install(compile_plan(route))
    old = weakref.ref(route)
    del route
    world.receive(world.client(), GET)
    world.engine.install(compile_plan(child(0)))
    world.pass_time(1.1)
    gc.collect()
    assert old() is not None
    world.step()
    world.apply()
    world.engine.server_in_use(0)
    gc.collect()
    assert old() is None


def test_a_custom_route_keeps_no_values(apart: ModuleType) -> None:
    world = World(apart, asking)
    client = world.client()
    kept = []
    for _ in range(3):
        world.receive(client, GET)
        world.step()
        world.apply()
        world.receive(world.links[0], b"VALUE k 0 100000\r\n" + b"x" * 100000 + b"\r\nEND\r\n")
        world.step()
        world.apply()
        world.got(client)
        kept.append(apart.memory_in_use(world.engine))
    assert kept[1] == kept[2]


def test_the_engine_goes_on_while_python_works(apart: ModuleType) -> None:
    def steps(request):
        reply = yield Ask(0)
        if request.key == b"a":
            yield Wait(0.01)
            (reply,) = yield AskAll((0,), 1)
        return reply

    world = World(apart, steps)
    loop = apart.Loop(world.engine, world.client(), world.links[0], world.now)
    thread = threading.Thread(target=loop.run)
    thread.start()
    for _ in range(300):
        apart.step(world.engine, loop.take())
        loop.apply()
    loop.stop()
    thread.join()
    world.now = loop.now
    for _ in range(3):
        world.pass_time(1.1)
        world.step()
        world.apply()
    counted = world.engine.counters()
    assert counted["requests"] == counted["replies"] > 0
    assert apart.routes_under_way(world.engine) == 0
