"""What a memcached counts, by the names of the rows of its `stats`."""

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """All begin at 0 with the process, or with `stats reset`."""

    cmd_get: int = 0
    cmd_set: int = 0
    cmd_flush: int = 0
    cmd_touch: int = 0
    cmd_meta: int = 0
    get_hits: int = 0
    get_misses: int = 0
    get_expired: int = 0
    get_flushed: int = 0
    delete_misses: int = 0
    delete_hits: int = 0
    incr_misses: int = 0
    incr_hits: int = 0
    decr_misses: int = 0
    decr_hits: int = 0
    cas_misses: int = 0
    cas_hits: int = 0
    cas_badval: int = 0
    touch_hits: int = 0
    touch_misses: int = 0
    store_too_large: int = 0
    store_no_memory: int = 0
    total_items: int = 0
    expired_unfetched: int = 0
    evicted_unfetched: int = 0
    evictions: int = 0
    reclaimed: int = 0
