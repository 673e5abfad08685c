"""Servers to test against, in a thread or as a process, and a relay that breaks what passes."""

from .embedded import EmbeddedServer
from .process import MemcachedServer, find_memcached, free_port
from .relay import Relay

__all__ = ("EmbeddedServer", "MemcachedServer", "Relay", "find_memcached", "free_port")
