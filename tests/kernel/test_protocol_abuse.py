"""Hostile input of clients and servers: a table of every known trap and abuse, with its tests."""

import ast
from pathlib import Path

import pytest

from mcroute._protocol import NEED_DATA, Refusal, ReplyParser, Request, RequestParser, encode_request
from mcroute.errors import LocalProtocolError, RemoteProtocolError

TESTS = Path(__file__).parents[1]
FORMAT = b"CLIENT_ERROR bad command line format\r\n"
EITHER = b"CLIENT_ERROR invalid or duplicate flag\r\n"
TOKEN = b"CLIENT_ERROR bad token in command line format\r\n"
NOT_OFFERED = b"CLIENT_ERROR not offered through mcroute\r\n"
K250, K251 = b"k" * 250, b"k" * 251

# Traps of a live memcached, and the tests that they harm no client: file::function, from tests/.
TRAPS = {
    "cas is equality only": ["acceptance/test_traps.py::test_traps_are_what_they_are_without_a_proxy"],
    "stale items and stubs are classic hits": ["acceptance/test_traps.py::TRAPS"],
    "stubs fail add, let append build": ["acceptance/test_traps.py::TRAPS"],
    "append clears the stale mark": ["acceptance/test_traps.py::TRAPS"],
    "classic writes wipe a given cas": ["acceptance/test_traps.py::TRAPS"],
    "md x makes an immortal item": ["acceptance/test_traps.py::TRAPS"],
    "md x on nothing leaves no tombstone": ["acceptance/test_traps.py::TRAPS"],
    "oversize stores delete, but for add": ["acceptance/test_traps.py::TRAPS"],
    "a refused line's value is executed": [
        "kernel/test_protocol_abuse.py::test_a_refused_line_takes_its_value_along",
        "acceptance/test_differential.py::test_every_row_of_the_page_is_true",
    ],
    "lengths wrap at 2**32": ["kernel/test_protocol_abuse.py::test_lengths"],
    "a long key in get ends in two line ends": [
        "kernel/test_protocol_abuse.py::test_keys",
        "acceptance/test_differential.py::test_every_row_of_the_page_is_true",
        "kernel/test_protocol.py::test_bad_replies",
    ],
    "line ends, control characters, leading blanks": [
        "kernel/test_protocol_abuse.py::test_line_ends",
        "kernel/test_protocol_abuse.py::test_keys",
        "acceptance/test_differential.py::test_every_row_of_the_page_is_true",
    ],
    "0x80 switches to binary": ["kernel/test_protocol_abuse.py::test_foreign_protocols"],
    "errors with noreply are reported": ["kernel/test_protocol_abuse.py::test_noreply"],
    "lifetimes over 30 days": ["acceptance/test_traps.py::TRAPS"],
    "decr pads, incr wraps": ["acceptance/test_traps.py::TRAPS"],
    "a refusal before authentication ends the connection": [
        "engine/test_asking.py::test_a_reply_that_nobody_waits_for_breaks_the_link"
    ],
    "too many connections": ["kernel/test_protocol_abuse.py::test_replies_that_no_server_gives_to_a_request"],
    "one crawler at a time": ["kernel/test_protocol_abuse.py::test_administration_is_not_offered"],
    "a stopped server accepts": [
        "acceptance/test_proxy.py::test_requests_to_a_stopped_server_end_with_an_error"
    ],
}

ABUSE = {
    "characters and sizes of keys": ["kernel/test_protocol_abuse.py::test_keys"],
    "keys injected by applications": ["kernel/test_protocol_abuse.py::test_no_key_breaks_out_of_its_line"],
    "numbers of every form": [
        "kernel/test_protocol_abuse.py::test_lengths",
        "kernel/test_protocol_abuse.py::test_numbers",
    ],
    "values of another length than announced": [
        "kernel/test_protocol_abuse.py::test_values_that_do_not_end_where_they_should",
        "kernel/test_protocol_abuse.py::test_every_cut_in_two",
        "kernel/test_protocol_chunking.py::test_requests",
    ],
    "noreply and quiet": [
        "kernel/test_protocol_abuse.py::test_noreply",
        "engine/test_asking.py::test_noreply_is_kept_from_the_server_and_answered_to_nobody",
        "acceptance/test_differential.py::test_generated_conversations",
    ],
    "meta flags": ["kernel/test_protocol_abuse.py::test_meta_flags"],
    "much, long, slow, half": [
        "kernel/test_protocol_abuse.py::test_lines_without_an_end",
        "kernel/test_protocol_abuse.py::test_a_get_of_many_keys_in_single_bytes",
        "acceptance/test_proxy.py::test_a_client_that_does_not_read_holds_up_nobody",
        "engine/test_asking.py::test_a_session_with_too_much_in_flight_waits_without_losing_anything",
        "engine/test_asking.py::test_a_client_that_closes_in_the_middle_of_a_set_stores_nowhere",
    ],
    "other protocols": ["kernel/test_protocol_abuse.py::test_foreign_protocols"],
    "administration": ["kernel/test_protocol_abuse.py::test_administration_is_not_offered"],
    "what servers may do": [
        "kernel/test_protocol.py::test_bad_replies",
        "kernel/test_protocol_abuse.py::test_replies_that_no_server_gives_to_a_request",
        "engine/test_asking.py::test_a_reply_with_another_key_breaks_the_link_and_reaches_nobody",
        "engine/test_asking.py::test_a_reply_that_nobody_waits_for_breaks_the_link",
        "engine/test_odd_replies.py::test_a_reply_that_no_server_gives_to_the_command_closes_the_link",
    ],
    "UDP": ["acceptance/test_traps.py::test_nobody_listens_on_udp"],
}


@pytest.mark.parametrize("name", [*TRAPS, *ABUSE])
def test_the_tests_that_the_tables_name_exist(name: str) -> None:
    for place in {**TRAPS, **ABUSE}[name]:
        file, _, wanted = place.partition("::")
        names = set()
        for node in ast.parse((TESTS / file).read_text()).body:
            if isinstance(node, ast.FunctionDef):
                names.add(node.name)
            elif isinstance(node, ast.Assign):
                names.update(target.id for target in node.targets if isinstance(target, ast.Name))
        assert wanted in names


def messages(data: bytes, **limits: int) -> list[Request | Refusal]:
    parser = RequestParser(**limits)
    parser.feed(data)
    found = []
    while not isinstance(message := parser.next_message(), type(NEED_DATA)):
        found.append(message)
    return found


def answer(data: bytes) -> bytes | None:
    """The reply to a refused request, None for one that is taken; behind either the stream is in step."""
    first, second = messages(data + b"mn\r\n")
    assert isinstance(second, Request)
    assert second.command == "mn"
    return first.reply if isinstance(first, Refusal) else None


COMMANDS = [
    (b"get %b\r\n", FORMAT),
    (b"gats 0 a %b\r\n", FORMAT),
    (b"set %b 0 0 1\r\na\r\n", FORMAT),
    (b"cas %b 0 0 1 1\r\na\r\n", FORMAT),
    (b"delete %b\r\n", FORMAT),
    (b"incr %b 1\r\n", FORMAT),
    (b"touch %b 0\r\n", FORMAT),
    (b"mg %b v\r\n", FORMAT),
    (b"ms %b 1\r\na\r\n", FORMAT),
    (b"md %b q\r\n", FORMAT),
    (b"ma %b\r\n", EITHER),
    (b"me %b\r\n", FORMAT),
]


@pytest.mark.parametrize(("line", "refusal"), COMMANDS)
def test_keys(line: bytes, refusal: bytes) -> None:
    for key in (b"k", K250, b"\x80\xff", b"\xc3\xa4", b"noreply", b"!", b"~"):
        assert answer(line % key) is None
    for key in (K251, b"k" * 700, b"a\rb", b"a\x00b", b"a\tb", b"\x7f", b"\x1f"):
        assert answer(line % key) == refusal


def test_a_line_feed_in_a_key_ends_the_line() -> None:
    assert [m.reply for m in messages(b"delete\nk\r\n")] == [FORMAT, FORMAT]


@pytest.mark.parametrize("key", [b"", K251, b"x 0 0 1\r\n", b"a b", b"a\n", b"\x00", b"a\x7f"])
def test_no_key_breaks_out_of_its_line(key: bytes) -> None:
    for command in ("get", "gets", "set", "cas", "delete", "incr", "touch"):
        with pytest.raises(LocalProtocolError):
            encode_request(command, key)


def test_a_delete_of_the_key_noreply_asks_for_a_reply() -> None:
    assert encode_request("delete", b"noreply") == b"delete noreply 0\r\n"


NO_LENGTHS = (b"-1", b"-0", b"+5", b"1e3", b"0x1", b"1.5", b"-", b"x", b"9" * 30)
NO_LENGTHS += tuple(b"%d" % n for n in (2**31 - 2, 2**31 - 1, 2**31, 2**32, 2**32 + 1, 2**64, 2**64 + 1))


@pytest.mark.parametrize(
    "line", [b"set k 0 0 %b\r\n", b"cas k 0 0 %b 1\r\n", b"ms k %b\r\n", b"ms k %b q\r\n"]
)
def test_lengths(line: bytes) -> None:
    assert answer(line % b"05" + b"abcde\r\n") is None
    assert answer(line % b"0" + b"\r\n") is None
    for length in NO_LENGTHS:
        # Without a length, no data is swallowed.
        assert answer(line % length) == FORMAT
    too_large = messages(line % b"1048577" + b"v" * 1048577 + b"\r\nmn\r\n")
    assert [too_large[0].reply, too_large[1].command] == [
        b"SERVER_ERROR object too large for cache\r\n",
        "mn",
    ]
    # The largest possible length: no memory is taken for it, and the refusal waits for no data.
    (refusal,) = messages(line % b"2147483645")
    assert not refusal.close


UNSIGNED = (b"0", b"05", b"%d" % (2**32 - 1))
NO_NUMBER = (b"x", b"1x", b"+5", b"1e3", b"0x1", b"1.5", b"-", b"--1", b"9" * 30, b"%d" % 2**64)


@pytest.mark.parametrize(
    ("line", "good", "bad", "refusal"),
    [
        (b"set k %b 0 1\r\na\r\n", UNSIGNED, (b"-1", b"-0", b"%d" % 2**32), FORMAT),
        (b"set k 0 %b 1\r\na\r\n", (b"-1", b"-0", b"%d" % (2**63 - 1)), (b"%d" % 2**63,), FORMAT),
        (b"cas k 0 0 1 %b\r\na\r\n", (b"%d" % (2**64 - 1),), (b"-1",), FORMAT),
        (
            b"incr k %b\r\n",
            (b"%d" % (2**64 - 1),),
            (b"-1",),
            b"CLIENT_ERROR invalid numeric delta argument\r\n",
        ),
        (
            b"touch k %b\r\n",
            (b"-1", b"%d" % -(2**31)),
            (b"%d" % 2**31,),
            b"CLIENT_ERROR invalid exptime argument\r\n",
        ),
        (b"flush_all %b\r\n", (b"-1",), (b"%d" % 2**31,), b"CLIENT_ERROR invalid exptime argument\r\n"),
        (b"verbosity %b\r\n", UNSIGNED, (b"-1", b"%d" % 2**32), FORMAT),
        (b"mg k T%b\r\n", (b"-1", b"-0"), (b"%d" % 2**31,), TOKEN),
        (b"ms k 1 C%b\r\na\r\n", (b"%d" % (2**64 - 1),), (b"-1",), TOKEN),
        (b"ms k 1 F%b\r\na\r\n", UNSIGNED, (b"-1", b"%d" % 2**32), FORMAT),
        (b"ma k D%b\r\n", (b"%d" % (2**64 - 1),), (b"-1",), EITHER),
    ],
)
def test_numbers(line: bytes, good: tuple[bytes, ...], bad: tuple[bytes, ...], refusal: bytes) -> None:
    for number in good:
        assert answer(line % number) is None, number
    for number in (*bad, *NO_NUMBER):
        assert answer(line % number) == refusal, number


@pytest.mark.parametrize(
    "line",
    [
        b"set k x 0 20\r\n",
        b"set " + K251 + b" 0 0 20\r\n",
        b"cas k 0 0 20\r\n",
        b"add k 0 0 20 noreply x noreply\r\n",
        b"ms " + K251 + b" 20\r\n",
        b"ms k 20 Cx\r\n",
        b"ms k 20 k k\r\n",
        b"ms k 20 ! q\r\n",
        b"ms k 20 Mz\r\n",
    ],
)
def test_a_refused_line_takes_its_value_along(line: bytes) -> None:
    """No byte of the value is parsed as a command."""
    value = b"flush_all\r\nflush_all\r\n"[:20]
    refused, after = messages(line + value + b"xx" + b"mn\r\n")
    assert isinstance(refused, Refusal)
    assert after.command == "mn"


@pytest.mark.parametrize("line", [b"set k 0 0 3\r\n", b"ms k 3\r\n", b"ms k 3 q\r\n", b"cas k 0 0 3 1\n"])
@pytest.mark.parametrize("value", [b"abc\n\n", b"abc\rx", b"abcde", b"ab\r\n\n", b"abc\nm"])
def test_values_that_do_not_end_where_they_should(line: bytes, value: bytes) -> None:
    assert answer(line + value) == b"CLIENT_ERROR bad data chunk\r\n"


CORPUS = [
    b"set k 0 0 3 noreply\r\nabc\r\n",
    b"set k 0 0 3\r\nabcdmn\r\n",
    b"set k x 0 3\r\nabc\r\n",
    b"ms k 0 O1 T5 q\n\r\n",
    b"get a b  c \n",
    b"mg " + b"x" * 251 + b"\r\n",
    b"bogus\r\n",
    b"a\r\n",
    b"GET / HTTP/1.1\r\n",
]


@pytest.mark.parametrize("first", CORPUS)
def test_every_cut_in_two(first: bytes) -> None:
    def shown(pieces: list[bytes]) -> list[bytes]:
        parser, found = RequestParser(), []
        for piece in pieces:
            parser.feed(piece)
            while not isinstance(message := parser.next_message(), type(NEED_DATA)):
                found.append(message.raw if isinstance(message, Request) else message.reply)
        return found

    for second in CORPUS:
        data = first + second
        whole = shown([data])
        for place in range(1, len(data)):
            assert shown([data[:place], data[place:]]) == whole


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"set k x 0 1 noreply\r\na\r\n", b""),
        (b"set k 0 0 1 noreply\r\nabc", b""),
        (b"set k noreply\r\n", FORMAT),
        (b"set k 0 0 1 1 1 1 1 1 noreply\r\na\r\n", None),
        (b"set noreply 0 0 1\r\na\r\n", None),
        (b"incr k x noreply\r\n", b""),
        (b"incr noreply\r\n", FORMAT),
        (b"touch k noreply\r\n", b""),
        (b"delete " + K251 + b" noreply\r\n", b""),
        (b"delete noreply\r\n", None),
        (b"flush_all x noreply\r\n", b""),
        (b"verbosity noreply\r\n", b""),
        (b"bogus noreply\r\n", b""),
        (b"get noreply\r\n", None),
        (b"mg k noreply\r\n", b"CLIENT_ERROR invalid flag\r\n"),
        (b"ms k x q\r\n", FORMAT),
        (b"mg k q v v\r\n", b"CLIENT_ERROR duplicate flag\r\n"),
    ],
)
def test_noreply(line: bytes, reply: bytes | None) -> None:
    assert answer(line) == reply


@pytest.mark.parametrize(
    "line", [b"version noreply\r\n", b"stats noreply\r\n", b"get a noreply\r\n", b"quit x\r\n"]
)
def test_where_noreply_is_a_word_like_any_other(line: bytes) -> None:
    assert not messages(line)[0].noreply


@pytest.mark.parametrize(
    ("flags", "reply"),
    [
        (b"v k t O" + b"o" * 31, None),
        (b"O" + b"o" * 32, b"CLIENT_ERROR opaque token too long\r\n"),
        (b"O" + b"o" * 32 + b" Tx", TOKEN),
        (b"v v", b"CLIENT_ERROR duplicate flag\r\n"),
        (b"a", b"CLIENT_ERROR invalid flag\r\n"),
        (b"7", b"CLIENT_ERROR invalid flag\r\n"),
        (b"Tx a", b"CLIENT_ERROR invalid flag\r\n"),
        (b"Tx Dx", b"CLIENT_ERROR invalid numeric delta value\r\n"),
        (b"Dx Tx", TOKEN),
        (b"Jx", b"CLIENT_ERROR invalid numeric initial value\r\n"),
        (b"Fx", FORMAT),
        (b"Tx Fx", TOKEN),
        (b"a !", FORMAT),
        (b"\x80", FORMAT),
        (b"v O\x01", TOKEN),
        (
            b" ".join(b"vktscfhlOPLuTNRCDEJIM"[i : i + 1] for i in range(21)),
            b"CLIENT_ERROR options flags are too long\r\n",
        ),
        (b" ".join([b"v"] * 18), b"CLIENT_ERROR duplicate flag\r\n"),
        (b" ".join([b"v"] * 19), b"CLIENT_ERROR options flags are too long\r\n"),
        (b"b", b"CLIENT_ERROR error decoding key\r\n"),
    ],
)
def test_meta_flags(flags: bytes, reply: bytes | None) -> None:
    assert answer(b"mg k %b\r\n" % flags) == reply
    of_arithmetic = EITHER if reply not in (None, FORMAT) or flags == b"Fx" else reply
    if b"opaque" not in (reply or b""):
        assert answer(b"ma k %b\r\n" % flags) == of_arithmetic


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"ms k 1 M%b\r\na\r\n", b"CLIENT_ERROR invalid mode for ms M token\r\n"),
        (b"ma k M%b\r\n", b"CLIENT_ERROR invalid mode for ma M token\r\n"),
    ],
)
def test_modes(line: bytes, reply: bytes) -> None:
    good = b"SEARP" if b"ms" in line else b"ID+-"
    for mode in range(33, 127):
        assert answer(line % bytes([mode])) == (None if mode in good else reply)
    assert answer(line % b"") == reply


@pytest.mark.parametrize("key", [b"YQ==", b"YWI=", b"YWJj", b"+/+/", b"A" * 248])
def test_base64_keys(key: bytes) -> None:
    (request,) = messages(b"mg %b b k\r\n" % key)
    assert request.key == key


@pytest.mark.parametrize(
    "key", [b"YR==", b"YQ=", b"YQ", b"=", b"====", b"Y===", b"YWI=YWI=", b"a-_b", b"a b=", K250]
)
def test_invalid_and_noncanonical_base64_is_refused(key: bytes) -> None:
    assert answer(b"md %b b\r\n" % key) is not None


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"mg Cg== b N0\r\n", NOT_OFFERED),
        (b"ma YSBi N0 b\r\n", NOT_OFFERED),
        (b"mg YWJj b N0\r\n", None),
        (b"ms Cg== 1 b N0 MA\r\na\r\n", None),
        (b"mg Cg== b\r\n", None),
    ],
)
def test_binary_keys_are_not_created_by_reading(line: bytes, reply: bytes | None) -> None:
    """memcached would forget that they are binary, and answer with their raw bytes."""
    assert answer(line) == reply


def test_me_looks_at_a_b_and_at_nothing_else() -> None:
    requests = messages(b"me k\r\nme k b\r\nme k v\r\nme  k\r\n")
    assert [m.meta_flags for m in requests] == [[], [b"b"], [], []]
    assert [m.canonical for m in requests] == [True, True, False, False]


def test_lines_without_an_end() -> None:
    """2048 bytes without a line feed may yet become a line; one more may not, and no word is lost on it."""
    for head in (b"", b"touch k 0 ", b"gat 0 ", b" get "):
        assert messages(head.ljust(2048, b"x")) == []
        (refusal,) = messages(head.ljust(2049, b"x"))
        assert (refusal.reply, refusal.close) == (b"", True)
        assert len(messages(head.ljust(2048, b"x") + b"\n")) == 1
        (refusal,) = messages(head.ljust(2049, b"x") + b"\n")
        assert refusal.close
    for head in (b"get ", b"gets "):
        assert messages(head.ljust(1 << 20, b"x")) == []
        (refusal,) = messages(head.ljust((1 << 20) + 1, b"x"))
        assert refusal.close


def test_nothing_is_parsed_after_the_parser_has_closed() -> None:
    assert len(messages(b"x" * 3000 + b"\r\nmn\r\n")) == 1


def test_a_get_of_many_keys_in_single_bytes() -> None:
    keys = [b"key:%d" % i for i in range(20_000)]
    parser = RequestParser()
    line = b"get " + b" ".join(keys) + b"\r\n"
    for i in range(len(line) - 1):
        parser.feed(line[i : i + 1])
        assert parser.next_message() is NEED_DATA
    parser.feed(b"\n")
    assert parser.next_message().keys == keys


def test_line_ends() -> None:
    assert [m.command for m in messages(b"get k\nmn\nms k 1\na\r\nversion\n")] == [
        "get",
        "mn",
        "ms",
        "version",
    ]
    assert answer(b"get k\r\r\n") == FORMAT
    assert [m.reply for m in messages(b"\r\n\n\r\r\n")] == [FORMAT] * 3


@pytest.mark.parametrize(
    "start",
    [
        b"\x81",
        b"\x16\x03\x01\x02",
        b"*1\r\n$4\r\n",
        b"SSH-2.0-OpenSSH_9",
        b"PROXY TCP4 192.0.2.1",
        b"PROXY ",
    ],
)
def test_foreign_protocols(start: bytes) -> None:
    (refusal,) = messages(start)
    reply = b"-ERR mcroute speaks memcached's text protocol only\r\n" if start.startswith(b"*") else b""
    assert (refusal.reply, refusal.close) == (reply, True)
    # Later they are ordinary lines.
    assert not any(isinstance(m, Refusal) and m.close for m in messages(b"mn\r\n" + start))


def test_the_binary_protocol_is_refused_in_its_own_words() -> None:
    opaque = b"\x01\x02\x03\x04"
    request = b"\x80\x01" + b"\0" * 9 + b"\x07" + opaque + b"\0" * 8 + b"abcdefg"
    for size in range(1, 24):
        assert messages(request[:size]) == []
    refused, quits, *rest = messages(request + b"\x80\x17" + request[2:] + request)
    assert rest == []
    text = b"mcroute speaks memcached's text protocol only"
    header = b"\x81\x01" + b"\0" * 5 + b"\x81" + b"\0" * 3 + bytes([len(text)]) + opaque + b"\0" * 8
    assert (refused.reply, refused.close) == (header + text, False)
    assert (quits.reply, quits.close) == (b"\x81\x17" + header[2:] + text, True)
    (_, no_binary) = messages(request + b"mn\r\n")
    assert (no_binary.reply, no_binary.close) == (b"", True)


@pytest.mark.parametrize("method", [b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"CONNECT"])
def test_http_closes_the_connection_at_any_place(method: bytes) -> None:
    for before in (b"", b"mn\r\n"):
        last = messages(before + method + b" /x HTTP/1.1\r\nHost: y\r\n")[-1]
        assert (last.reply, last.close) == (b"", True)


@pytest.mark.parametrize("start", [b"\x16abc\r\n", b"*x\r\n", b"SSH\r\n", b"PROXY\r\n", b"GET /x\r\n"])
def test_requests_that_only_look_like_another_protocol(start: bytes) -> None:
    assert answer(start) == b"ERROR\r\n"


ADMINISTRATION = "shutdown watch cache_memlimit slabs lru lru_crawler refresh_certs debugtime extstore"


@pytest.mark.parametrize("word", ADMINISTRATION.split())
def test_administration_is_not_offered(word: str) -> None:
    assert answer(word.encode() + b"\r\n") == NOT_OFFERED
    assert answer(word.encode() + b" x 1\r\n") == NOT_OFFERED
    # Two commands have no noreply.
    quiet = NOT_OFFERED if word in ("watch", "refresh_certs") else b""
    assert answer(word.encode() + b" noreply\r\n") == quiet


@pytest.mark.parametrize(
    "reply",
    [
        b"ERROR Too many open connections\r\n",
        b"\r\n",
        b"VALUE k 0 1\r\na\r\nEND\r\n\r\n",
        b"VALUE k 0 18446744073709551616\r\n",
        b"VALUE k 0 -1\r\n",
        b"VALUE k 0 1048577\r\n",
        b"VALUE " + K251 + b" 0 1\r\na\r\n",
        b"VALUE k 18446744073709551616 1\r\na\r\n",
        b"VA -1\r\n",
        b"VA 18446744073709551617\r\n",
        b"VA 1048577\r\n",
        b"HD O" + b"o" * 32 + b"\r\n",
        b"12 \r\n",
        b"SERVER_ERROR out of memory\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"+OK\r\n",
        b"x" * 9000,
    ],
)
def test_replies_that_no_server_gives_to_a_request(reply: bytes) -> None:
    parser = ReplyParser()
    parser.feed(reply)
    with pytest.raises(RemoteProtocolError):
        while parser.next_message() is not NEED_DATA:
            pass
