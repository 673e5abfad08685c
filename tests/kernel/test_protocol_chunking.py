"""However the bytes are cut, the same messages come out."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mcroute._protocol import NEED_DATA, Refusal, RequestParser

PIECES = [
    b"get a b\r\n",
    b"set k 0 0 3\r\nabc\r\n",
    b"set k x 0 3\r\nabc\r\n",
    b"set k 0 0 1\r\nabc",
    b"ms k 2 T5 q\r\nab\r\n",
    b"incr k x noreply\r\n",
    b"foo\n",
    b"mn\r\n",
]


def messages(chunks: list[bytes]) -> list:
    parser = RequestParser(value_max=100)
    found = []
    for chunk in chunks:
        parser.feed(chunk)
        while (message := parser.next_message()) is not NEED_DATA:
            found.append(message.reply if isinstance(message, Refusal) else message.raw)
    return found


@given(st.lists(st.sampled_from(PIECES), max_size=6), st.lists(st.integers(0, 120)))
def test_any_cut(pieces: list[bytes], cuts: list[int]) -> None:
    data = b"".join(pieces)
    places = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    chunks = [data[start:end] for start, end in pairwise(places)]
    assert messages(chunks) == messages([data])
    assert messages([data[i : i + 1] for i in range(len(data))]) == messages([data])
