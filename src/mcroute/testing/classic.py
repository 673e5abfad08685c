"""The classic text commands over a Store: a parsed request in, reply bytes out."""

import os
from collections.abc import Callable

from .._protocol import Request
from .store import Item, Store, counted

NOT_NUMERIC = b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"


def cut_to_32_bits(number: int) -> int:
    """The lifetime of a store as memcached truncates it; memcached refuses larger values elsewhere."""
    return (number + 2**31) % 2**32 - 2**31


def store_value(store: Store, request: Request) -> bytes:
    """set, add, replace, append, prepend and cas."""
    name, value = request.command, request.value or b""
    item = store.find(request.key)
    if name == "cas":
        if item is None:
            return b"NOT_FOUND\r\n"
        if item.cas != request.number:
            return b"EXISTS\r\n"
    elif (name == "add" and item) or (name in ("replace", "append", "prepend") and item is None):
        return b"NOT_STORED\r\n"
    if item is not None and name in ("append", "prepend"):
        store.extend(item, value, at_the_end=name == "append")
    else:
        store.put(request.key, value, request.flags, cut_to_32_bits(request.exptime))
    return b"STORED\r\n"


def value_block(key: bytes, item: Item, *, with_cas: bool) -> bytes:
    head = b"VALUE %b %d %d" % (key, item.flags, len(item.value))
    return b"%b%b\r\n%b\r\n" % (head, b" %d" % item.cas if with_cas else b"", item.value)


def retrieve(store: Store, request: Request) -> bytes:
    """get, gets, gat and gats."""
    blocks = []
    for key in request.keys:
        item = store.find(key)
        if item is None:
            continue
        store.use(item)
        if request.command in ("gat", "gats"):
            item.expires_at = store.expiry(request.exptime)
        blocks.append(value_block(key, item, with_cas=request.command in ("gets", "gats")))
    return b"".join(blocks) + b"END\r\n"


def delete(store: Store, request: Request) -> bytes:
    if store.find(request.key) is None:
        return b"NOT_FOUND\r\n"
    del store.items[request.key]
    return b"DELETED\r\n"


def count(store: Store, request: Request) -> bytes:
    """incr and decr."""
    item = store.find(request.key)
    if item is None:
        return b"NOT_FOUND\r\n"
    result = counted(item.value, request.number, down=request.command == "decr")
    if result is None:
        return NOT_NUMERIC
    store.change(item, result.ljust(len(item.value)))
    return result + b"\r\n"


def touch(store: Store, request: Request) -> bytes:
    item = store.find(request.key)
    if item is None:
        return b"NOT_FOUND\r\n"
    item.expires_at = store.expiry(request.exptime)
    store.use(item)
    return b"TOUCHED\r\n"


def flush_all(store: Store, request: Request) -> bytes:
    store.flush(request.exptime)
    return b"OK\r\n"


def verbosity(store: Store, request: Request) -> bytes:
    return b"OK\r\n"


def version(store: Store, request: Request) -> bytes:
    return b"VERSION 1.6.0-embedded\r\n"


def stats_block(rows: dict[str, object]) -> bytes:
    return "".join(f"STAT {name} {value}\r\n" for name, value in rows.items()).encode() + b"END\r\n"


def general_stats(store: Store, uptime_s: int, connections: int) -> dict[str, object]:
    return {
        "pid": os.getpid(),
        "uptime": uptime_s,
        "time": int(store.clock()),
        "version": "1.6.0-embedded",
        "curr_connections": connections,
        "curr_items": len(store.items),
    }


COMMANDS: dict[str, Callable[[Store, Request], bytes]] = {
    **dict.fromkeys(("set", "add", "replace", "append", "prepend", "cas"), store_value),
    **dict.fromkeys(("get", "gets", "gat", "gats"), retrieve),
    "delete": delete,
    "incr": count,
    "decr": count,
    "touch": touch,
    "flush_all": flush_all,
    "verbosity": verbosity,
    "version": version,
}
