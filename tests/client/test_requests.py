"""A client writes one canonical request for good arguments; bad ones raise an error with the place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcroute._protocol import Request, RequestParser
from mcroute.asyncio import IllegalInput
from mcroute.client.requests import PlainSerde, RequestWriter, several


def writer(**options: Any) -> RequestWriter:
    return RequestWriter(options.pop("serde", PlainSerde()), options.pop("key_prefix", b""), **options)


def parsed(request: bytes) -> Request:
    """The one request that these bytes are."""
    parser = RequestParser()
    parser.feed(request)
    message = parser.next_message()
    assert isinstance(message, Request), message
    assert message.raw == request
    assert message.canonical
    return message


KEYS = st.binary(min_size=1, max_size=250).map(
    lambda key: bytes(byte + 0x21 if byte <= 0x20 else byte ^ 1 if byte == 0x7F else byte for byte in key)
)


@given(
    key=KEYS,
    value=st.binary(max_size=2000),
    expire=st.integers(-(1 << 31), (1 << 31) - 1),
    flags=st.integers(0, (1 << 32) - 1),
    command=st.sampled_from([b"set", b"add", b"replace", b"append", b"prepend"]),
)
def test_a_store_request_carries_its_arguments(
    key: bytes, value: bytes, expire: int, flags: int, command: bytes
) -> None:
    request = parsed(writer().store(command, key, value, expire, flags))
    assert request.command == command.decode()
    assert (request.key, request.value, request.exptime, request.flags) == (key, value, expire, flags)


@given(keys=st.lists(KEYS, min_size=1, unique=True))
def test_a_get_has_all_keys(keys: list[bytes]) -> None:
    assert parsed(writer().get(b"get", map(writer().key, keys))).keys == keys


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (writer().store(b"cas", "k", "v", 9, None, b"77"), b"cas k 0 9 1 77\r\nv\r\n"),
        (writer().get_and_touch(b"gat", "k", 30), b"gat 30 k\r\n"),
        (writer().delete("k"), b"delete k\r\n"),
        (writer().arithmetic(b"incr", "k", (1 << 64) - 1), b"incr k 18446744073709551615\r\n"),
        (writer().touch("k", -1), b"touch k -1\r\n"),
        (writer().touch("k", True), b"touch k 1\r\n"),
        (writer().flush_all(0), b"flush_all 0\r\n"),
        (writer(key_prefix="app:").delete(b"k"), b"delete app:k\r\n"),
        (writer(allow_unicode_keys=True).delete("ü"), b"delete \xc3\xbc\r\n"),
    ],
)
def test_the_other_commands(request_: bytes, expected: bytes) -> None:
    assert request_ == expected
    parsed(request_)


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (b"\x00\r\n", b"\x00\r\n"),
        (bytearray(b"a"), b"a"),
        (memoryview(b"a"), b"a"),
        ("text", b"text"),
        (7, b"7"),
        (True, b"True"),
        (1.5, b"1.5"),
    ],
)
def test_plain_values_are_stored_as_pymemcache_does(value: object, stored: bytes) -> None:
    assert parsed(writer().store(b"set", "k", value, 0, None)).value == stored


class JsonSerde:
    def serialize(self, key: Any, value: Any) -> tuple[str, int]:
        return json.dumps([key, value]), 2

    def deserialize(self, key: Any, value: bytes, flags: int) -> Any:
        return json.loads(value)


def test_a_serde_gives_bytes_and_flags() -> None:
    request = parsed(writer(serde=JsonSerde(), key_prefix="p:").store(b"set", "k", {"a": 1}, 0, None))
    assert (request.value, request.flags) == (b'["k", {"a": 1}]', 2)
    assert parsed(writer(serde=JsonSerde()).store(b"set", "k", 0, 0, 5)).flags == 5


LONG = "x" * 251


@pytest.mark.parametrize(
    ("write", "place", "message"),
    [
        (lambda w: w.delete("a b"), "key", "blank or a control character"),
        (lambda w: w.delete("a\n"), "key", "blank or a control character"),
        (lambda w: w.delete("a\x7f"), "key", "blank or a control character"),
        (lambda w: w.delete(""), "key", "at least one byte"),
        (lambda w: w.delete(LONG), "key", "251 bytes"),
        (lambda w: w.delete("ü"), "key", "allow_unicode_keys"),
        (lambda w: w.delete(7), "key", "must be str or bytes, not 7"),
        (lambda w: w.key("c d", "keys[2]"), "keys[2]", "blank"),
        (lambda w: several("abc"), "keys", "several keys"),
        (lambda w: w.store(b"set", "a b", 1, 0, None), "key", "blank"),
        (lambda w: w.store(b"set", "k", 1, "5", None), "expire", "must be an integer, not '5'"),
        (lambda w: w.store(b"set", "k", 1, 1.5, None), "expire", "must be an integer, not 1.5"),
        (lambda w: w.store(b"set", "k", 1, 1 << 31, None), "expire", "not between"),
        (lambda w: w.store(b"set", "k", 1, 0, -1), "flags", "not between 0 and 4294967295"),
        (lambda w: w.store(b"set", "k", None, 0, None), "value", "not NoneType; a serde stores the rest"),
        (lambda w: w.store(b"set", "k", [1], 0, None), "value", "not list"),
        (lambda w: w.store(b"set", "k", "ü", 0, None), "value", "not ascii; see encoding"),
        (lambda _: writer(value_max=5).store(b"set", "k", "123456", 0, None), "value", "6 bytes"),
        (lambda w: w.store(b"set", "k", [], 0, None, place="values['k']"), "values['k']", "not list"),
        (lambda w: w.store(b"set", "", 1, 0, None, place="values['']"), "values['']", "one byte"),
        (lambda w: w.arithmetic(b"incr", "k", -1), "value", "not between 0 and 18446744073709551615"),
        (lambda w: w.arithmetic(b"incr", "k", "1"), "value", "must be an integer"),
        (lambda w: w.touch("k", None), "expire", "must be an integer"),
        (lambda w: w.flush_all("now"), "delay", "must be an integer"),
        (lambda w: w.token("7x"), "cas", "must be a token from gets, not '7x'"),
        (lambda w: w.token("\u0667"), "cas", "must be a token"),
        (lambda w: w.token(-1), "cas", "must be a token"),
        (lambda w: w.token(1 << 64), "cas", "must be a token"),
        (lambda w: w.token(None), "cas", "must be a token"),
    ],
)  # fmt: skip
def test_bad_arguments_are_named(write: Any, place: str, message: str) -> None:
    with pytest.raises(IllegalInput) as caught:
        write(writer())
    assert caught.value.place == place
    assert str(caught.value).startswith(f"{place}: ")
    assert message in str(caught.value)


def test_a_bad_prefix_is_refused_at_once() -> None:
    with pytest.raises(IllegalInput, match=r"^key_prefix: "):
        writer(key_prefix="my app:")
    with pytest.raises(IllegalInput, match="with its prefix"):
        writer(key_prefix="p").delete("x" * 250)


@pytest.mark.parametrize("token", [b"77", "77", 77])
def test_a_token_in_every_spelling(token: object) -> None:
    assert writer().token(token) == b"77"
