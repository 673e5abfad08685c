"""The bound on clients: every other descriptor that a proxy may need is reserved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..drivers.asyncio.addresses import is_name
from ..drivers.asyncio.lookup_threads import THREADS_MAX as LOOKUPS_MAX
from ..errors import ConfigError
from ..observe.server_stats import ASKED_MAX
from ..policy import Plan, Upkeep

__all__ = ("Descriptors",)

# Of a native thread: epoll, two eventfds, a pipe. The threads share one more.
OF_A_THREAD = 5
OF_ALL_THREADS = 1
# The addresses that a thread listens on, for one host name: IPv4 and IPv6.
OF_A_LISTENER = 2
# For the question of a server's largest value; probes, stages and stats have a common bound.
OF_A_SERVER = 1
STAGES_OF_A_SERVER = 2
# A lookup by the system opens a file or the sockets of two name servers.
OF_A_LOOKUP = 2
# The listener, and three scrapes at once.
OF_METRICS = 4
# The state file during a write, a configuration, an imported module; and a few spare ones.
OF_OTHERS = 8


@dataclass(frozen=True, slots=True)
class Descriptors:
    """The descriptors of a process with one proxy; `taken` of them were open before the proxy was made.

    `threads` is the number of native threads, 0 on asyncio.
    """

    limit: int
    taken: int
    threads: int = 0
    has_metrics: bool = False

    def clients_max(self, plan: Plan, before: Plan | None = None, upkeep: Upkeep | None = None) -> int:
        """The number of clients that may be connected at once, with `upkeep`'s questions to servers.

        The links of the plan `before` count too: they close when the last request that needs them ends.
        Raises ConfigError if the number is less than one per thread.
        """
        plans = [plan] if before is None else [before, plan]
        kept = self.taken + self._for_itself() + self._for_servers(plans, upkeep or Upkeep())
        threads = max(1, self.threads)
        if self.limit - kept < threads:
            raise ConfigError(
                "proxy",
                f"the limit of {self.limit} open descriptors (ulimit -n) is too low: {kept} are reserved "
                f"for servers, threads and files, and {threads} for clients; raise it above {kept + threads}",
            )
        return self.limit - kept

    def _for_itself(self) -> int:
        of_threads = OF_A_THREAD * self.threads + OF_ALL_THREADS if self.threads else 0
        listeners = OF_A_LISTENER * max(1, self.threads)
        return of_threads + listeners + OF_METRICS * self.has_metrics + OF_OTHERS

    def _for_servers(self, plans: Iterable[Plan], upkeep: Upkeep) -> int:
        links: dict[tuple[str, object], int] = {}
        names: set[str] = set()
        for plan in plans:
            for server in plan.servers:
                key = (server.name, server.address)
                links[key] = max(links.get(key, 0), plan.server_options[server.name].links)
                if is_name(server):
                    names.add(server.host)
        controls = OF_A_SERVER * len(links)
        controls += min(STAGES_OF_A_SERVER * len(links), upkeep.probes_max + upkeep.controls_max)
        controls += min(len(links), ASKED_MAX)
        lookups = OF_A_LOOKUP * min(len(names), LOOKUPS_MAX)
        return max(1, self.threads) * sum(links.values()) + controls + lookups
