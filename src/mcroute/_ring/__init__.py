"""Which server owns a key.

In C, `from mcroute._ring cimport Ring, ring_owner` and the other names of `__init__.pxd`.
"""

from ..placement import DISTRIBUTIONS
from .ring import Ring

__all__ = ("DISTRIBUTIONS", "Ring")
