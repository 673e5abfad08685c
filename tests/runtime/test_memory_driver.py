"""A third driver under the runtime: servers in memory, on a simulated clock."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from functools import partial
from random import Random
from typing import Any

import pytest

from mcroute.policy import (
    Outcome,
    Pool,
    PoolRoute,
    Replicate,
    Server,
    State,
    SupervisorSettings,
    WarmingSettings,
    compile_plan,
)  # fmt: skip
from mcroute.runtime.routing import Routing

from . import virtual_clock
from .memory_driver import MemoryDriver
from .memory_network import MemoryServer, Network
from .virtual_clock import VirtualClock, VirtualTask

A, B = Server("a", "10.0.0.1", 11211), Server("b", "10.0.0.2", 11211)

History = list[tuple[float, str]]


class World:
    """Two servers, each key on both, and an engine that routes to them."""

    def __init__(self, seed: int) -> None:
        rng = self.rng = Random(seed)
        plan = compile_plan(Replicate(Pool("main", (A, B)), copies=2))
        self.clock = VirtualClock()
        self.network = Network(self.clock, rng)
        self.servers = [MemoryServer(self.network, pid) for pid in (11, 12)]
        self.network.servers = dict(zip((A.host, B.host), self.servers, strict=True))
        self.driver = MemoryDriver(plan, self.network, rng)
        # A server that was flushed is to be empty when the scenario looks at it.
        settings = SupervisorSettings(warming=WarmingSettings(keys_per_s=0))
        self.routing = Routing(plan, self.driver, settings=settings, rng=rng)

    def state(self, number: int) -> State:
        return self.routing.supervision.supervisor.state(number)

    async def serves_again(self, number: int) -> None:
        while self.state(number) is not State.UP:
            await self.clock.sleep(0.05)

    async def write_and_read(self, name: str, count: int = 20) -> None:
        for i in range(count):
            key = f"{name}{i}"
            outcome, _ = await self.driver.ask(f"set {key} 0 0 1\r\n{i % 10}\r\n".encode())
            assert outcome is Outcome.STORED
            assert await self.read(key) == b"%d" % (i % 10)

    async def read(self, key: str) -> bytes | None:
        outcome, items = await self.driver.ask(f"get {key}\r\n".encode())
        assert outcome in (Outcome.HIT, Outcome.MISS)
        return items[0][3] if items else None


def history_of(seed: int, scenario: Callable[[World], Coroutine[Any, Any, None]]) -> History:
    """The events in the world of this seed, lines of the log among them."""
    world = World(seed)

    class Noting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            world.network.note(record.getMessage())

    async def life() -> None:
        await world.routing.prepare()
        world.routing.begin()
        await world.routing.tried()
        await scenario(world)
        await world.routing.close()

    noting = Noting()
    logging.getLogger("mcroute").addHandler(noting)
    try:
        world.clock.run(life())
    finally:
        logging.getLogger("mcroute").removeHandler(noting)
    assert not any(server.connections for server in world.servers)
    return world.network.history


def texts(history: History) -> list[str]:
    return [text for _, text in history]


async def quiet(world: World) -> None:
    await world.write_and_read("k")


async def lost_link(world: World) -> None:
    """While it carries a write, so that the server has to be fenced and flushed."""
    await world.write_and_read("before")
    writing = world.clock.start(world.driver.ask(b"set k 0 0 1\r\nx\r\n"))
    await world.clock.sleep(0)
    await world.clock.sleep(0)
    [link] = world.servers[0].connections
    link.lose()
    await writing
    assert world.state(0) is not State.UP
    await world.write_and_read("meanwhile")
    await world.serves_again(0)
    await world.write_and_read("after")
    assert await world.read("k") == b"x"


async def server_out_and_back(world: World) -> None:
    await world.write_and_read("before")
    world.servers[0].kill()
    await world.write_and_read("meanwhile")
    await world.clock.sleep(5)
    assert world.state(0) is not State.UP
    world.servers[0].restart(13)
    await world.serves_again(0)
    assert world.servers[0].store.live_keys() == []
    await world.write_and_read("after")
    assert len(world.servers[0].store.live_keys()) == 20


async def other_plans(world: World) -> None:
    """The server leaves the plan, and has missed writes when it comes back."""
    both, less = world.routing.plan, compile_plan(PoolRoute(Pool("main", (B,))))
    await world.write_and_read("before")
    await world.routing.install(less)
    await world.write_and_read("meanwhile")
    await world.clock.sleep(5)
    assert not world.servers[0].connections
    await world.routing.install(both)
    assert world.servers[0].store.live_keys() == []
    await world.routing.tried()
    await world.write_and_read("after")
    assert len(world.servers[0].store.live_keys()) == 20


async def use(world: World, key: str, rng: Random) -> None:
    """A client writes and reads its key. No read may return a value from before an acknowledged write."""
    written = [b""]  # the last acknowledged value, and later ones
    for turn in range(60):
        if rng.random() < 0.4:
            written.append(value := b"%d" % turn)
            request = b"set %b 0 0 %d\r\n%b\r\n" % (key.encode(), len(value), value)
            if (await world.driver.ask(request))[0] is Outcome.STORED:
                written = written[-1:]
        else:
            outcome, items = await world.driver.ask(f"get {key}\r\n".encode())
            assert outcome is not Outcome.HIT or items[0][3] in written
        await world.clock.sleep(rng.choice([0, 0, 0.001, 0.3]))


async def faults(world: World) -> None:
    """Links are lost, servers restarted or cut off, at random, while five clients work."""
    clients = [world.clock.start(use(world, f"k{i}", Random(world.rng.random()))) for i in range(5)]
    while not all(client.done() for client in clients):
        server = world.rng.choice(world.servers)
        action = world.rng.choice(["lose", "lose", "cut", "restart"])
        if action == "lose" and server.connections:
            world.rng.choice(sorted(server.connections, key=lambda connection: connection.end)).lose()
        elif action != "lose" and server.is_up:
            server.kill()
            back = server.come_back if action == "cut" else partial(server.restart, 100)
            world.clock.call_later(world.rng.uniform(0, 2), back)
        await world.clock.sleep(world.rng.uniform(0, 1.5))
    for client in clients:
        await client
    await world.serves_again(0)
    await world.serves_again(1)


SCENARIOS = [quiet, lost_link, server_out_and_back, other_plans, faults]


@pytest.mark.parametrize("scenario", [quiet, lost_link, server_out_and_back, other_plans])
@pytest.mark.parametrize("seed", range(5))
def test_the_runtime_serves_on_a_driver_in_memory(
    scenario: Callable[[World], Coroutine[Any, Any, None]], seed: int
) -> None:
    history = history_of(seed, scenario)
    lines = [text for text in texts(history) if "server a" in text]
    if scenario in (quiet, other_plans):
        assert lines == []
    else:
        assert "is out of service" in lines[0]
        assert lines[-1].startswith("server a serves again after ") and "flushed" in lines[-1]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_one_seed_has_one_history(scenario: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    assert history_of(1, scenario) == history_of(1, scenario)
    assert history_of(1, scenario) != history_of(2, scenario)


def test_tasks_for_removed_servers_are_cancelled_in_the_order_of_their_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An order by address would differ from one run to the next."""
    names = [f"10.0.0.{i}" for i in range(2, 26)]
    begun: list[VirtualTask] = []
    cancelled: list[VirtualTask] = []
    clock = VirtualClock()
    network = Network(clock, Random(1))
    network.servers = {name: MemoryServer(network, i) for i, name in enumerate(names)}
    plan = compile_plan(PoolRoute(Pool.of("main", [f"{name}:1" for name in names])))
    routing = Routing(plan, MemoryDriver(plan, network, Random(1)), rng=Random(1))

    class Noting(VirtualTask):
        def __init__(self, clock: VirtualClock, coroutine: Coroutine[Any, Any, Any]) -> None:
            super().__init__(clock, coroutine)
            if "_retire" in coroutine.__qualname__:
                begun.append(self)

        def cancel(self) -> None:
            if self in begun:
                cancelled.append(self)
            super().cancel()

    async def life() -> None:
        await routing.prepare()
        routing.begin()
        await routing.tried()
        await routing.install(compile_plan(PoolRoute(Pool.of("main", [f"{names[0]}:1"]))))
        await routing.close()

    monkeypatch.setattr(virtual_clock, "VirtualTask", Noting)
    clock.run(life())
    assert len(begun) == len(names) - 1
    assert cancelled == begun
