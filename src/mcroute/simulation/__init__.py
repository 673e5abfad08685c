"""Runs routers, clients and memcached servers on a simulated network, in virtual time. One seed, one history.

The runtime, the engine, the policy, the asyncio driver, the proxy and the client are the ones that serve in
production. Servers and the network are modelled.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .embedding import Simulated, Simulation, simulate
    from .faults import FAULTS, Fault
    from .history import Operation
    from .servers import ServerOptions
    from .workload import Workload

__all__ = (
    "FAULTS",
    "Fault",
    "Operation",
    "ServerOptions",
    "Simulated",
    "Simulation",
    "Workload",
    "simulate",
)

_MODULES = {
    "FAULTS": ".faults",
    "Fault": ".faults",
    "Operation": ".history",
    "ServerOptions": ".servers",
    "Workload": ".workload",
}


# Imported late: pytest loads the fixtures in every project, and most projects need none of this.
def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_MODULES.get(name, ".embedding"), __name__), name)
    globals()[name] = value
    return value
