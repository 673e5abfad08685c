"""Servers for tests, in a thread or as a process, and a relay that injects faults."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .embedded import EmbeddedServer
    from .ports import free_port
    from .process import MemcachedServer, find_memcached
    from .profiles import Limits
    from .relay import Relay

__all__ = ("EmbeddedServer", "Limits", "MemcachedServer", "Relay", "find_memcached", "free_port")

_MODULES = {
    "EmbeddedServer": ".embedded",
    "Limits": ".profiles",
    "Relay": ".relay",
    "free_port": ".ports",
}


# Imported late: pytest loads the fixtures in every project, and most projects need none of this.
def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_MODULES.get(name, ".process"), __name__), name)
    globals()[name] = value
    return value
