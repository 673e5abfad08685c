"""A world: servers, routers and clients on one network, the faults that befall them, and their history."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

from ..errors import ConfigError
from ..policy import Cause, Plan, State, SupervisorSettings
from .clients import SimulatedClient
from .faults import FAULTS, Fault
from .history import History, Operation
from .hosts import Host
from .loop import SimulationLoop
from .machines import MACHINE
from .network import Network
from .routers import ClientRouter, ProxyRouter, Router
from .servers import ServerOptions
from .transports import End

__all__ = ("Outcome", "Scenario", "World", "run")

log: logging.Logger = logging.getLogger("mcroute")

# After the last fault, servers must be in service again within this time, in seconds.
SETTLE_S = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """All that decides a run. Equal scenarios have equal histories.

    `plan` names the servers; each is a memcached with `server_options`. `other_plans` are those that reloads
    install for a while. `proxies` and `embedded` are the numbers of routers of each kind; client number c of
    an operation belongs to router c modulo their number. `value_size` is in bytes.
    """

    seed: int
    plan: Plan
    operations: tuple[Operation, ...]
    faults: tuple[Fault, ...] = ()
    settings: SupervisorSettings | None = None
    proxies: int = 1
    embedded: int = 0
    other_plans: tuple[Plan, ...] = ()
    server_options: ServerOptions = field(default_factory=ServerOptions)
    value_size: int = 64
    settle_s: float = SETTLE_S


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
    that nothing has handled. Times are in seconds of the loop.
    """

    history: History
    met: Counter[tuple[str, str]]
    begun_at: float
    ended_at: float
    unsettled: list[str]
    failures: list[str]
    ejections: list[Ejected]
    contents: dict[str, dict[bytes, bytes]]


class World:
    """One run of a scenario."""

    def __init__(self, scenario: Scenario, directory: str) -> None:
        self.scenario = scenario
        self.rng: Random = Random(scenario.seed)
        self.network: Network = Network(self.rng)
        self.loop: SimulationLoop = SimulationLoop.of(self.network)
        self.history: History = History()
        self.met: Counter[tuple[str, str]] = Counter()
        self.hosts: dict[str, Host] = {}
        self._names: dict[str, str] = {}
        self._moves = 0
        self._pids = 1000
        for number, server in enumerate(scenario.plan.servers):
            self._add_host(server.name, server.host, server.port, number)
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
            )
        for number in range(scenario.embedded):
            name, rng = f"client-{number + 1}", Random(self.rng.getrandbits(64))
            self.routers[name] = ClientRouter(
                self.loop, name, f"10.1.1.{number + 1}", scenario.plan, rng, scenario.settings
            )
        self.begun_at: float = 0.0
        self._ejections: list[Ejected] = []
        self._unsettled: list[str] = []

    # ---- servers ----

    def _add_host(self, name: str, host: str, port: int, number: int) -> None:
        if not host:
            raise ConfigError(name, "a simulation has no unix sockets")
        numeric = host
        if not host.replace(".", "").isdigit():
            numeric = f"10.0.{number // 250}.{number % 250 + 1}"
            self._names[name] = host
            self.network.names[host] = (numeric,)
        self._put_host(name, (numeric, port))

    def _put_host(self, name: str, end: End) -> None:
        self._pids += 10
        self.hosts[name] = Host(self.network, name, end, self.scenario.server_options, self._pids)

    def name_of(self, server: str) -> str:
        """The host name of a server; empty if it is configured by an address."""
        return self._names.get(server, "")

    def move(self, server: str) -> None:
        """Ends the server, and starts an empty one at another address of its name."""
        old = self.hosts[server]
        old.kill()
        self._moves += 1
        numeric = f"10.3.{self._moves // 250}.{self._moves % 250 + 1}"
        self._put_host(server, (numeric, old.end[1]))
        if name := self.name_of(server):
            self.network.names[name] = (numeric,)

    def other_plan(self, number: int) -> Plan:
        """One of the plans for reloads, by any number; the configured one if there is no other."""
        others = self.scenario.other_plans or (self.scenario.plan,)
        return others[number % len(others)]

    # ---- the run ----

    def run(self) -> Outcome:
        with self._logged():
            self.loop.run(self._main())
        failures = [f"{message}: {error!r}" for message, error in self.loop.failures]
        return Outcome(
            self.history,
            self.met,
            self.begun_at,
            self.loop.time(),
            self._unsettled,
            failures,
            self._ejections,
            {name: _contents(host) for name, host in self.hosts.items()},
        )

    async def _main(self) -> None:
        for router in self.routers.values():
            router.start()
        while not all(router.is_serving for router in self.routers.values()):
            await asyncio.sleep(0.01)
        self.begun_at = self.loop.time()
        for fault in self.scenario.faults:
            self.loop.call_at(self.begun_at + fault.at_s, self._begin_fault, fault)
        await asyncio.gather(*self._start_clients())
        last = max((fault.at_s + fault.for_s for fault in self.scenario.faults), default=0.0)
        await asyncio.sleep(max(0.0, self.begun_at + last - self.loop.time()))
        await self._settle()
        for router in self.routers.values():
            await router.close()

    def _start_clients(self) -> Iterator[asyncio.Task[None]]:
        operations: defaultdict[int, list[Operation]] = defaultdict(list)
        for operation in self.scenario.operations:
            operations[operation.client].append(operation)
        routers = list(self.routers.values())
        for number, own in operations.items():
            router = routers[number % len(routers)]
            client = SimulatedClient(
                router.name, router.sender(self.scenario.value_size), self.loop.time, self.history.add_call
            )
            machine = router.machine_of_client(number)
            yield self.loop.on(machine, client.run(own, self.begun_at))

    async def _settle(self) -> None:
        """Waits until every server is in service again."""
        until = self.loop.time() + self.scenario.settle_s
        while (unsettled := self._out()) and self.loop.time() < until:
            await asyncio.sleep(0.25)
        self._unsettled = unsettled

    def _out(self) -> list[str]:
        return [
            f"{server} for {router.name}"
            for router in self.routers.values()
            for server in self.hosts
            if router.state(server) is not State.UP
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
        if where in self.routers and " is out of service" in text:
            # Not before all decisions of this moment are carried out.
            self.loop.call_soon(self._note_ejection, self.routers[where])

    def _note_ejection(self, router: Router) -> None:
        supervision = router.supervision
        if supervision is not None:
            causes = frozenset(reason.cause for reason in supervision.supervisor.reasons().values())
            serving = {server for server in self.hosts if router.state(server) is State.UP}
            for pool in router.plan.named_pools:
                up = sum(server.name in serving for server in pool.servers)
                self._ejections.append(
                    Ejected(self.loop.time(), router.name, pool.name, up, len(pool.servers), causes)
                )

    @contextmanager
    def _logged(self) -> Iterator[None]:
        """The routers' log goes to the history instead."""
        handler = _ToHistory(self._note)
        propagates, log.propagate = log.propagate, False
        level = log.level
        log.setLevel(logging.INFO)
        log.addHandler(handler)
        try:
            yield
        finally:
            log.removeHandler(handler)
            log.propagate = propagates
            log.setLevel(level)


def _contents(host: Host) -> dict[bytes, bytes]:
    items = host.model.store.items
    return {key: item.value for key, item in items.items()}


class _ToHistory(logging.Handler):
    def __init__(self, note: Callable[[str, str], None]) -> None:
        super().__init__()
        self._note = note

    def emit(self, record: logging.LogRecord) -> None:
        machine = MACHINE.get()
        error = f" {record.exc_info[1]!r}" if record.exc_info else ""
        self._note(machine.name if machine else "", record.getMessage() + error)


def run(scenario: Scenario) -> Outcome:
    """Runs a scenario from its beginning."""
    with tempfile.TemporaryDirectory(prefix="mcroute-simulation-") as directory:
        return World(scenario, directory).run()
