"""The classic text commands over a Store: a parsed request in, reply bytes out."""

from __future__ import annotations

from collections.abc import Callable

from .._protocol import Request
from .store import Item, OutOfMemory, Store, TooLarge, counted
from .storing import Mode, no_room, store_item

NOT_NUMERIC = b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"
NO_MEMORY = b"SERVER_ERROR out of memory\r\n"


def cut_to_32_bits(number: int) -> int:
    """The lifetime of a store as memcached truncates it; memcached refuses larger values elsewhere."""
    return (number + 2**31) % 2**32 - 2**31


def store_value(store: Store, request: Request) -> bytes:
    """set, add, replace, append, prepend and cas."""
    mode, key = Mode(request.command), request.key
    expires_at = store.expiry(cut_to_32_bits(request.exptime))
    try:
        item = store.new_item(key, request.value or b"", request.flags, expires_at)
    except (TooLarge, OutOfMemory) as error:
        return no_room(store, key, error, forgets=mode is Mode.SET)
    store.counters.cmd_set += 1
    expected = request.number if mode is Mode.CAS else 0
    return store_item(store, item, mode, expected=expected, cas=store.cas_of_attempt())[0].value


def value_block(key: bytes, item: Item, *, with_cas: bool) -> bytes:
    value = item.value
    if with_cas:
        return b"VALUE %b %d %d %d\r\n%b\r\n" % (key, item.flags, len(value), item.cas, value)
    return b"VALUE %b %d %d\r\n%b\r\n" % (key, item.flags, len(value), value)


def retrieve(store: Store, request: Request) -> bytes:
    """get and gets."""
    with_cas, counters = request.command == "gets", store.counters
    blocks = []
    for key in request.keys:
        counters.cmd_get += 1
        item = store.find(key)
        if item is None:
            counters.get_misses += 1
            continue
        counters.get_hits += 1
        store.use(item)
        blocks.append(value_block(key, item, with_cas=with_cas))
    blocks.append(b"END\r\n")
    return b"".join(blocks)


def touched(store: Store, key: bytes, expires_at: int) -> Item | None:
    """The item, used and with another expiry."""
    item = store.find(key)
    store.counters.cmd_touch += 1
    if item is None:
        store.counters.touch_misses += 1
        return None
    store.counters.touch_hits += 1
    store.use(item)
    item.expires_at = expires_at
    return item


def retrieve_and_touch(store: Store, request: Request) -> bytes:
    """gat and gats."""
    expires_at = store.expiry(request.exptime)
    found = [(key, touched(store, key, expires_at)) for key in request.keys]
    with_cas = request.command == "gats"
    return b"".join(value_block(key, item, with_cas=with_cas) for key, item in found if item) + b"END\r\n"


def delete(store: Store, request: Request) -> bytes:
    item = store.find(request.key)
    if item is None:
        store.counters.delete_misses += 1
        return b"NOT_FOUND\r\n"
    store.counters.delete_hits += 1
    store.unlink(item)
    return b"DELETED\r\n"


def count(store: Store, request: Request) -> bytes:
    """incr and decr."""
    down, counters = request.command == "decr", store.counters
    item = store.find(request.key)
    if item is None:
        counters.decr_misses += down
        counters.incr_misses += not down
        return b"NOT_FOUND\r\n"
    result = number_after(store, item, request.number, down=down)
    if result is None:
        return NOT_NUMERIC
    try:
        store.change_number(item, result)
    except OutOfMemory:
        return NO_MEMORY
    return result + b"\r\n"


def may_hold_number(store: Store, item: Item) -> bool:
    """Whether memcached looks for a number in it at all."""
    return bool(item.value) and item.size <= store.limits.chunk_size


def number_after(store: Store, item: Item, delta: int, *, down: bool) -> bytes | None:
    """The digits after incr or decr; None if the item holds no number."""
    result = counted(item.value, delta, down=down) if may_hold_number(store, item) else None
    if result is not None:
        store.counters.decr_hits += down
        store.counters.incr_hits += not down
    return result


def touch(store: Store, request: Request) -> bytes:
    item = touched(store, request.key, store.expiry(request.exptime))
    return b"NOT_FOUND\r\n" if item is None else b"TOUCHED\r\n"


def flush_all(store: Store, request: Request) -> bytes:
    store.flush(request.exptime)
    return b"OK\r\n"


def verbosity(store: Store, request: Request) -> bytes:
    return b"OK\r\n"


def version(store: Store, request: Request) -> bytes:
    return b"VERSION %b\r\n" % store.profile.version.encode()


COMMANDS: dict[str, Callable[[Store, Request], bytes]] = {
    **dict.fromkeys(("set", "add", "replace", "append", "prepend", "cas"), store_value),
    **dict.fromkeys(("get", "gets"), retrieve),
    **dict.fromkeys(("gat", "gats"), retrieve_and_touch),
    "delete": delete,
    "incr": count,
    "decr": count,
    "touch": touch,
    "flush_all": flush_all,
    "verbosity": verbosity,
    "version": version,
}
