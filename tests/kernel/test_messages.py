"""Requests and replies as objects: what each attribute says, and what is public besides the parsers."""

from __future__ import annotations

import copy
import enum
from typing import Any

import pytest

import mcroute
from mcroute import (
    COMMAND_NAMES,
    NEED_DATA,
    REPLY_NAMES,
    Reply,
    ReplyParser,
    Request,
    RequestParser,
    encode_request,
)
from mcroute.errors import LocalProtocolError


def shown(message: Request | Reply) -> dict[str, Any]:
    """The attributes that say something, without the bytes themselves and what is the rule."""
    names = (name for name in dir(message) if not name.startswith("_") and name != "raw")
    return {name: value for name in names if (value := getattr(message, name))}


def parsed(parser: RequestParser | ReplyParser, data: bytes) -> dict[str, Any]:
    parser.feed(data)
    message = parser.next_message()
    assert isinstance(message, Request | Reply)
    assert message.raw == data
    return shown(message)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"get a b\r\n", {"command": "get", "key": b"a", "keys": [b"a", b"b"]}),
        (b"gat 7 a\r\n", {"command": "gat", "key": b"a", "keys": [b"a"], "exptime": 7}),
        (b"cas k 5 9 1 3\r\nx\r\n", {"command": "cas", "value": b"x", "flags": 5, "exptime": 9, "number": 3}),
        (b"touch k -1\r\n", {"command": "touch", "exptime": -1}),
        (b"incr k 3\r\n", {"command": "incr", "number": 3}),
        (b"flush_all 5\r\n", {"command": "flush_all", "exptime": 5, "meta_flags": [b"5"]}),
        (b"stats items\r\n", {"command": "stats", "meta_flags": [b"items"]}),
        (b"version\r\n", {"command": "version"}),
        (b"mg Zm9v b v O12\r\n", {"command": "mg", "key": b"Zm9v", "keys": [b"Zm9v"], "opaque": b"12"}),
        (
            b"ms k 1 F5 T9 C7 q\r\nx\r\n",
            {"value": b"x", "flags": 5, "exptime": 9, "number": 7, "quiet": True},
        ),
        (b"ma k D5\r\n", {"command": "ma", "number": 5, "meta_flags": [b"D5"]}),
        (b"delete k noreply\r\n", {"command": "delete", "noreply": True}),
    ],
)
def test_fields_of_a_request(data: bytes, expected: dict[str, Any]) -> None:
    attributes = parsed(RequestParser(), data)
    assert attributes["command"] in COMMAND_NAMES
    assert {name: attributes.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"STORED\r\n", {"kind": "STORED"}),
        (b"42\r\n", {"kind": "NUMBER", "number": 42}),
        (b"VALUE k 3 1\r\nx\r\n", {"kind": "VALUE", "key": b"k", "value": b"x", "flags": 3}),
        (b"VALUE k 0 1 8\r\nx\r\n", {"kind": "VALUE", "key": b"k", "value": b"x", "cas": 8, "number": 8}),
        (
            b"VA 1 kfoo f9 c77 Oab\r\nx\r\n",
            {
                "kind": "VA",
                "key": b"foo",
                "value": b"x",
                "flags": 9,
                "cas": 77,
                "number": 77,
                "opaque": b"ab",
            },
        ),
        (b"EN\r\n", {"kind": "EN"}),
        (b"ME k exp=-1\r\n", {"kind": "ME", "key": b"k"}),
        (b"SERVER_ERROR no\r\n", {"kind": "SERVER_ERROR"}),
    ],
)
def test_fields_of_a_reply(data: bytes, expected: dict[str, Any]) -> None:
    assert parsed(ReplyParser(), data) == expected
    assert expected["kind"] in REPLY_NAMES


@pytest.mark.parametrize(
    ("command", "options", "data"),
    [
        ("get", {}, b"get k\r\n"),
        ("gets", {"exptime": 5}, b"gets k\r\n"),
        ("set", {"value": b"x", "flags": 5, "exptime": 9}, b"set k 5 9 1\r\nx\r\n"),
        ("cas", {"value": b"x", "number": 3}, b"cas k 0 0 1 3\r\nx\r\n"),
        ("delete", {}, b"delete k\r\n"),
        ("incr", {"number": 3}, b"incr k 3\r\n"),
        ("touch", {"exptime": -1}, b"touch k -1\r\n"),
    ],
)
def test_a_request_is_written_as_servers_take_it(command: str, options: dict[str, Any], data: bytes) -> None:
    assert encode_request(command, b"k", **options) == data
    assert parsed(RequestParser(), data)["canonical"] is True


@pytest.mark.parametrize(
    ("command", "key", "options", "error"),
    [
        ("set", b"", {}, LocalProtocolError),
        ("set", b"a b", {}, LocalProtocolError),
        ("no such", b"k", {}, ValueError),
        ("gat", b"k", {}, ValueError),
        ("mg", b"k", {}, ValueError),
        ("set", b"k", {"flags": 1 << 64}, OverflowError),
        ("set", b"k", {"flags": -1}, OverflowError),
        ("set", b"k", {"exptime": 1 << 63}, OverflowError),
        ("incr", b"k", {"number": -1}, OverflowError),
        ("set", b"k", {"value": "text"}, TypeError),
    ],
)
def test_messages_that_cannot_be_written_are_refused(
    command: str, key: bytes, options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error, match=r"no encoder for" if error is ValueError else None):
        encode_request(command, key, **options)


def test_the_sentinel_is_an_enum_for_type_checkers() -> None:
    assert isinstance(NEED_DATA, enum.Enum) and list(type(NEED_DATA)) == [NEED_DATA]
    assert repr(NEED_DATA) == "NEED_DATA" and copy.deepcopy(NEED_DATA) is NEED_DATA
    assert RequestParser().next_message() is ReplyParser().next_message() is NEED_DATA


def test_every_public_name_is_there() -> None:
    for name in mcroute.__all__:
        assert getattr(mcroute, name) is not None
