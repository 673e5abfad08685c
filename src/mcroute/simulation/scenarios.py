"""Random scenarios: one seed decides the servers, the routers, the operations and the faults."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from random import Random

from ..errors import ConfigError
from ..policy import Limits, Plan, Server, compile_plan
from ..policy.limits import JOURNAL_SIZE_MIN
from .history import COUNTER, Operation
from .layouts import LAYOUTS, Layout, layout_of
from .patterns import PATTERNS, Mix
from .servers import ServerOptions
from .world import Scenario

__all__ = ("scenario_of",)

VERSIONS = ("1.6.18", "1.6.38", "1.6.45")
SERVER_PORT = 11211
COUNTERS = 5
# Larger than the default, since there are few requests.
HEDGE_SHARE = 0.5
# How many requests a client has under way; those of a pipeline come at one time.
DEPTHS = (1, 1, 1, 4, 16)
# Writes that may be sent without asking for a reply, and their share.
QUIET, QUIET_SHARE = ("set", "delete"), 0.05


def scenario_of(seed: int, operations: int = 2000, faults: int = 5) -> Scenario:
    """The scenario of a seed, with so many operations and faults."""
    rng = Random(seed)
    name = layout_of(rng)
    layout = LAYOUTS[name]
    [pattern] = rng.choices([PATTERNS[each] for each in layout.patterns], list(layout.patterns.values()))
    count = rng.randint(layout.servers_min, layout.servers_max)
    servers = [Server(f"cache-{n + 1}", f"cache-{n + 1}.test", SERVER_PORT) for n in range(count)]
    plan, *other_plans = _plans(rng, layout, servers)
    proxies, embedded = rng.choice(((1, 0), (1, 0), (2, 0), (0, 1), (1, 1)))
    clients = rng.randint(2, 8)
    span_s = rng.choice(layout.spans_s)
    depth = rng.choice(DEPTHS)
    routers = [f"proxy-{n + 1}" for n in range(proxies)]
    drawn = pattern.draw(rng, faults, [server.name for server in servers], routers, span_s)
    scenario = Scenario(
        seed=seed,
        plan=plan,
        other_plans=tuple(other_plans),
        proxies=proxies,
        embedded=embedded,
        operations=tuple(_operations(rng, layout, pattern.mix, operations, clients, span_s, depth)),
        faults=tuple(sorted(drawn, key=lambda fault: fault.at_s)),
        server_options=ServerOptions(version=rng.choice(VERSIONS)),
        value_size=rng.choice((32, 64, 500, 4000)),
        depth=depth,
        reads_at_end=True,
        layout=name,
        exempt=layout.exempt,
    )
    return _with_journals(seed, scenario)


def _with_journals(seed: int, scenario: Scenario) -> Scenario:
    """With journal files in half of the scenarios, some of them small, and losses of power in some."""
    # A generator of its own: the other choices of a seed stay as they are.
    rng = Random(f"{seed}/journals")
    if rng.random() < 0.5:
        return scenario
    loses_power = rng.random() < 0.3
    faults = tuple(
        replace(fault, kind="power-router") if loses_power and fault.kind == "restart-router" else fault
        for fault in scenario.faults
    )
    return replace(
        scenario,
        has_journals=True,
        # With "trust", a server that missed its first write just before the loss of power is trusted.
        first_use="flush" if loses_power else "trust",
        limits=rng.choice((None, None, Limits(journal_size_max=JOURNAL_SIZE_MIN))),
        faults=faults,
    )


def _plans(rng: Random, layout: Layout, servers: list[Server]) -> list[Plan]:
    """The plan of all servers, and those without one of them, if enough are left."""
    build = layout.draw(rng, servers)
    plans = [compile_plan(build(servers), hedge_share=HEDGE_SHARE)]
    for gone in servers:
        with suppress(ConfigError):
            left = [server for server in servers if server is not gone]
            plans.append(compile_plan(build(left), hedge_share=HEDGE_SHARE))
    return plans


def _operations(
    rng: Random, layout: Layout, mix: Mix, count: int, clients: int, span_s: float, depth: int
) -> list[Operation]:
    weights = {kind: weight for kind, weight in mix.kinds.items() if kind not in layout.omits}
    keys = [f"key-{n}" for n in range(rng.choice(layout.keys))]
    counters = [f"{COUNTER}-{n}" for n in range(COUNTERS)]
    times = sorted(rng.uniform(0, span_s) for _ in range(-(-count // depth)))
    operations = []
    for number in range(count):
        at_s = times[number // depth]
        if number % depth == 0:
            client = rng.randrange(clients)
        if rng.random() < mix.counters_share:
            kind = rng.choice(mix.counter_kinds)
            operations.append(Operation(number, client, at_s, kind, rng.choice(counters)))
            continue
        [kind] = rng.choices(list(weights), list(weights.values()))
        lives = rng.random() < 0.2 or kind in ("gat", "touch")
        ttl_s = rng.randint(1, 20) if lives else 0
        # A few keys get most of the requests.
        key = keys[min(int(rng.expovariate(3) * len(keys)), len(keys) - 1)]
        more = tuple(rng.sample(keys, min(len(keys), 4))) if kind == "get_many" else ()
        # A few clients give up before the answer can have come.
        limit_s = rng.uniform(0, 0.005) if rng.random() < 0.02 else 0.0
        others = tuple(each for each in more if each != key)
        is_quiet = kind in QUIET and rng.random() < QUIET_SHARE
        operations.append(Operation(number, client, at_s, kind, key, ttl_s, others, limit_s, is_quiet))
    return operations
