"""lru_crawler: the lists of all keys."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from urllib.parse import quote_from_bytes

from .slabs import Item
from .store import Store

__all__ = ("crawler_reply",)

BUSY = b"BUSY currently processing crawler request\r\n"
# memcached's own settings of its crawler, which this one has no use for.
_SETTINGS = (b"tocrawl", b"sleep")


def crawler_reply(store: Store, words: list[bytes], *, is_first: bool, is_busy: bool) -> bytes:
    """The whole answer to a line of `lru_crawler`, given its words behind the command.

    `is_first`: no other reply is on its way to the client; `is_busy`: another crawl is running.
    """
    if len(words) == 1:
        return _switched(words[0])
    if len(words) != 2 or not (words[0] in (b"metadump", b"mgdump", b"crawl") or words[0] in _SETTINGS):
        return b"ERROR\r\n"
    if words[0] in _SETTINGS:
        return b"OK\r\n" if words[1].isdigit() else b"CLIENT_ERROR bad command line format\r\n"
    if words[0] == b"mgdump" and not store.profile.has_mgdump:
        return b"ERROR\r\n"
    if words[0] != b"crawl" and not is_first:
        return b"ERROR cannot pipeline other commands before %b\r\n" % words[0]
    if is_busy:
        return BUSY
    numbers = _classes(store, words[1])
    if numbers is None:
        return b"BADCLASS invalid class id\r\n"
    if words[0] == b"crawl":
        return _crawled(store, numbers)
    return _dump(store, numbers, is_meta=words[0] == b"metadump")


def _switched(word: bytes) -> bytes:
    if word == b"enable":
        return b"ERROR failed to start lru crawler thread\r\n"  # it runs already
    return b"OK\r\n" if word == b"disable" else b"ERROR\r\n"


def _classes(store: Store, names: bytes) -> set[int] | None:
    """The numbers of classes in "all", "hash" or "1,2,3"; None for a bad one."""
    everything = {slab.number for slab in store.slabs.classes}
    if names in (b"all", b"hash"):
        return everything
    parts = names.split(b",")
    numbers = {int(part) for part in parts if part.isdigit()}
    return numbers if all(part.isdigit() for part in parts) and numbers <= everything else None


def _items(store: Store, numbers: set[int]) -> Iterator[Item]:
    """Class by class, each list from its cold end; memcached has another order."""
    for slab in store.slabs.classes:
        if slab.number in numbers:
            for segment in slab.segments:
                yield from list(segment.items.values())


def _is_dead(store: Store, item: Item) -> bool:
    """As the crawler sees it, for which an item lives in the second of its expiry."""
    return 0 < item.expires_at < store.now or store.is_flushed(item)


def _crawled(store: Store, numbers: set[int]) -> bytes:
    """Removes what has expired or was flushed."""
    for item in list(_items(store, numbers)):
        if _is_dead(store, item):
            store.unlink(item)
    return b"OK\r\n"


def _dump(store: Store, numbers: set[int], *, is_meta: bool) -> bytes:
    parts = [b"OK\r\n"] if store.profile.dumps_begin_with_ok else []
    line = _meta_line if is_meta else _get_line
    parts += [line(store, item) for item in _items(store, numbers) if not _is_dead(store, item)]
    parts.append(b"END\r\n" if is_meta else b"EN\r\n")
    return b"".join(parts)


def _meta_line(store: Store, item: Item) -> bytes:
    flags = b" flags=%d" % item.flags if store.profile.dumps_show_flags else b""
    return b"key=%b exp=%d la=%d cas=%d fetch=%b cls=%d size=%d%b%b\n" % (
        quote_from_bytes(item.key, safe="").encode(),
        item.expires_at + store.epoch if item.expires_at else -1,
        item.time + store.epoch,
        item.cas,
        b"yes" if item.fetched else b"no",
        item.slab.number,
        item.size,
        flags,
        b" " if store.profile.dumps_end_lines_with_blank else b"",
    )


def _get_line(store: Store, item: Item) -> bytes:
    key = base64.b64encode(item.key) + b" b" if item.is_binary else item.key
    return b"mg %b\r\n" % key
