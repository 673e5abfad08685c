"""A world: servers, routers and clients on one network, the faults that befall them, and their history."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from ..policy import Cause, Limits, Plan, State, SupervisorSettings
from ..runtime.routing import FirstUse
from .absences import Absence, Absences
from .clients import SimulatedClient
from .faults import FAULTS, Fault
from .fleet import Fleet
from .history import History, Operation
from .hosts import Host
from .logs import logged_to
from .loop import SimulationLoop
from .machines import Machine
from .network import Network
from .routers import ClientRouter, ProxyRouter, Router
from .servers import ServerOptions
from .workload import Application, Served, Workload

__all__ = ("Outcome", "Scenario", "World", "run")

# After the last fault, servers must be in service again within this time, in seconds.
SETTLE_S = 90.0
Progress = Callable[[float], None]
# The addresses of the workload's clients are behind those of the operations' clients.
FIRST_USER = 5000
# And those of the clients that read all keys behind these.
FIRST_READER = 9000


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """All that decides a run. Equal scenarios have equal histories.

    `plan` names the servers; each is a memcached with `server_options`. `other_plans` are those that reloads
    install for a while. `proxies` and `embedded` are the numbers of routers of each kind; client number c of
    an operation belongs to router c modulo their number. Beside the operations, or instead of them, runs the
    `workload`. `limits` are those of the proxies; they have journal files if `has_journals`. `value_size` is
    in bytes. A client sends its operations one after the other, or `depth` at a time. With `reads_at_end`
    each router reads every key when all servers serve again. `layout` names the kind of route, or is empty;
    `exempt` are the laws that the route does not promise.
    """

    seed: int
    plan: Plan
    operations: tuple[Operation, ...] = ()
    workload: Workload | None = None
    faults: tuple[Fault, ...] = ()
    settings: SupervisorSettings | None = None
    limits: Limits | None = None
    proxies: int = 1
    embedded: int = 0
    other_plans: tuple[Plan, ...] = ()
    server_options: ServerOptions = field(default_factory=ServerOptions)
    value_size: int = 64
    settle_s: float = SETTLE_S
    depth: int = 1
    reads_at_end: bool = False
    layout: str = ""
    exempt: frozenset[str] = frozenset()
    has_journals: bool = False
    first_use: FirstUse = "trust"


@dataclass(frozen=True, slots=True)
class Ejected:
    """The servers of a pool that were out of service when another one had just left, for one router."""

    at: float
    router: str
    pool: str
    serving: int
    size: int
    causes: frozenset[Cause]


@dataclass(slots=True)
class Outcome:
    """A run's result. `met` counts (kind of fault, state of its server when it began).

    `unsettled` names servers that were not in service at the end, with the router. `failures` are exceptions
    that nothing has handled. `served` are the requests of the workload in the order of their ends, and
    `queries` the times of those of its database. `turns` and `accepts` are the numbers of requests at all
    servers, those that came at once counting as one, and of connections; `replied` has the times of each
    server's replies. `steps` are the calls of the loop in each second. Times are in seconds of the loop.
    """

    history: History
    met: Counter[tuple[str, str]]
    begun_at: float
    ended_at: float
    unsettled: list[str]
    failures: list[str]
    ejections: list[Ejected]
    contents: dict[str, dict[bytes, bytes]]
    absences: list[Absence] = field(default_factory=list)
    served: list[Served] = field(default_factory=list)
    queries: list[float] = field(default_factory=list)
    turns: int = 0
    accepts: int = 0
    replied: dict[str, list[float]] = field(default_factory=dict)
    steps: dict[int, int] = field(default_factory=dict)


class _User:
    """A client of the workload on its machine."""

    def __init__(self, loop: SimulationLoop, number: int, machine: Machine, client: SimulatedClient) -> None:
        self._loop = loop
        self._number = number
        self._machine = machine
        self._client = client

    def run(self, act: Callable[[int, SimulatedClient], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        return self._loop.on(self._machine, act(self._number, self._client))


class World:
    """One run of a scenario."""

    def __init__(self, scenario: Scenario, directory: str) -> None:
        self.scenario = scenario
        self.rng: Random = Random(scenario.seed)
        self.network: Network = Network(self.rng)
        self.loop: SimulationLoop = SimulationLoop.of(self.network)
        self.history: History = History()
        self.met: Counter[tuple[str, str]] = Counter()
        self.fleet: Fleet = Fleet(self.network, scenario.server_options)
        for plan in (scenario.plan, *scenario.other_plans):
            self.fleet.add(plan.servers)
        self.routers: dict[str, Router] = {}
        for number in range(scenario.proxies):
            name, rng = f"proxy-{number + 1}", Random(self.rng.getrandbits(64))
            self.routers[name] = ProxyRouter(
                self.loop,
                name,
                f"10.1.0.{number + 1}",
                scenario.plan,
                rng,
                scenario.settings,
                directory=directory,
                limits=scenario.limits,
                has_journal=scenario.has_journals,
                first_use=scenario.first_use,
            )
        for number in range(scenario.embedded):
            name, rng = f"client-{number + 1}", Random(self.rng.getrandbits(64))
            self.routers[name] = ClientRouter(
                self.loop, name, f"10.1.1.{number + 1}", scenario.plan, rng, scenario.settings
            )
        self.begun_at: float = 0.0
        self._on_progress: Progress | None = None
        self._ejections: list[Ejected] = []
        self._unsettled: list[str] = []
        self._absences = Absences(self.loop.time)
        self._application: Application | None = None
        if scenario.workload is not None:
            self._application = Application(
                scenario.workload, scenario.seed, self.loop.time, len(self.routers)
            )

    # ---- servers ----

    def other_plan(self, number: int) -> Plan:
        """One of the plans for reloads, by any number; the configured one if there is no other."""
        others = self.scenario.other_plans or (self.scenario.plan,)
        return others[number % len(others)]

    # ---- the run ----

    def run(self, on_progress: Progress | None = None) -> Outcome:
        self._on_progress = on_progress
        with logged_to(self._note):
            self.loop.run(self._main())
        failures = [f"{message}: {error!r}" for message, error in self.loop.failures]
        hosts = set(self.fleet.hosts.values())
        return Outcome(
            self.history,
            self.met,
            self.begun_at,
            self.loop.time(),
            self._unsettled,
            failures,
            self._ejections,
            {name: _contents(host) for name, host in self.fleet.hosts.items()},
            self._absences.found,
            self._application.served if self._application else [],
            self._application.database.queries if self._application else [],
            sum(host.turns for host in hosts),
            sum(host.accepts for host in hosts),
            {name: host.replied for name, host in self.fleet.hosts.items()},
            self.loop.steps,
        )

    async def _main(self) -> None:
        self.begun_at = self.loop.time()
        self._tell_progress()
        for router in self.routers.values():
            router.start()
        while not all(router.is_serving for router in self.routers.values()):
            await asyncio.sleep(0.01)
        application, users = self._application, list(self._users())
        if application is not None:
            await asyncio.gather(*(user.run(application.fill) for user in users))
        self.begun_at = self.loop.time()
        for fault in self.scenario.faults:
            self.loop.call_at(self.begun_at + fault.at_s, self._begin_fault, fault)
        tasks = list(self._start_clients())
        if application is not None:
            tasks += [user.run(application.serve) for user in users]
            tasks.append(self.loop.create_task(application.arrive(self.begun_at)))
        await asyncio.gather(*tasks)
        last = max((fault.at_s + fault.for_s for fault in self.scenario.faults), default=0.0)
        await asyncio.sleep(max(0.0, self.begun_at + last - self.loop.time()))
        await self._settle()
        if self.scenario.reads_at_end:
            await self._read_all()
        for router in self.routers.values():
            await router.close()

    def _start_clients(self) -> Iterator[asyncio.Task[None]]:
        operations: defaultdict[int, list[Operation]] = defaultdict(list)
        for operation in self.scenario.operations:
            operations[operation.client].append(operation)
        for number, own in operations.items():
            machine, client = self._client(number, number)
            yield self.loop.on(machine, client.run(own, self.begun_at))

    async def _read_all(self) -> None:
        keys = dict.fromkeys(operation.key for operation in self.scenario.operations)
        first = max((operation.number for operation in self.scenario.operations), default=0) + 1
        for number in range(len(self.routers)):
            reads = [
                Operation(first + index, FIRST_READER + number, 0.0, "get", key)
                for index, key in enumerate(keys)
            ]
            machine, client = self._client(number, FIRST_READER + number)
            await self.loop.on(machine, client.run(reads, self.begun_at))

    def _client(self, number: int, address: int) -> tuple[Machine, SimulatedClient]:
        """A client and its machine: of a router's process, or with an address of its own."""
        routers = list(self.routers.values())
        router = routers[number % len(routers)]
        client = SimulatedClient(
            router.name,
            router.sender(self.scenario.value_size),
            self.loop.time,
            self.history.add_call,
            self.scenario.depth,
        )
        return router.machine_of_client(address), client

    def _users(self) -> Iterator[_User]:
        """The clients of the workload."""
        if self.scenario.workload is not None:
            for number in range(self.scenario.workload.clients):
                yield _User(self.loop, number, *self._client(number, FIRST_USER + number))

    def _tell_progress(self) -> None:
        if self._on_progress is not None:
            self._on_progress(self.loop.time() - self.begun_at)
            self.loop.call_later(1.0, self._tell_progress)

    async def _settle(self) -> None:
        """Waits until every server is in service again."""
        until = self.loop.time() + self.scenario.settle_s
        while (unsettled := self._out()) and self.loop.time() < until:
            await asyncio.sleep(0.25)
        self._unsettled = unsettled

    def _out(self) -> list[str]:
        return [
            f"{server.name} for {router.name}"
            for router in self.routers.values()
            for server in self.scenario.plan.servers
            if router.state(server.name) is not State.UP
        ]

    # ---- faults ----

    def _begin_fault(self, fault: Fault) -> None:
        kind = FAULTS[fault.kind]
        if not kind.of_routers:
            for router in self.routers.values():
                state = router.state(fault.target)
                self.met[fault.kind, "no router" if state is None else state.name.lower()] += 1
        else:
            self.met[fault.kind, ""] += 1
        self._note("fault", f"begins: {fault}")
        kind.begin(self, fault)
        self.loop.call_later(fault.for_s, self._end_fault, fault)

    def _end_fault(self, fault: Fault) -> None:
        self._note("fault", f"ends: {fault}")
        FAULTS[fault.kind].end(self, fault)

    # ---- the history ----

    def _note(self, where: str, text: str) -> None:
        self.history.add_event(self.loop.time(), where, text)
        if where in self.routers:
            # Not before all decisions of this moment are carried out.
            self.loop.call_soon(self._absences.look, self.routers[where])
            if " is out of service" in text:
                self.loop.call_soon(self._note_ejection, self.routers[where])

    def _note_ejection(self, router: Router) -> None:
        supervision = router.supervision
        if supervision is not None:
            causes = frozenset(reason.cause for reason in supervision.supervisor.reasons().values())
            serving = {server for server in self.fleet.hosts if router.state(server) is State.UP}
            for pool in router.plan.named_pools:
                up = sum(server.name in serving for server in pool.servers)
                self._ejections.append(
                    Ejected(self.loop.time(), router.name, pool.name, up, len(pool.servers), causes)
                )


def _contents(host: Host) -> dict[bytes, bytes]:
    store = host.model.store
    return {key: store.items[key].value for key in store.live_keys()}


def run(scenario: Scenario, on_progress: Progress | None = None) -> Outcome:
    """Runs a scenario from its beginning.

    `on_progress` gets the seconds since the routers or the first operations began, each second; an exception
    that it raises ends the run.
    """
    with tempfile.TemporaryDirectory(prefix="mcroute-simulation-") as directory:
        return World(scenario, directory).run(on_progress)
