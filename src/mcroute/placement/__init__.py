"""Placement of keys as data: mcroute's own distributions, and those of other clients and proxies.

`SYSTEMS` is the table of the latter; `mcroute.Ring.like` builds a ring from a row of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from .addresses import Address
from .own import DISTRIBUTIONS, own_placement
from .parts import KeyRule, Like, Placement

if TYPE_CHECKING:
    from .inherited import Inherited, inherit
    from .rows import Option, System
    from .systems import SYSTEMS

__all__ = (
    "DISTRIBUTIONS",
    "SYSTEMS",
    "Address",
    "Inherited",
    "KeyRule",
    "Like",
    "Option",
    "Placement",
    "System",
    "inherit",
    "own_placement",
)

_MODULES = {
    "SYSTEMS": ".systems",
    "Inherited": ".inherited",
    "Option": ".rows",
    "System": ".rows",
    "inherit": ".inherited",
}


# Imported late: pools with a distribution of mcroute's own do not need the table of systems.
def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_MODULES[name], __name__), name)
    globals()[name] = value
    return value
