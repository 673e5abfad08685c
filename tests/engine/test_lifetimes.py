"""The end of an engine's memory."""

from __future__ import annotations

import gc

from mcroute import Engine
from mcroute.policy import Pool, PoolRoute, compile_plan


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
