"""The rows of `stats`, `stats settings` and `stats conns`: those that this model has a value for."""

from __future__ import annotations

from dataclasses import fields

from .counters import Counters
from .profiles import Limits, Profile
from .store import Store

__all__ = ("block", "general", "settings")

# The counters that memcached shows behind its limits.
_LATER = ("total_items", "expired_unfetched", "evicted_unfetched", "evictions", "reclaimed")
_EARLIER = tuple(field.name for field in fields(Counters) if field.name not in _LATER)


def block(rows: dict[str, object]) -> bytes:
    return "".join(f"STAT {name} {value}\r\n" for name, value in rows.items()).encode() + b"END\r\n"


def general(store: Store, pid: int, connections: int, total_connections: int) -> dict[str, object]:
    """`connections` are those that are open, `total_connections` all since the start."""
    return {
        "pid": pid,
        "uptime": store.uptime,
        "time": store.now + store.epoch,
        "version": store.profile.version,
        "pointer_size": 64,
        "max_connections": store.limits.connections,
        "curr_connections": connections,
        "total_connections": total_connections,
        **{name: getattr(store.counters, name) for name in _EARLIER},
        "limit_maxbytes": store.limits.memory,
        "accepting_conns": 1,
        "threads": 4,
        "lru_maintainer_juggles": store.maintainer.passes,
        "bytes": sum(segment.size for slab in store.slabs.classes for segment in slab.segments),
        "curr_items": len(store.items),
        **{name: getattr(store.counters, name) for name in _LATER},
    }


def settings(limits: Limits, profile: Profile) -> dict[str, object]:
    sizes = {"client_flags_size": 4} if profile.shows_client_flags_size else {}
    return {
        "maxbytes": limits.memory,
        "maxconns": limits.connections,
        "evictions": "on" if limits.evicts else "off",
        "growth_factor": "1.25",
        "chunk_size": 48,
        "cas_enabled": "yes",
        "item_size_max": limits.item_size,
        "maxconns_fast": "yes",
        "slab_chunk_max": limits.chunk_size,
        "lru_crawler": "yes",
        "flush_enabled": "yes",
        "dump_enabled": "yes",
        "lru_maintainer_thread": "yes",
        "lru_segmented": "yes",
        "hot_lru_pct": 20,
        "warm_lru_pct": 40,
        "memory_file": limits.memory_file or "(null)",
        **sizes,
    }
