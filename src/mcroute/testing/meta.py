"""The meta commands over a Store: mg ms md ma mn me. The parser has checked their flags."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass

from .._protocol import Request
from .classic import NOT_NUMERIC
from .store import Item, Store, counted


@dataclass(frozen=True, slots=True)
class MetaRequest:
    """A request with its flags in the client's order, which the reply echoes; `key` is decoded."""

    name: str
    key: bytes
    shown_key: bytes
    value: bytes
    flags: tuple[tuple[bytes, bytes], ...]

    @classmethod
    def of(cls, request: Request) -> "MetaRequest":
        flags = tuple((flag[:1], flag[1:]) for flag in request.meta_flags)
        key = shown_key = request.key
        if any(letter == b"b" for letter, _ in flags):
            shown_key = key + b" b"
            try:
                key = base64.b64decode(key, validate=True)
            except binascii.Error:
                # Only `me` may have such a key; it then looks for the key's encoded form.
                shown_key = key
        return cls(request.command, key, shown_key, request.value or b"", flags)

    def token(self, flag: bytes) -> bytes | None:
        return next((token for letter, token in self.flags if letter == flag), None)

    def has(self, flag: bytes) -> bool:
        return self.token(flag) is not None

    def number(self, flag: bytes) -> int | None:
        token = self.token(flag)
        return None if token is None else int(token)


def reply(request: MetaRequest, status: bytes, shown: dict[bytes, bytes]) -> bytes:
    """A reply line: the status, then the values of the client's flags, in the client's order."""
    parts = [status]
    for letter, token in request.flags:
        if letter == b"O":
            parts.append(letter + token)
        elif letter == b"k":
            parts.append(letter + shown.get(b"k", request.shown_key))
        elif letter in shown:
            parts.append(letter + shown[letter])
    return b" ".join(parts) + b"\r\n"


def unless_quiet(request: MetaRequest, answer: bytes) -> bytes:
    """The reply, or nothing: quiet mode omits the usual reply."""
    return b"" if request.has(b"q") else answer


# ---- mg ----


def get(store: Store, request: MetaRequest) -> bytes:
    item = store.find(request.key)
    is_new = item is None and request.has(b"N")
    if is_new:
        item = store.put(request.key, b"", 0, 0, request.number(b"E"))
    if item is None:
        return unless_quiet(request, reply(request, b"EN", {}))
    is_wanted = request.has(b"v") and request.number(b"C") != item.cas
    head = b"VA %d" % len(item.value) if is_wanted else b"HD"
    line = (
        b" ".join([head, *seen(store, request, item, is_new), *marks(store, request, item, is_new)]) + b"\r\n"
    )
    if not request.has(b"u"):
        store.use(item)
    return line + item.value + b"\r\n" if is_wanted else line


def seen(store: Store, request: MetaRequest, item: Item, is_new: bool) -> list[bytes]:
    """The values that mg and ma show; flags that set a lifetime take effect in their turn."""
    parts = []
    for letter, token in request.flags:
        if letter == b"T" or (letter == b"N" and is_new):
            item.expires_at = store.expiry(int(token))
        elif letter == b"O":
            parts.append(letter + token)
        elif letter == b"k" and request.name == "mg":
            encoded = base64.b64encode(request.key) + b" b"
            parts.append(letter + (encoded if item.is_binary else request.key))
        elif letter == b"k":
            parts.append(letter + request.shown_key)
        elif letter in (b"stcflh" if request.name == "mg" else b"tc"):
            parts.append(letter + property_of(store, item, letter))
    return parts


def property_of(store: Store, item: Item, letter: bytes) -> bytes:
    return b"%d" % {
        b"s": len(item.value),
        b"t": store.seconds_left(item),
        b"c": item.cas,
        b"f": item.flags,
        b"l": store.clock() - item.accessed_at,
        b"h": item.fetched,
    }.get(letter, 0)


def marks(store: Store, request: MetaRequest, item: Item, is_new: bool) -> list[bytes]:
    """Z: another client is recaching; X: stale; W: this client should recache."""
    is_asked = item.won
    wins = is_new or (not is_asked and (item.stale or near_its_end(store, request, item)))
    item.won = is_asked or wins
    return [mark for mark, holds in ((b"Z", is_asked), (b"X", item.stale), (b"W", wins)) if holds]


def near_its_end(store: Store, request: MetaRequest, item: Item) -> bool:
    """Whether less than `R` seconds remain."""
    threshold = request.number(b"R")
    return threshold is not None and item.expires_at is not None and store.seconds_left(item) < threshold


# ---- ms ----


def set_value(store: Store, request: MetaRequest) -> bytes:
    size = {b"s": b"%d" % len(request.value), b"c": b"0"}
    mode = (request.token(b"M") or b"S")[:1]
    item, given = store.find(request.key), request.number(b"E") or None
    is_stale = False
    if item is None and mode in b"AP" and request.has(b"N"):
        return stored(
            store, request, store.put(request.key, request.value, 0, request.number(b"N") or 0, given)
        )
    expected = None if mode == b"E" else request.number(b"C")
    if expected is not None and item is None and mode in b"SR":
        return reply(request, b"NF", size)
    if (item is not None and mode == b"E") or (item is None and mode in b"APR"):
        return reply(request, b"NS", size)
    if expected is not None and item is not None and expected != item.cas:
        # With I, a writer with an older number stores its value as stale.
        is_stale = mode in b"SR" and request.has(b"I") and 0 < expected < item.cas
        if not is_stale:
            return reply(request, b"EX", size)
    if item is not None and mode in b"AP":
        store.extend(item, request.value, at_the_end=mode == b"A", cas=given)
        return stored(store, request, item)
    old = item
    item = store.put(request.key, request.value, request.number(b"F") or 0, request.number(b"T") or 0, given)
    if is_stale and old is not None:
        item.stale, item.won, item.expires_at = True, old.won, old.expires_at
    return stored(store, request, item)


def stored(store: Store, request: MetaRequest, item: Item) -> bytes:
    item.is_binary = request.has(b"b")
    shown = {letter: property_of(store, item, letter) for letter in (b"s", b"c")}
    return unless_quiet(request, reply(request, b"HD", shown))


# ---- md, ma, me ----


def delete(store: Store, request: MetaRequest) -> bytes:
    item, expected = store.find(request.key), request.number(b"C")
    if item is None:
        return reply(request, b"NF", {})
    if expected is not None and expected != item.cas:
        return reply(request, b"EX", {})
    if not request.has(b"I") and not request.has(b"x"):
        del store.items[request.key]
        return unless_quiet(request, reply(request, b"HD", {}))
    if request.has(b"x"):
        is_binary = item.is_binary
        item = store.put(request.key, b"", request.number(b"F") or 0, 0, request.number(b"E") or None)
        item.is_binary = is_binary
    else:
        item.cas = request.number(b"E") or store.next_cas()
    if request.has(b"T"):
        item.expires_at = store.expiry(request.number(b"T") or 0)
    if request.has(b"I"):
        item.stale, item.won = True, False
    return unless_quiet(request, reply(request, b"HD", {}))


def arithmetic(store: Store, request: MetaRequest) -> bytes:
    item, given = store.find(request.key), request.number(b"E") or None
    is_new = item is None
    if item is None:
        if not request.has(b"N"):
            return reply(request, b"NF", {})
        item = store.put(request.key, b"%d" % (request.number(b"J") or 0), 0, 0, given)
    elif request.number(b"C") not in (None, 0, item.cas):
        return reply(request, b"EX", {})
    else:
        delta = request.number(b"D")
        down = (request.token(b"M") or b"I")[:1] in b"D-"
        result = counted(item.value, 1 if delta is None else delta, down=down)
        if result is None:
            return NOT_NUMERIC
        store.change(item, result.ljust(len(item.value)), given)
    value = item.value.rstrip(b" ")
    head = b"VA %d" % len(value) if request.has(b"v") else b"HD"
    line = b" ".join([head, *seen(store, request, item, is_new)]) + b"\r\n"
    return unless_quiet(request, line + value + b"\r\n" if request.has(b"v") else line)


def debug(store: Store, request: MetaRequest) -> bytes:
    item = store.find(request.key)
    if item is None:
        return b"EN\r\n"
    return b"ME %b exp=%d la=%d cas=%d fetch=%b cls=1 size=%d\r\n" % (
        base64.b64encode(request.key) if item.is_binary else request.key,
        store.seconds_left(item),
        int(store.clock() - item.accessed_at),
        item.cas,
        b"yes" if item.fetched else b"no",
        len(item.value),
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
