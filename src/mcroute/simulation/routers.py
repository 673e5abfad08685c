"""Routers: processes with an engine each. A proxy serves clients of other machines, a client its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Coroutine
from random import Random
from typing import Any

from ..client.on_asyncio import Client
from ..policy import Limits, Plan, State, SupervisorSettings
from ..proxy.on_asyncio import Proxy
from ..proxy.state_file import StateFile
from ..runtime.routing import FirstUse
from ..runtime.supervision import Supervision
from .clients import EmbeddedSender, Sender
from .disks import Disk
from .environment import environment
from .loop import SimulationLoop
from .machines import Machine
from .protocol_sender import ProtocolSender

__all__ = ("ClientRouter", "ProxyRouter", "Router")

PORT = 11311
# A killed process and its successor have other ports, as on a real machine.
PORTS_A_START = 1000


class Router(ABC):
    """One process at a time. `plan` is the configured plan; reloads may install others."""

    def __init__(
        self,
        loop: SimulationLoop,
        name: str,
        host: str,
        plan: Plan,
        rng: Random,
        settings: SupervisorSettings | None,
    ) -> None:
        self.name = name
        self.host = host
        self.plan = plan
        self.settings = settings
        self.starts: int = 0
        self.machine: Machine | None = None
        self.is_serving: bool = False
        self._loop = loop
        self._rng = rng
        self._tasks: list[Any] = []  # referenced until they are done

    def start(self) -> None:
        """Starts a process if there is none."""
        if self.machine is not None:
            return
        self.machine = Machine(self.name, self.host, first_port=PORTS_A_START * self.starts)
        self.starts += 1
        self._run(self._begin())

    def kill(self) -> None:
        """As SIGKILL does."""
        if self.machine is not None:
            machine, self.machine = self.machine, None
            self.is_serving = False
            self._loop.kill(machine)
            self._killed()

    def lose_power(self) -> None:
        """The process is killed, and what was not synced is lost."""
        self.kill()

    def reload(self, plan: Plan) -> None:
        """Installs another plan, unless there is no process."""
        if self.machine is not None:
            self._run(self._install(plan))

    async def _begin(self) -> None:
        await self._serve()
        self.is_serving = True

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        assert self.machine is not None
        self._tasks.append(self._loop.on(self.machine, coroutine))

    def _seed(self) -> Random:
        return Random(self._rng.getrandbits(64))

    @property
    @abstractmethod
    def supervision(self) -> Supervision | None:
        """The supervision of the running process; None if there is none yet."""

    def state(self, server: str) -> State | None:
        """The state of a server for this router; None without a process, or if it is not configured."""
        supervision = self.supervision
        if supervision is None:
            return None
        for number, links in supervision.links.items():
            if links.server.name == server:
                return supervision.supervisor.state(number)
        return None

    @abstractmethod
    def sender(self, value_size: int) -> Sender:
        """What sends the operations of a client of this router."""

    @abstractmethod
    def machine_of_client(self, number: int) -> Machine:
        """The machine on which a client of this router runs."""

    @abstractmethod
    async def close(self) -> None:
        """Ends the process in order."""

    @abstractmethod
    async def _serve(self) -> None: ...

    @abstractmethod
    async def _install(self, plan: Plan) -> None: ...

    @abstractmethod
    def _killed(self) -> None:
        """Releases what the system would release."""


class ProxyRouter(Router):
    """A proxy with a state file in `directory`, and a journal file if `has_journal`.

    Its clients are on machines of their own.
    """

    def __init__(
        self,
        *args: Any,
        directory: str,
        limits: Limits | None = None,
        has_journal: bool = False,
        first_use: FirstUse = "trust",
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        self._limits = limits
        self._disk = Disk(directory, self.name, limits, has_journal)
        self._first_use = first_use
        self._proxy: Proxy | None = None
        self._state: StateFile | None = None

    @property
    def supervision(self) -> Supervision | None:
        return self._proxy.supervision if self._proxy is not None else None

    def sender(self, value_size: int) -> Sender:
        # Longer than the proxy may take, so that its own errors are seen.
        return ProtocolSender(
            self.host, PORT, value_size, 2 * max(pool.deadline_s for pool in self.plan.pools) + 1
        )

    def machine_of_client(self, number: int) -> Machine:
        return Machine(f"client-{number}", f"10.2.{number // 250}.{number % 250 + 1}")

    async def _serve(self) -> None:
        self._state = self._disk.open()
        self._proxy = Proxy(
            self.plan,
            rng=self._seed(),
            state=self._state,
            first_use=self._first_use,
            settings=self.settings,
            limits=self._limits,
            environment=environment(self._loop.network),
        )
        await self._proxy.start(self.host, PORT)

    async def _install(self, plan: Plan) -> None:
        if self._proxy is not None:
            await self._proxy.reload(plan)

    def _killed(self) -> None:
        self._proxy = None
        if self._state is not None:
            self._state.close()
            self._state = None

    def lose_power(self) -> None:
        super().lose_power()
        self._disk.lose_power()

    async def close(self) -> None:
        if self._proxy is not None:
            await self._proxy.close(1.0)


class ClientRouter(Router):
    """A process with an embedded client, which all its tasks use."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._client: Client | None = None

    @property
    def supervision(self) -> Supervision | None:
        calls = self._client._calls if self._client is not None else None
        return calls.routing.supervision if calls is not None else None

    def _now(self) -> Client:
        if self._client is None:
            raise ConnectionError("the process is not running")
        return self._client

    def sender(self, value_size: int) -> Sender:
        return EmbeddedSender(self._now, value_size)

    def machine_of_client(self, number: int) -> Machine:
        assert self.machine is not None
        return self.machine

    async def _serve(self) -> None:
        self._client = Client(
            self.plan, rng=self._seed(), settings=self.settings, environment=environment(self._loop.network)
        )
        await self._client.connect()

    async def _install(self, plan: Plan) -> None:
        if self._client is not None:
            await self._client.reload(plan)

    def _killed(self) -> None:
        self._client = None

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close(1.0)
