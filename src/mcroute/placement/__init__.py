"""How keys are placed, as data: mcroute's own distributions, and those of other clients and proxies.

`SYSTEMS` is the table of the latter; `mcroute.Ring.like` builds a ring from a row of it.
"""

from .addresses import Address
from .inherited import Inherited, Like, inherit
from .own import DISTRIBUTIONS, own_placement
from .parts import KeyRule, Placement
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
