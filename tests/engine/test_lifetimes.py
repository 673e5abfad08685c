"""The end of an engine's memory."""

from __future__ import annotations

import gc

import pytest

from mcroute import Engine
from mcroute.policy import Limits, Pool, PoolRoute, Replicate, compile_plan

from .network import network, pool

pytestmark = pytest.mark.usefixtures("driver")


def test_lent_memory_lives_as_long_as_an_engine_in_a_cycle() -> None:
    """The garbage collector must not clear a memoryview whose buffer the engine still holds."""
    plan = compile_plan(PoolRoute(Pool.of("main", ["127.0.0.1:1"])))
    memory = memoryview(bytearray(4096))[64:]
    cycle: list[object] = [Engine(plan, memory=memory)]
    cycle.append(cycle)
    cycle.append(memory)
    del memory, cycle
    gc.collect()
    gc.collect()


def test_an_older_plan_lives_as_long_as_an_engine_in_a_cycle() -> None:
    """The garbage collector must not free a plan to which a refill that waits still refers."""
    net = network(Replicate(pool(3), copies=2), 3)
    net.engine.set_limits(Limits())
    first, second = pool(3).ring().owners(b"k1", 2)
    client = net.client()
    net.send(client, b"get k1\r\n")
    net.reply(first, b"END\r\n")
    net.reply(second, b"VALUE k1 0 1\r\nx\r\nEND\r\n")
    assert net.engine.snapshot().counters["refills_open"] == 1
    net.engine.install(compile_plan(PoolRoute(pool(3))))
    assert net.engine.free_plans() == 1
    # Younger than the engine's own lists, which the collector comes to first.
    cycle: list[object] = [net.engine]
    cycle.append(cycle)
    del net, cycle
    gc.collect()
    gc.collect()
