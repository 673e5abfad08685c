"""Servers that came back empty get their keys again, each in a task of its own."""

from __future__ import annotations

from ..policy import State
from ..policy.copies import Copies
from .announcements import Announcements
from .interfaces import Task
from .refills import Refills
from .supervised import Supervised
from .waiting import Slots
from .warming import Stopped, Warming
from .warming_log import WarmingLog

__all__ = ("Warmings",)


class Warmings:
    """The tasks of one engine. `look` starts and ends them, as servers come and go.

    Without `refills` no server is warmed.
    """

    def __init__(self, supervised: Supervised, changes: Announcements, refills: Refills | None) -> None:
        self._supervised = supervised
        self._clock = supervised.clock
        self._refills = refills
        self._log = WarmingLog(supervised, changes)
        self._copies = Copies(supervised.supervisor.plan)
        self._serials: dict[int, int] = {}  # by server with a task
        self._tasks: dict[int, Task[None]] = {}
        self._ending: set[Task[None]] = set()  # cancelled tasks that have not ended
        self._slots = self._new_slots()

    def _new_slots(self) -> Slots:
        return Slots(self._clock, self._supervised.supervisor.settings.warming.servers_max)

    @property
    def tasks(self) -> list[Task[None]]:
        """The running tasks, including cancelled ones that have not ended."""
        return [*self._tasks.values(), *self._ending]

    def cancel(self) -> None:
        for server in list(self._tasks):
            self._cancel(server)

    def install(self) -> None:
        """Another plan: the tasks begin anew, with the next `look`."""
        self.cancel()
        self._copies = Copies(self._supervised.supervisor.plan)
        self._slots = self._new_slots()

    def look(self) -> None:
        """Starts the tasks of cold servers that serve, and ends those of servers that do not."""
        supervisor = self._supervised.supervisor
        for server, serial in list(self._serials.items()):
            is_other = supervisor.cold.serial(server) != serial
            if is_other or supervisor.state(server) is not State.UP:
                self._cancel(server)
        if not supervisor.cold:
            return
        for server in [*supervisor.cold]:
            if supervisor.state(server) is State.UP and server not in self._tasks:
                self._start(server)

    def _start(self, server: int) -> None:
        supervisor = self._supervised.supervisor
        ids = {each.name: number for number, each in self._supervised.servers.items()}
        twins = [ids[name] for name in self._copies.twins(self._supervised.name(server))]
        if self._refills is None or not twins or not supervisor.settings.warming.keys_per_s:
            supervisor.cold.warmed(server)
            return
        # Other proxies begin with other twins.
        self._supervised.rng.shuffle(twins)
        serial = self._serials[server] = supervisor.cold.serial(server)
        task = self._tasks[server] = self._clock.start(self._warm(self._refills, server, serial, twins))
        task.add_done_callback(lambda task: self._ended(server, task))

    def _cancel(self, server: int) -> None:
        task = self._tasks.pop(server)
        del self._serials[server]
        self._ending.add(task)
        task.cancel()

    def _ended(self, server: int, task: Task[None]) -> None:
        self._ending.discard(task)
        if self._tasks.get(server) is task:
            del self._tasks[server], self._serials[server]

    async def _warm(self, refills: Refills, server: int, serial: int, twins: list[int]) -> None:
        supervised = self._supervised
        warmth = supervised.supervisor.warmth(server)
        async with self._slots:
            settings = supervised.supervisor.settings.warming
            warming = Warming(supervised, refills, self._copies, self._log, server, warmth, settings)
            self._log.begins(server, twins, settings.keys_per_s)
            warmth.is_warming = True
            try:
                await warming.run(twins)
                warmth.times += 1
                self._log.ends(server, warming.filling())
            except Stopped as stopped:
                self._log.stops(server, warming.filling(), stopped.why)
            finally:
                warmth.is_warming = False
                warmth.ahead = 0
        if supervised.supervisor.cold.serial(server) == serial:
            supervised.supervisor.cold.warmed(server)
