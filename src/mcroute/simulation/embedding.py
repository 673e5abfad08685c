"""Simulations for tests of other programs: a route under faults, or coroutines of one's own."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

from ..client.on_asyncio import Client
from ..drivers.asyncio.environment import Environment
from ..policy import Limits, Plan, Route, SupervisorSettings, compile_plan
from .checker import Violation, violations
from .environment import environment
from .faults import FAULTS, Fault
from .fleet import Fleet
from .history import History, Operation
from .hosts import Host
from .loop import SimulationLoop
from .machines import Machine
from .network import Network
from .report import Report, report_of
from .routers import Router
from .servers import ServerOptions
from .story import story_of
from .workload import Workload
from .world import Outcome, Scenario, run

__all__ = ("Simulated", "Simulation", "simulate")

T = TypeVar("T")

# The machine of the program under test.
ADDRESS = "10.4.0.1"


def _plan(route: Route | Plan) -> Plan:
    return route if isinstance(route, Plan) else compile_plan(route)


# ---- a route under faults ----


@dataclass(frozen=True, slots=True)
class Simulated:
    """A run that has ended."""

    scenario: Scenario
    outcome: Outcome

    @property
    def history(self) -> History:
        """The calls of all clients, the faults and the lines of the log, in order."""
        return self.outcome.history

    def violations(self) -> list[Violation]:
        """The laws that were broken."""
        return violations(self.scenario, self.outcome)

    def check(self) -> None:
        """Raises AssertionError with a story if a law was broken."""
        found = self.violations()
        if found:
            raise AssertionError(story_of(self.scenario, self.outcome, found[0]))

    def report(self, slow_s: float = 0.1) -> Report:
        """The figures of the workload. Raises ValueError for a run of `operations` alone."""
        return report_of(self.scenario, self.outcome, slow_s)


def simulate(
    route: Route | Plan,
    *,
    faults: Sequence[Fault] = (),
    workload: Workload | None = None,
    operations: Sequence[Operation] = (),
    seed: int = 0,
    proxies: int = 1,
    embedded: int = 0,
    settings: SupervisorSettings | None = None,
    limits: Limits | None = None,
    server_options: ServerOptions | None = None,
    value_size: int = 100,
    other_routes: Sequence[Route | Plan] = (),
) -> Simulated:
    """Runs clients of proxies, and embedded clients, with this route under faults.

    Equal arguments give equal results. Clients send `operations`, the requests of `workload`, or both; those
    of `Workload()` if neither is given. `amount` of a fault `reload` is an index of `other_routes`; routers
    are `proxy-1`, `proxy-2` and so on. `value_size` is in bytes. Raises ConfigError for a route that cannot
    work or has unix sockets, ValueError for faults of unknown kinds or targets and without any router.
    """
    if workload is None and not operations:
        workload = Workload()
    if not proxies + embedded:
        raise ValueError("there is neither a proxy nor an embedded client")
    scenario = Scenario(
        seed=seed,
        plan=_plan(route),
        operations=tuple(operations),
        workload=workload,
        faults=tuple(faults),
        settings=settings,
        limits=limits,
        proxies=proxies,
        embedded=embedded,
        other_plans=tuple(_plan(other) for other in other_routes),
        server_options=server_options or ServerOptions(),
        value_size=value_size,
    )
    servers = [server.name for server in scenario.plan.servers]
    for fault in faults:
        _check_fault(fault, servers, [f"proxy-{number + 1}" for number in range(proxies)])
    return Simulated(scenario, run(scenario))


def _check_fault(fault: Fault, servers: Sequence[str], proxies: Sequence[str]) -> None:
    if fault.kind not in FAULTS:
        raise ValueError(f"{fault.kind!r} is no kind of fault; there is {', '.join(FAULTS)}")
    known = proxies if FAULTS[fault.kind].of_routers else servers
    if fault.target not in known:
        raise ValueError(
            f"{fault.kind} has no target {fault.target!r}; there is {', '.join(known) or 'none'}"
        )


# ---- coroutines of one's own ----


class Simulation:
    """The memcached servers of a route on a simulated network, for the coroutines of one process.

    `loop` and `network` are for programs that need more. Raises ConfigError for a route that cannot work or
    has unix sockets.
    """

    def __init__(
        self, route: Route | Plan, *, seed: int = 0, server_options: ServerOptions | None = None
    ) -> None:
        self.plan: Plan = _plan(route)
        self.rng: Random = Random(seed)
        self.network: Network = Network(self.rng)
        self.loop: SimulationLoop = SimulationLoop.of(self.network)
        self.fleet: Fleet = Fleet(self.network, server_options or ServerOptions())
        self.fleet.add(self.plan.servers)
        # Faults of routers have no target here.
        self.routers: dict[str, Router] = {}

    @property
    def servers(self) -> dict[str, Host]:
        """The servers' hosts by the servers' names."""
        return self.fleet.hosts

    def other_plan(self, number: int) -> Plan:
        """There are no reloads: the plan itself."""
        return self.plan

    def run(self, main: Callable[[Simulation], Coroutine[Any, Any, T]]) -> T:
        """Runs `main(simulation)` to its end, and returns its result; only once.

        Raises what `main` raises, and RuntimeError for an exception that no task has awaited.
        """
        machine = Machine("program", ADDRESS)

        async def top() -> T:
            return await self.loop.on(machine, main(self))

        result = self.loop.run(top())
        for message, error in self.loop.failures:
            raise RuntimeError(f"{message}: {error!r}") from error
        return result

    def environment(self) -> Environment:
        """The clock and the names of the simulation, for `Client` and `start_proxy`."""
        return environment(self.network)

    def client(self, **options: Any) -> Client:
        """A client with the simulation's route. `options` are those of `mcroute.asyncio.Client`."""
        rng = Random(self.rng.getrandbits(64))
        return Client(self.plan, **{"rng": rng, "environment": self.environment(), **options})

    def inject(self, kind: str, server: str, for_s: float, amount: float | None = None) -> Fault:
        """Begins a fault now, for `for_s` seconds. `amount` is the kind's default if it is None.

        Returns at once. Raises ValueError for an unknown kind or server, and for faults of routers.
        """
        fault = Fault(kind, server, self.loop.time(), for_s, 0.0)
        _check_fault(fault, list(self.servers), ())
        if amount is None:
            amount = FAULTS[kind].amount
        fault = Fault(kind, server, self.loop.time(), for_s, amount)
        FAULTS[kind].begin(self, fault)
        self.loop.call_later(for_s, FAULTS[kind].end, self, fault)
        return fault
