"""The meta commands over a Store: mg ms md ma mn me, with the flags that clients and proxies use."""

import base64
import binascii
from dataclasses import dataclass

from .classic import BAD_FORMAT, MAX_KEY, Refused, number, unsigned
from .store import Item, Store, counted

BAD_TOKEN = b"CLIENT_ERROR bad token in command line format\r\n"
MODES = {b"S": b"set", b"E": b"add", b"A": b"append", b"P": b"prepend", b"R": b"replace"}


@dataclass(frozen=True, slots=True)
class MetaRequest:
    """One parsed line. `flags` keeps the client's order, which the reply echoes."""

    name: bytes
    key: bytes
    shown_key: bytes
    flags: tuple[tuple[bytes, bytes], ...]

    def token(self, flag: bytes) -> bytes | None:
        return next((token for letter, token in self.flags if letter == flag), None)

    def has(self, flag: bytes) -> bool:
        return self.token(flag) is not None

    def integer(self, flag: bytes, default: int | None = None) -> int | None:
        token = self.token(flag)
        return default if token is None else number(token, BAD_TOKEN)


def parse(words: list[bytes]) -> MetaRequest:
    """Raises Refused. `ms` has its length between the key and the flags; hand it in without."""
    if len(words) < 2 or len(words[1]) > MAX_KEY:
        raise Refused(BAD_FORMAT)
    flags = tuple((word[:1], word[1:]) for word in words[2:])
    letters = [letter for letter, _ in flags]
    if len(set(letters)) != len(letters):
        raise Refused(b"CLIENT_ERROR duplicate flag\r\n")
    key = words[1]
    if b"b" in letters:
        try:
            key = base64.b64decode(key, validate=True)
        except binascii.Error:
            raise Refused(b"CLIENT_ERROR error decoding key\r\n") from None
    return MetaRequest(words[0], key, words[1], flags)


def reply(
    request: MetaRequest, status: bytes, item: Item | None, store: Store, *, extra: bytes = b""
) -> bytes:
    """A reply line: the status, then what the client's flags ask to see, in the client's order."""
    parts = [status]
    for letter, token in request.flags:
        shown = shown_flag(request, letter, token, item, store)
        if shown is not None:
            parts.append(letter + shown)
    return b" ".join(parts) + extra + b"\r\n"


def shown_flag(
    request: MetaRequest, letter: bytes, token: bytes, item: Item | None, store: Store
) -> bytes | None:
    if letter == b"O":
        return token
    if letter in (b"k", b"b"):
        return request.shown_key if letter == b"k" else b""
    if item is None:
        return None
    if letter == b"c":
        return b"%d" % item.cas
    if request.name == b"ms" or request.name == b"md":
        return None
    if letter == b"t":
        return b"%d" % store.seconds_left(item)
    if request.name != b"mg":
        return None
    return {
        b"f": b"%d" % item.flags,
        b"s": b"%d" % len(item.value),
        b"h": b"%d" % item.fetched,
        b"l": b"%d" % (store.clock() - item.accessed_at),
    }.get(letter)


def quiet(request: MetaRequest, answer: bytes, hidden: bytes) -> bytes:
    return b"" if request.has(b"q") and answer.startswith(hidden) else answer


def get(store: Store, request: MetaRequest) -> bytes:
    item = store.find(request.key)
    made = item is None and request.has(b"N")
    if made:
        item = store.put(request.key, b"", 0, request.integer(b"N") or 0)
    if item is None:
        return b"" if request.has(b"q") else b"EN\r\n"
    sent_before = item.won
    item.won = item.won or made or item.stale or near_its_end(store, request, item)
    state = b" Z" if sent_before else b""
    state += b" X" if item.stale else b""
    state += b" W" if item.won and not sent_before else b""
    if request.has(b"T"):
        item.expires_at = store.expiry(request.integer(b"T") or 0)
    head = b"VA %d" % len(item.value) if request.has(b"v") else b"HD"
    answer = reply(request, head, item, store, extra=state)
    item.fetched, item.accessed_at = True, store.clock()
    return answer + item.value + b"\r\n" if request.has(b"v") else answer


def near_its_end(store: Store, request: MetaRequest, item: Item) -> bool:
    """Whether less than `R` seconds are left: its reader is then asked to recache."""
    threshold = request.integer(b"R")
    return threshold is not None and item.expires_at is not None and store.seconds_left(item) < threshold


def set_value(store: Store, request: MetaRequest, value: bytes) -> bytes:
    mode = MODES.get((request.token(b"M") or b"S")[:1].upper())
    if mode is None:
        raise Refused(b"CLIENT_ERROR invalid mode for ms\r\n")
    flags = unsigned(request.token(b"F") or b"0", 32, BAD_TOKEN)
    exptime, expected = request.integer(b"T", 0) or 0, request.integer(b"C")
    item, given = store.find(request.key), request.integer(b"E")
    stale = False
    if expected is not None:
        if item is None:
            return reply(request, b"NF", None, store)
        stale = request.has(b"I") and expected < item.cas
        if expected != item.cas and not stale:
            return reply(request, b"EX", None, store)
    if (mode == b"add" and item) or (mode not in (b"set", b"add") and item is None):
        return reply(request, b"NS", None, store)
    if item is not None and mode in (b"append", b"prepend"):
        store.change(item, item.value + value if mode == b"append" else value + item.value, given)
    else:
        item = store.put(request.key, value, flags, exptime, given)
    item.stale = stale
    return quiet(request, reply(request, b"HD", item, store), b"HD")


def delete(store: Store, request: MetaRequest) -> bytes:
    item, expected = store.find(request.key), request.integer(b"C")
    if item is None:
        return quiet(request, reply(request, b"NF", None, store), b"NF")
    if expected is not None and expected != item.cas:
        return reply(request, b"EX", None, store)
    if request.has(b"I"):
        item.stale, item.won = True, False
        item.cas = request.integer(b"E") or store.next_cas()
        if request.has(b"T"):
            item.expires_at = store.expiry(request.integer(b"T") or 0)
    else:
        del store.items[request.key]
    return quiet(request, reply(request, b"HD", None, store), b"HD")


def arithmetic(store: Store, request: MetaRequest) -> bytes:
    delta = unsigned(request.token(b"D") or b"1", 64, b"CLIENT_ERROR invalid numeric delta argument\r\n")
    item, expected = store.find(request.key), request.integer(b"C")
    if item is None and request.has(b"N"):
        start = unsigned(request.token(b"J") or b"0", 64, BAD_TOKEN)
        item = store.put(request.key, b"%d" % start, 0, request.integer(b"N") or 0, request.integer(b"E"))
    elif item is None:
        return quiet(request, reply(request, b"NF", None, store), b"NF")
    elif expected is not None and expected != item.cas:
        return reply(request, b"EX", None, store)
    else:
        down = (request.token(b"M") or b"I")[:1].upper() == b"D"
        result = counted(item.value, delta, down=down)
        if result is None:
            return b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"
        store.change(item, result.ljust(len(item.value)), request.integer(b"E"))
        if request.has(b"T"):
            item.expires_at = store.expiry(request.integer(b"T") or 0)
    if not request.has(b"v"):
        return quiet(request, reply(request, b"HD", item, store), b"HD")
    shown = item.value.rstrip(b" ")
    return quiet(request, reply(request, b"VA %d" % len(shown), item, store) + shown + b"\r\n", b"VA")


def debug(store: Store, request: MetaRequest) -> bytes:
    item = store.find(request.key)
    if item is None:
        return b"EN\r\n"
    last_access = int(store.clock() - item.accessed_at)
    fetched = b"yes" if item.fetched else b"no"
    left = store.seconds_left(item)
    return b"ME %b exp=%d la=%d cas=%d fetch=%b cls=1 size=%d\r\n" % (
        request.shown_key,
        left,
        last_access,
        item.cas,
        fetched,
        len(item.value),
    )


COMMANDS = {b"mg": get, b"md": delete, b"ma": arithmetic, b"me": debug}
