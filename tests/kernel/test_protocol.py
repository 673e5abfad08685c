"""Tables of requests, refusals and replies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcroute._protocol import NEED_DATA, Refusal, ReplyParser, RequestParser, encode_request
from mcroute.errors import LocalProtocolError, RemoteProtocolError

FORMAT = b"CLIENT_ERROR bad command line format\r\n"
LONG = b"k" * 251


def drain(data: bytes) -> list:
    parser = RequestParser()
    parser.feed(data)
    found = []
    while (message := parser.next_message()) is not NEED_DATA:
        found.append(message)
    return found


REFUSED = [
    (b"\r\n", FORMAT),
    (b"get\r\n", FORMAT),
    (b"gat 0\r\n", FORMAT),
    (b"gat x k\r\n", b"CLIENT_ERROR invalid exptime argument\r\n"),
    (b"GET k\r\n", b"ERROR\r\n"),
    (b" get k\r\n", b"ERROR\r\n"),
    (b"get " + LONG + b"\r\n", FORMAT),
    (b"get a\x00b\r\n", FORMAT),
    (b"get a\x7fb\r\n", FORMAT),
    (b"get a\tb\r\n", FORMAT),
    (b"set k 0 0\r\n", FORMAT),
    (b"set k 0 0 -1\r\n", FORMAT),
    (b"set k 0 0 4294967297\r\n", FORMAT),
    (b"set k 0 0 18446744073709551617\r\n", FORMAT),
    (b"set k 0 0 1e3\r\n", FORMAT),
    (b"set k 0 0 \r\n", FORMAT),
    (b"set  0 0 1\r\n", FORMAT),
    (b"set k 4294967296 0 1\r\na\r\n", FORMAT),
    (b"set k x 0 1\r\na\r\n", FORMAT),
    (b"set " + LONG + b" 0 0 1\r\na\r\n", FORMAT),
    (b"cas k 0 0 1 18446744073709551616\r\na\r\n", FORMAT),
    (b"set k 0 0 1\r\nabc", b"CLIENT_ERROR bad data chunk\r\n"),
    (b"set k 0 0 2000000\r\n" + b"a" * 2000002, b"SERVER_ERROR object too large for cache\r\n"),
    (b"incr k -1\r\n", b"CLIENT_ERROR invalid numeric delta argument\r\n"),
    (b"incr k x noreply\r\n", b""),
    (b"touch k 99999999999\r\n", b"CLIENT_ERROR invalid exptime argument\r\n"),
    (b"verbosity x\r\n", FORMAT),
    (b"mg k v v\r\n", b"CLIENT_ERROR duplicate flag\r\n"),
    (b"mg k O" + b"o" * 33 + b"\r\n", b"CLIENT_ERROR opaque token too long\r\n"),
    (b"mg a2V b\r\n", b"CLIENT_ERROR error decoding key\r\n"),
    (b"ms " + LONG + b" 1\r\na\r\n", FORMAT),
    (b"ms k 1 Mz\r\na\r\n", b"CLIENT_ERROR invalid mode for ms M token\r\n"),
    (b"ms k 1 Cx\r\na\r\n", b"CLIENT_ERROR bad token in command line format\r\n"),
]


@pytest.mark.parametrize("byte", [0, 1, 9, 13, 31, 33, 46, 94, 126, 127, 128, 160, 255])
def test_bytes_that_keys_must_not_have_are_found_at_every_place(byte: int) -> None:
    """Keys are read eight bytes at a time: each place in these, in a line's last key and in another one."""
    for size in range(1, 26):
        for at in range(size):
            key = b"k" * at + bytes([byte]) + b"k" * (size - at - 1)
            for line, keys in ((b"get a %s\r\n", (b"a", key)), (b"get %s a\r\n", (key, b"a"))):
                (found,) = drain(line % key)
                if byte > 32 and byte != 127:
                    assert found.keys == list(keys)
                else:
                    assert (found.reply, found.close) == (FORMAT, False)


@pytest.mark.parametrize("gap", [b" ", b"  ", b"         "])
def test_keys_end_at_spaces_however_long_they_are(gap: bytes) -> None:
    for size in range(1, 26):
        for rest in range(1, 26):
            keys = (b"k" * size, b"l" * rest, b"m")
            (found,) = drain(b"get " + gap.join(keys) + b"\r\n")
            assert found.keys == list(keys)


@pytest.mark.parametrize(("data", "answer"), REFUSED)
def test_refused_and_in_step(data: bytes, answer: bytes) -> None:
    refusal, after = drain(data + b"mn\r\n")
    assert isinstance(refusal, Refusal)
    assert (refusal.reply, refusal.close) == (answer, False)
    assert refusal.line == data[: data.index(b"\n") + 1]
    assert after.command == "mn"


@pytest.mark.parametrize(
    "data", [b"\x81\x00", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n", b"*1\r\n", b"SSH-2.0-x", b"PROXY TCP4"]
)
def test_foreign_protocols_are_closed(data: bytes) -> None:
    (refusal,) = drain(data)
    assert refusal.close
    assert refusal.reply == (
        b"-ERR mcroute speaks memcached's text protocol only\r\n" if data[:1] == b"*" else b""
    )


@pytest.mark.parametrize(
    ("data", "canonical"),
    [
        (b"get k\r\n", True),
        (b"get a b\r\n", True),
        (b"get  k\r\n", False),
        (b"get k \r\n", False),
        (b"get k\n", False),
        (b"set k 0 0 1\r\na\r\n", True),
        (b"set k 0 0 01\r\na\r\n", False),
        (b"set k 00 0 1\r\na\r\n", False),
        (b"set k 0 -0 1\r\na\r\n", False),
        (b"set k 0 0 1 \r\na\r\n", False),
        (b"set k 0 0 1\na\r\n", False),
        (b"set k 0 0 1 noreply\r\na\r\n", False),
        (b"delete k 0\r\n", False),
        (b"mg k v q\r\n", True),
        (b"mg k  v\r\n", False),
    ],
)
def test_canonical(data: bytes, canonical: bool) -> None:
    (request,) = drain(data)
    assert request.canonical is canonical


NUMBERS = st.sampled_from(
    b"0 1 9 10 4294967295 4294967296 9999999999 10000000000 9223372036854775807 9223372036854775808 "
    b"18446744073709551616 00 07 -1 -0 x 1x +1".split(b" ")
)


@given(
    st.sampled_from([b"set", b"add", b"replace", b"append", b"prepend"]),
    st.sampled_from([b"k", b"a-longer-key", b"k" * 250, LONG])
    | st.binary(max_size=20).map(lambda key: key.replace(b"\n", b"n")),
    st.tuples(NUMBERS, NUMBERS),
    st.sampled_from(
        [b"0", b"3", b"03", b"-3", b"3x", b"3 noreply", b"3 4", b"2147483645", b"2147483646", b""]
    ),
    st.sampled_from([b"", b"a", b"abc", b"abcd"]),
)
def test_a_storage_line_is_read_like_the_same_line_with_more_spaces(
    command: bytes, key: bytes, numbers: tuple[bytes, bytes], rest: bytes, value: bytes
) -> None:
    """The usual line is read in one pass, each other line by its words."""

    def read(gap: bytes) -> list[object]:
        line = b" ".join([command + gap + key, *numbers, rest])
        return [
            (found.reply, found.close)
            if isinstance(found, Refusal)
            else (found.command, found.keys, found.flags, found.exptime, found.value, found.noreply)
            for found in drain(line + b"\r\n" + value + b"\r\n")
        ]

    assert read(b" ") == read(b"  ")


def test_fields() -> None:
    request = drain(b"cas key 7 -1 3 9 noreply\r\nabc\r\n")[0]
    assert (request.command, request.key, request.flags, request.exptime) == ("cas", b"key", 7, -1)
    assert (request.value, request.number, request.noreply) == (b"abc", 9, True)
    assert drain(b"gats 5 a bb c\r\n")[0].keys == [b"a", b"bb", b"c"]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"VALUE k 1 3 9\r\nabc\r\n", "VALUE"),
        (b"END\r\n", "END"),
        (b"12\r\n", "NUMBER"),
        (b"VA 1 kk Oabc c5\r\nx\r\n", "VA"),
        (b"HD\r\n", "HD"),
        (b"STORED\r\n", "STORED"),
        (b"SERVER_ERROR: shutdown not enabled\r\n", "SERVER_ERROR"),
    ],
)
def test_replies(data: bytes, kind: str) -> None:
    parser = ReplyParser()
    parser.feed(data)
    assert parser.next_message().kind == kind
    assert parser.next_message() is NEED_DATA


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"END\n",
        b"VALUE k 0 -1\r\n",
        b"VALUE k 0 9999999\r\n",
        b"VALUE k 0 1\r\nabc",
        b"VA\r\n",
        b"x" * 8192,
    ],
)
def test_bad_replies(data: bytes) -> None:
    parser = ReplyParser()
    parser.feed(data)
    with pytest.raises(RemoteProtocolError):
        parser.next_message()


def test_encoders_are_canonical() -> None:
    made = [
        encode_request("get", b"k"),
        encode_request("set", b"k", value=b"v", exptime=-5),
        encode_request("cas", b"k", value=b"v", number=2**64 - 1),
        encode_request("delete", b"k"),
        encode_request("incr", b"k", number=10),
        encode_request("touch", b"k", exptime=-1),
    ]
    assert made[1] == b"set k 0 -5 1\r\nv\r\n"
    assert all(drain(data)[0].canonical for data in made)
    with pytest.raises(LocalProtocolError):
        encode_request("get", b"x 0 0 1\r\nflush_all")


@pytest.mark.parametrize(
    "parser", [RequestParser(1000, 100, 100), ReplyParser(1000)], ids=["requests", "replies"]
)
def test_parsers_hold_no_more_than_a_message_and_the_last_bytes(
    parser: RequestParser | ReplyParser,
) -> None:
    """A caller that takes messages until NEED_DATA never sees this; others would fill the memory."""
    data = b"mn\r\n" * 500_000 if isinstance(parser, RequestParser) else b"MN\r\n" * 500_000
    parser.feed(data)
    with pytest.raises(BufferError, match="2000000 bytes are held"):
        parser.feed(data)
    taken = 0
    while parser.next_message() is not NEED_DATA:
        taken += 1
    parser.feed(data)
    while parser.next_message() is not NEED_DATA:
        taken += 1
    assert taken == 1_000_000


def test_behind_a_refusal_that_closes_nothing_is_held() -> None:
    parser = RequestParser()
    parser.feed(b"\x81 binary")
    refusal = parser.next_message()
    assert isinstance(refusal, Refusal) and refusal.close
    assert refusal.line == b""
    for _ in range(100):
        parser.feed(b"x" * 1_000_000)
    assert parser.next_message() is NEED_DATA
