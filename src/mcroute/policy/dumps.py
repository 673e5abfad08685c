"""Lines of a server's dump of its keys, as `lru_crawler metadump` and `lru_crawler mgdump` send them."""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from typing import NamedTuple

__all__ = ("DumpedKey", "hash_of", "meta_key", "mg_key")

KEY_MAX = 250
# Such a key is sent in base64: it would end the line or the word, or is no text.
_UNFIT = re.compile(rb"[\x00-\x20\x7f]")
_META = re.compile(rb"key=(\S+) exp=-?\d+ la=(\d+) ")


class DumpedKey(NamedTuple):
    """A key as requests spell it, and the second of its last use, on the server's clock."""

    key: bytes
    is_base64: bool
    used_at: int


def meta_key(line: bytes) -> DumpedKey | None:
    """The key of a line of `metadump`; None for a line of another kind.

    The line does not tell whether a client spelled the key in base64. It did so if the key cannot be sent
    as it is.
    """
    match = _META.match(line)
    if match is None:
        return None
    text, used_at = match.groups()
    # memcached escapes = as well, so that no other = is left to be misread.
    key = binascii.a2b_qp(text.replace(b"%", b"=")) if b"%" in text else text
    if _UNFIT.search(key):
        key = base64.b64encode(key)
        return DumpedKey(key, True, int(used_at)) if len(key) <= KEY_MAX else None
    return DumpedKey(key, False, int(used_at))


def mg_key(line: bytes) -> DumpedKey | None:
    """The key of a line of `mgdump` that a client spelled in base64, though it could be sent as it is.

    None for any other line: `meta_key` has those keys. The time of the last use is 0, since it is unknown.
    """
    words = line.split(b" ")
    if len(words) != 3 or words[0] != b"mg" or words[2] != b"b":
        return None
    try:
        raw = base64.b64decode(words[1], validate=True)
    except ValueError:
        return None
    return None if _UNFIT.search(raw) else DumpedKey(words[1], True, 0)


def hash_of(line: bytes) -> int:
    """A hash of the key in a line of either dump, which is the same in each dump of this kind."""
    return zlib.crc32(line.split(b" ", 2)[0] if line.startswith(b"key=") else line)
