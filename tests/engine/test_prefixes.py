"""A key goes where the longest listed prefix sends it, however many prefixes there are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mcroute.policy import ByPrefix, Error, PoolRoute

from .network import Network, pool

# Few letters, so that most prefixes have prefixes.
TEXTS = st.text("ab:", min_size=1, max_size=8)


def chosen(prefixes: list[str], keys: list[str]) -> list[bytes]:
    """The answer to each key, when each route answers with the number of its prefix."""
    routes = {prefix: Error(str(i)) for i, prefix in enumerate(prefixes)}
    network = Network(ByPrefix(routes, Error("other")), 0)
    client = network.client()
    network.send(client, b"".join(b"get %s\r\n" % key.encode() for key in keys))
    return network.got(client).split(b"\r\n")[:-1]


@given(st.lists(TEXTS, unique=True, max_size=60), st.lists(TEXTS, min_size=1, max_size=20))
def test_the_longest_prefix_wins(prefixes: list[str], keys: list[str]) -> None:
    expected = []
    for key in keys:
        fitting = [prefix for prefix in prefixes if key.startswith(prefix)]
        best = prefixes.index(max(fitting, key=len)) if fitting else "other"
        expected.append(b"SERVER_ERROR %s" % str(best).encode())
    assert chosen(prefixes, keys) == expected


def test_a_thousand_prefixes_of_all_lengths() -> None:
    prefixes = [f"{'x' * (i % 200)}{i}:" for i in range(1000)]
    answers = chosen(prefixes, [prefix + "k" for prefix in prefixes])
    assert answers == [b"SERVER_ERROR %d" % i for i in range(1000)]


def test_a_prefix_longer_than_any_key_fits_none() -> None:
    prefixes = ["k" * 70_000, "kk"]
    assert chosen(prefixes, ["k" * 250, "k"]) == [b"SERVER_ERROR 1", b"SERVER_ERROR other"]


def test_keys_of_a_multiget_go_different_ways() -> None:
    main = PoolRoute(pool(1))
    network = Network(ByPrefix({"a:": Error("no a"), "a:b:": main}, main), 1)
    client = network.client()
    network.send(client, b"get k a:b:1 a:b:2\r\n")
    assert network.asked(0) == b"get k a:b:1 a:b:2\r\n"
    network.reply(0, b"END\r\n")
    assert network.got(client) == b"END\r\n"
    network.send(client, b"get k a:1\r\n")
    network.reply(0, b"END\r\n")
    assert network.got(client).startswith(b"SERVER_ERROR ")
