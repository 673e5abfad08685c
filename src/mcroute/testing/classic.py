"""The classic text commands over a Store: arguments in, reply bytes out."""

import os
from collections.abc import Callable

from .store import Item, Store, counted

ERROR = b"ERROR\r\n"
BAD_FORMAT = b"CLIENT_ERROR bad command line format\r\n"
BAD_CHUNK = b"CLIENT_ERROR bad data chunk\r\n"
MAX_KEY = 250

# name -> number of arguments after the key, `noreply` not counted
STORAGE = {b"set": 3, b"add": 3, b"replace": 3, b"append": 3, b"prepend": 3, b"cas": 4}


class Refused(Exception):
    """A command that cannot be executed; `reply` is the line the client gets."""

    def __init__(self, reply: bytes) -> None:
        self.reply = reply


def number(text: bytes, error: bytes = BAD_FORMAT) -> int:
    """An integer of the protocol. Raises Refused with `error`."""
    if not text.removeprefix(b"-").isdigit():
        raise Refused(error)
    return int(text)


def unsigned(text: bytes, bits: int, error: bytes = BAD_FORMAT) -> int:
    value = number(text, error)
    if not 0 <= value < 2**bits:
        raise Refused(error)
    return value


def checked(key: bytes) -> bytes:
    if len(key) > MAX_KEY:
        raise Refused(BAD_FORMAT)
    return key


def store_value(store: Store, name: bytes, words: list[bytes], value: bytes) -> bytes:
    """set, add, replace, append, prepend and cas; `words` are the line's, the command first."""
    key, flags, exptime = words[1], int(words[2]), int(words[3])
    item = store.find(key)
    if name == b"cas":
        if item is None:
            return b"NOT_FOUND\r\n"
        if item.cas != int(words[5]):
            return b"EXISTS\r\n"
    elif (name == b"add" and item) or (name in (b"replace", b"append", b"prepend") and item is None):
        return b"NOT_STORED\r\n"
    if item is not None and name in (b"append", b"prepend"):
        store.change(item, item.value + value if name == b"append" else value + item.value)
    else:
        store.put(key, value, flags, exptime)
    return b"STORED\r\n"


def value_block(key: bytes, item: Item, *, with_cas: bool) -> bytes:
    head = b"VALUE %b %d %d" % (key, item.flags, len(item.value))
    return b"%b%b\r\n%b\r\n" % (head, b" %d" % item.cas if with_cas else b"", item.value)


def retrieve(store: Store, words: list[bytes]) -> bytes:
    """get, gets, gat and gats."""
    touching = words[0] in (b"gat", b"gats")
    keys = words[2:] if touching else words[1:]
    if not keys:
        return ERROR
    exptime = number(words[1], b"CLIENT_ERROR invalid exptime argument\r\n") if touching else 0
    blocks = []
    for key in keys:
        item = store.find(checked(key))
        if item is None:
            continue
        item.fetched, item.accessed_at = True, store.clock()
        if touching:
            item.expires_at = store.expiry(exptime)
        blocks.append(value_block(key, item, with_cas=words[0] in (b"gets", b"gats")))
    return b"".join(blocks) + b"END\r\n"


def delete(store: Store, words: list[bytes]) -> bytes:
    if len(words) < 2:
        return ERROR
    if len(words) > 3 or (len(words) == 3 and words[2] != b"0"):
        return b"CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n"
    if store.find(checked(words[1])) is None:
        return b"NOT_FOUND\r\n"
    del store.items[words[1]]
    return b"DELETED\r\n"


def count(store: Store, words: list[bytes]) -> bytes:
    """incr and decr."""
    if len(words) != 3:
        return ERROR
    key = checked(words[1])
    delta = unsigned(words[2], 64, b"CLIENT_ERROR invalid numeric delta argument\r\n")
    item = store.find(key)
    if item is None:
        return b"NOT_FOUND\r\n"
    result = counted(item.value, delta, down=words[0] == b"decr")
    if result is None:
        return b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"
    store.change(item, result.ljust(len(item.value)))
    return result + b"\r\n"


def touch(store: Store, words: list[bytes]) -> bytes:
    if len(words) != 3:
        return ERROR
    key = checked(words[1])
    exptime = number(words[2], b"CLIENT_ERROR invalid exptime argument\r\n")
    item = store.find(key)
    if item is None:
        return b"NOT_FOUND\r\n"
    item.expires_at = store.expiry(exptime)
    return b"TOUCHED\r\n"


def flush_all(store: Store, words: list[bytes]) -> bytes:
    store.flush(number(words[1]) if len(words) > 1 else 0)
    return b"OK\r\n"


def verbosity(store: Store, words: list[bytes]) -> bytes:
    return b"OK\r\n" if len(words) > 1 else ERROR


def version(store: Store, words: list[bytes]) -> bytes:
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


COMMANDS: dict[bytes, Callable[[Store, list[bytes]], bytes]] = {
    b"get": retrieve,
    b"gets": retrieve,
    b"gat": retrieve,
    b"gats": retrieve,
    b"delete": delete,
    b"incr": count,
    b"decr": count,
    b"touch": touch,
    b"flush_all": flush_all,
    b"verbosity": verbosity,
    b"version": version,
}
# Only these read a trailing `noreply`; to the others it is a key or an argument like any other.
MAY_BE_SILENT = {b"delete", b"incr", b"decr", b"touch", b"flush_all", b"verbosity", *STORAGE}
