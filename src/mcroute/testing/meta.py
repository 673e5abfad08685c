"""The meta commands over a Store: mg ms md ma mn me. The parser has checked their flags."""

from __future__ import annotations

import base64
from collections.abc import Callable

from .classic import NO_MEMORY, NOT_NUMERIC, may_hold_number, number_after
from .meta_requests import MetaRequest, reply
from .store import Item, OutOfMemory, Store, TooLarge
from .storing import Mode, Stored, no_room, store_item

NO_MEMORY_FOR_COUNTER = b"SERVER_ERROR Out of memory allocating new item\r\n"


def unless_quiet(request: MetaRequest, answer: bytes) -> bytes:
    """The reply, or nothing: quiet mode omits the usual reply."""
    return b"" if request.is_quiet else answer


def given_cas(request: MetaRequest, store: Store) -> int:
    """The number that the client gives with E, which may be 0, or the next one."""
    number = request.number(b"E")
    return store.next_cas() if number is None else number


# ---- mg ----


def get(store: Store, request: MetaRequest) -> bytes:
    item = store.find(request.key)
    is_new = item is None and request.has(b"N")
    if is_new:
        item = created(store, request)
    if item is None:
        count_get(store, request, "misses")
        return unless_quiet(request, reply(request, b"EN", {}))
    is_wanted = request.has(b"v") and not (
        store.profile.compares_cas_of_reads and request.number(b"C") == item.cas
    )
    head = b"VA %d" % len(item.value) if is_wanted else b"HD"
    shown, wins = seen(store, request, item, is_new)
    line = b" ".join([head, *shown, *marks(item, wins)]) + b"\r\n"
    if not request.has(b"u"):
        store.use(item)
    count_get(store, request, "hits")
    return line + item.value + b"\r\n" if is_wanted else line


def created(store: Store, request: MetaRequest) -> Item | None:
    """The empty item that N asks for; it shows no sign of a binary key, as in memcached."""
    try:
        item = store.new_item(request.key, b"", 0, 0)
    except OutOfMemory:
        return None
    return store.link(item, given_cas(request, store))


def count_get(store: Store, request: MetaRequest, outcome: str) -> None:
    """A read that sets a lifetime counts as a touch."""
    counters = store.counters
    if request.has(b"T") and outcome == "hits":
        counters.cmd_touch += 1
        counters.touch_hits += 1
    else:
        counters.cmd_get += 1
        counters.get_hits += outcome == "hits"
        counters.get_misses += outcome == "misses"


def seen(store: Store, request: MetaRequest, item: Item, is_new: bool) -> tuple[list[bytes], bool]:
    """The values that mg and ma show, and whether this client should recache the item.

    Flags with a lifetime take effect in their turn.
    """
    parts, wins = [], False
    for letter, token in request.tokens.items():
        if letter == b"T" or (letter == b"N" and is_new):
            item.expires_at = store.expiry(int(token))
            wins = wins or letter == b"N"
        elif letter == b"R":
            wins = wins or (not is_new and not item.won and 0 < item.expires_at < store.expiry(int(token)))
        elif letter == b"O":
            parts.append(letter + token)
        elif letter == b"k" and request.name == "mg":
            encoded = base64.b64encode(request.key) + b" b"
            parts.append(letter + (encoded if item.is_binary else request.key))
        elif letter == b"k":
            parts.append(letter + request.shown_key)
        elif letter in (b"stcflh" if request.name == "mg" else b"tc"):
            parts.append(letter + property_of(store, item, letter))
    return parts, wins


def property_of(store: Store, item: Item, letter: bytes) -> bytes:
    if letter == b"s":
        return b"%d" % len(item.value)
    if letter == b"t":
        return b"%d" % store.seconds_left(item)
    if letter == b"c":
        return b"%d" % item.cas
    if letter == b"f":
        return b"%d" % item.flags
    return b"%d" % (store.now - item.time if letter == b"l" else item.fetched)


def marks(item: Item, wins: bool) -> list[bytes]:
    """Z: another client is recaching; X: stale; W: this client should recache."""
    is_asked = item.won
    wins = wins or (item.stale and not is_asked)
    item.won = is_asked or wins
    return [mark for mark, holds in ((b"Z", is_asked), (b"X", item.stale), (b"W", wins)) if holds]


# ---- ms ----

MODES = {
    b"S": Mode.SET,
    b"E": Mode.ADD,
    b"A": Mode.APPEND,
    b"P": Mode.PREPEND,
    b"R": Mode.REPLACE,
}
STATUS = {Stored.STORED: b"HD", Stored.EXISTS: b"EX", Stored.NOT_FOUND: b"NF", Stored.NOT_STORED: b"NS"}


def set_value(store: Store, request: MetaRequest) -> bytes:
    mode = MODES[request.tokens.get(b"M", b"S")[:1]]
    may_create = request.has(b"N") and store.profile.appends_to_nothing
    extends = mode in (Mode.APPEND, Mode.PREPEND)
    if request.has(b"C") and mode in (Mode.SET, Mode.REPLACE):
        mode = Mode.CAS
    lifetime = request.number(b"N" if extends and may_create else b"T") or 0
    flags = request.number(b"F") or 0
    try:
        item = store.new_item(request.key, request.value, flags, store.expiry(lifetime))
    except (TooLarge, OutOfMemory) as error:
        return no_room(store, request.key, error, forgets=True)
    item.is_binary = request.has(b"b")
    store.counters.cmd_set += 1
    outcome, holder = store_item(
        store,
        item,
        mode,
        expected=request.number(b"C") or 0,
        cas=cas_of_set(store, request),
        may_create=may_create,
        may_turn_stale=request.has(b"I"),
    )
    is_stored = outcome is Stored.STORED
    shown = {b"c": b"%d" % (holder.cas if is_stored else 0)}
    if store.profile.appends_to_nothing:
        shown[b"s"] = b"%d" % len(holder.value)
    answer = reply(request, STATUS[outcome], shown)
    return unless_quiet(request, answer) if is_stored else answer


def cas_of_set(store: Store, request: MetaRequest) -> int | None:
    """E0 is no number here. memcached draws one when it reads the line, and for E0 when it has the value."""
    if not store.profile.has_explicit_cas:
        return None
    return given_cas(request, store) or store.next_cas()


# ---- md, ma, me ----


def delete(store: Store, request: MetaRequest) -> bytes:
    item, expected = store.find(request.key), request.number(b"C")
    if item is None or expected not in (None, item.cas):
        store.counters.delete_misses += 1
        return reply(request, b"NF" if item is None else b"EX", {})
    if request.has(b"x"):
        try:
            item = emptied(store, request, item)
        except OutOfMemory:
            return NO_MEMORY
    if request.has(b"I"):
        if request.has(b"T"):
            item.expires_at = store.expiry(request.number(b"T") or 0)
        item.stale, item.won = True, False
        item.cas = given_cas(request, store)
    else:
        store.counters.delete_hits += 1
        if not request.has(b"x"):
            store.unlink(item)
    return unless_quiet(request, reply(request, b"HD", {}))


def emptied(store: Store, request: MetaRequest, old: Item) -> Item:
    """A new item without a value; without E it keeps the old CAS number. Raises OutOfMemory."""
    lifetime = store.expiry(request.number(b"T") or 0)
    item = store.new_item(request.key, b"", request.number(b"F") or 0, lifetime)
    given = request.number(b"E")
    return store.link(item, old.cas if given is None else given)


def arithmetic(store: Store, request: MetaRequest) -> bytes:
    item = store.find(request.key)
    is_new = item is None
    if item is None:
        if not request.has(b"N"):
            down = is_down(request)
            store.counters.decr_misses += down
            store.counters.incr_misses += not down
            return reply(request, b"NF", {})
        number = b"%d" % (request.number(b"J") or 0)
        try:
            item = store.new_item(request.key, number, 0, 0)
        except OutOfMemory:
            return NO_MEMORY_FOR_COUNTER
        store.link(item, given_cas(request, store) if store.profile.has_explicit_cas else None)
    elif may_hold_number(store, item) and request.number(b"C") not in (None, 0, item.cas):
        return reply(request, b"EX", {})
    else:
        found = changed(store, request, item)
        if found is None:
            return NOT_NUMERIC
        number = found
        if not number:
            return NO_MEMORY
    head = b"VA %d" % len(number) if request.has(b"v") else b"HD"
    line = b" ".join([head, *seen(store, request, item, is_new)[0]]) + b"\r\n"
    answer = line + number + b"\r\n" if request.has(b"v") else line
    always_answers = is_new and not store.profile.is_quiet_about_new_counters
    return answer if always_answers else unless_quiet(request, answer)


def is_down(request: MetaRequest) -> bool:
    return request.tokens.get(b"M", b"I")[:1] in (b"D", b"-")


def changed(store: Store, request: MetaRequest, item: Item) -> bytes | None:
    """The item's new number; empty where there is no memory for it, None if it holds none."""
    delta = request.number(b"D")
    result = number_after(store, item, 1 if delta is None else delta, down=is_down(request))
    if result is None:
        return None
    try:
        store.change_number(item, result)
    except OutOfMemory:
        return b""
    given = request.number(b"E")
    if given is not None:
        item.cas = given
    return result


def debug(store: Store, request: MetaRequest) -> bytes:
    store.counters.cmd_meta += 1
    item = store.find(request.key)
    if item is None:
        return b"EN\r\n"
    return b"ME %b exp=%d la=%d cas=%d fetch=%b cls=%d size=%d\r\n" % (
        base64.b64encode(item.key) if item.is_binary else item.key,
        item.expires_at - store.now if item.expires_at else -1,
        store.now - item.time,
        item.cas,
        b"yes" if item.fetched else b"no",
        item.slab.number,
        item.size,
    )


def noop(store: Store, request: MetaRequest) -> bytes:
    return b"MN\r\n"


COMMANDS: dict[str, Callable[[Store, MetaRequest], bytes]] = {
    "mg": get,
    "ms": set_value,
    "md": delete,
    "ma": arithmetic,
    "me": debug,
    "mn": noop,
}
