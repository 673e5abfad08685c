"""However the bytes are cut, the same messages come out."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mcroute._protocol import Refusal, Reply, ReplyParser, Request, RequestParser
from mcroute.errors import RemoteProtocolError

REQUESTS = [
    b"get a b\r\n",
    b"get " + b"key " * 60 + b"\n",
    b"set k 0 0 3\r\nabc\r\n",
    b"set k x 0 3\r\nabc\r\n",
    b"set k 0 0 1\r\nabc",
    b"set k 0 0 200\r\n",
    b"ms k 2 T5 q\r\nab\r\n",
    b"ms k 2 !\r\n",
    b"incr k x noreply\r\n",
    b"foo\n",
    b"mn\r\n",
    b"GET / HTTP/1.1\r\n",
    b"\x80",
    b"\x16\x03",
    b"*1\r\n",
    b"SSH-",
    b"x" * 90,
]
REPLIES = [
    b"VALUE k 0 3\r\nabc\r\n",
    b"VALUE k 1 0 77\r\n\r\n",
    b"END\r\n",
    b"STORED\r\n",
    b"12\r\n",
    b"VA 3 kk Oab c5\r\nabc\r\n",
    b"HD\r\n",
    b"SERVER_ERROR out of memory\r\n",
    b"STAT a b\r\n",
    b"x" * 90,
]
CUTS = st.lists(st.integers(0, 600), max_size=8)


def pieces_of(fragments: list[bytes]) -> st.SearchStrategy[list[bytes]]:
    return st.lists(st.sampled_from(fragments) | st.binary(max_size=8), max_size=8)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(place for place in cuts if place < len(data)), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


def requests(chunks: list[bytes]) -> list[tuple[bytes, bool]]:
    parser = RequestParser(value_max=100, line_max=80, get_line_max=300)
    found = []
    for chunk in chunks:
        parser.feed(chunk)
        while isinstance(message := parser.next_message(), Request | Refusal):
            is_refused = isinstance(message, Refusal)
            found.append((message.reply if is_refused else message.raw, is_refused and message.close))
    return found


def replies(chunks: list[bytes]) -> list[bytes]:
    parser = ReplyParser(value_max=100)
    found = []
    for chunk in chunks:
        parser.feed(chunk)
        try:
            while isinstance(message := parser.next_message(), Reply):
                found.append(message.raw)
        except RemoteProtocolError:
            return [*found, b"out of step"]
    return found


@given(pieces_of(REQUESTS), CUTS)
def test_requests(pieces: list[bytes], cuts: list[int]) -> None:
    data = b"".join(pieces)
    whole = requests([data])
    assert requests(cut(data, cuts)) == whole
    assert requests([data[i : i + 1] for i in range(len(data))]) == whole


@given(pieces_of(REPLIES), CUTS)
def test_replies(pieces: list[bytes], cuts: list[int]) -> None:
    data = b"".join(pieces)
    whole = replies([data])
    assert replies(cut(data, cuts)) == whole
    assert replies([data[i : i + 1] for i in range(len(data))]) == whole
