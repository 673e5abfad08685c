"""Lines of dumps: which keys are sent as they are, and which in base64."""

from __future__ import annotations

import base64
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcroute.policy.dumps import DumpedKey, hash_of, meta_key, mg_key


def line_of(key: bytes, more: str = "") -> bytes:
    text = quote_from_bytes(key, safe="")
    return f"key={text} exp=-1 la=170 cas=1 fetch=no cls=1 size=65{more}".encode()


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (b"key=a exp=-1 la=170 cas=6 fetch=no cls=1 size=62", DumpedKey(b"a", False, 170)),
        (b"key=a exp=180 la=170 cas=6 fetch=yes cls=1 size=62 flags=5 ", DumpedKey(b"a", False, 170)),
        (b"key=x%2Fy%3Az_.-~%3D exp=180 la=1 cas=6 fetch=no cls=1", DumpedKey(b"x/y:z_.-~=", False, 1)),
        (b"key=a%25b exp=180 la=1 cas=6 fetch=no cls=1", DumpedKey(b"a%b", False, 1)),
        (b"key=%C3%A4 exp=180 la=1 cas=6 fetch=no cls=1", DumpedKey(b"\xc3\xa4", False, 1)),
        (b"key=a%20b exp=180 la=1 cas=6 fetch=no cls=1", DumpedKey(b"YSBi", True, 1)),
        (b"key=%00%0A exp=180 la=1 cas=6 fetch=no cls=1", DumpedKey(b"AAo=", True, 1)),
        # In base64 it is too long for a request.
        (line_of(b"\n" * 200), None),
        (b"mg a", None),
        (b"key=a", None),
        (b"", None),
    ],
)
def test_a_line_of_metadump(line: bytes, key: DumpedKey | None) -> None:
    assert meta_key(line) == key


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (b"mg YWI= b", DumpedKey(b"YWI=", True, 0)),
        # `meta_key` has these.
        (b"mg YSBi b", None),
        (b"mg ab", None),
        (b"mg b", None),
        (b"mg *** b", None),
        (b"key=a exp=-1 la=170", None),
    ],
)
def test_a_line_of_mgdump(line: bytes, key: DumpedKey | None) -> None:
    assert mg_key(line) == key


@given(st.binary(min_size=1, max_size=250))
def test_every_key_has_one_spelling(raw: bytes) -> None:
    found = meta_key(line_of(raw, " flags=1 "))
    if found is None:
        assert len(base64.b64encode(raw)) > 250
    elif found.is_base64:
        assert base64.b64decode(found.key) == raw
        assert min(raw) <= 32 or 127 in raw
    else:
        assert found.key == raw
        assert not set(raw) & {*range(33), 127}


def test_the_hash_of_a_line_is_that_of_its_key() -> None:
    line = line_of(b"a:b")
    later = line.replace(b"la=170", b"la=999").replace(b"fetch=no", b"fetch=yes")
    assert hash_of(line) == hash_of(later)
    assert hash_of(line) != hash_of(line_of(b"a:c"))
    assert hash_of(b"mg a") != hash_of(b"mg c")
