"""The store commands of both protocols: conditions, CAS numbers and memory."""

from __future__ import annotations

from enum import Enum

from .store import Item, OutOfMemory, Store, TooLarge

__all__ = ("Mode", "Stored", "no_room", "store_item")

TOO_LARGE = b"SERVER_ERROR object too large for cache\r\n"
NO_MEMORY = b"SERVER_ERROR out of memory storing object\r\n"
NO_MEMORY_WHILE_READING = b"SERVER_ERROR Out of memory during read\r\n"


class Mode(Enum):
    SET = "set"
    ADD = "add"
    REPLACE = "replace"
    APPEND = "append"
    PREPEND = "prepend"
    CAS = "cas"


class Stored(Enum):
    """The outcomes: the words of the classic protocol."""

    STORED = b"STORED\r\n"
    NOT_STORED = b"NOT_STORED\r\n"
    EXISTS = b"EXISTS\r\n"
    NOT_FOUND = b"NOT_FOUND\r\n"


def no_room(store: Store, key: bytes, error: TooLarge | OutOfMemory, *, forgets: bool) -> bytes:
    """The reply to a value that is not stored. With `forgets`, the key's old value must not survive it."""
    if isinstance(error, OutOfMemory) and error.is_while_reading:
        return NO_MEMORY_WHILE_READING
    if forgets:
        store.forget(key)
    if isinstance(error, TooLarge):
        store.counters.store_too_large += 1
        return TOO_LARGE
    store.counters.store_no_memory += 1
    return NO_MEMORY


def store_item(
    store: Store,
    item: Item,
    mode: Mode,
    *,
    expected: int = 0,
    cas: int | None = None,
    may_create: bool = False,
    may_turn_stale: bool = False,
) -> tuple[Stored, Item]:
    """Links a new item, or gives its memory back. Returns the outcome, and the item that holds the value.

    `expected` is the CAS number to compare with, 0 for none; `cas` the new one, None for the next;
    `may_create`: append and prepend do; `may_turn_stale`: a smaller CAS number than the item's stores too.
    """
    old = store.find(item.key)
    if old is None:
        outcome = _without_old(store, mode, may_create)
    elif mode in (Mode.APPEND, Mode.PREPEND):
        return _extended(store, old, item, mode, expected, cas)
    else:
        outcome = _over_old(store, old, item, mode, expected, may_turn_stale)
    if outcome is Stored.STORED:
        store.link(item, cas)
    else:
        store.release(item)
    return outcome, item


def _without_old(store: Store, mode: Mode, may_create: bool) -> Stored:
    if mode is Mode.CAS:
        store.counters.cas_misses += 1
        return Stored.NOT_FOUND
    creates = mode in (Mode.SET, Mode.ADD) or (may_create and mode is not Mode.REPLACE)
    return Stored.STORED if creates else Stored.NOT_STORED


def _over_old(store: Store, old: Item, item: Item, mode: Mode, expected: int, may_turn_stale: bool) -> Stored:
    if mode is Mode.ADD:
        store.refresh(old)
        return Stored.NOT_STORED
    if mode is not Mode.CAS:
        return Stored.STORED
    if expected and may_turn_stale and expected < old.cas:
        item.expires_at, item.stale, item.won = old.expires_at, True, old.won
    elif not expected or expected != old.cas:
        store.counters.cas_badval += 1
        return Stored.EXISTS
    store.counters.cas_hits += 1
    return Stored.STORED


def _extended(
    store: Store, old: Item, item: Item, mode: Mode, expected: int, cas: int | None
) -> tuple[Stored, Item]:
    """append and prepend make a third item, which has none of the old one's marks."""
    if expected not in (0, old.cas):
        store.release(item)
        return Stored.EXISTS, item
    value = old.value + item.value if mode is Mode.APPEND else item.value + old.value
    try:
        longer = store.new_item(item.key, value, old.flags, old.expires_at)
    except (TooLarge, OutOfMemory):
        return Stored.NOT_STORED, item
    else:
        return Stored.STORED, store.link(longer, cas)
    finally:
        store.release(item)
