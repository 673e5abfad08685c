"""A process reads the state file of the one before, whether that ended or was killed at any moment."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest

from mcroute.policy import Past
from mcroute.proxy.state_file import UNKNOWN, StateFile

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no flock")

HERE = frozenset({("10.0.0.1", 1), ("::1", 1)})
THERE = frozenset({"/run/memcached"})
SERVER = Past(HERE, owes=False, id=3, missed=5)
GONE = Past(THERE, owes=True, lost=frozenset({"10.0.0.9:7"}))
OPEN = {3: ["10.0.0.9:8"]}
EJECTED, STALE, GHOST, MISSED = 1, 1 << 4, 1 << 5, 1 << 29


def left(path: Path) -> list[Past]:
    """As another process reads it."""
    state = StateFile(str(path))
    state.close()
    return state.pasts


def killed(path: Path, bits: int) -> list[Past]:
    """The engine has put this word there, and then there was no time for anything."""
    state = StateFile(str(path))
    struct.pack_into("=Q", state.memory, 64 * 3, 5 * MISSED)
    state.write([SERVER, GONE], OPEN)
    struct.pack_into("=Q", state.memory, 64 * 3, bits)
    state.close()
    return left(path)


def test_after_an_end_in_peace_all_is_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "state"
    assert left(path) == []
    state = StateFile(str(path))
    state.write([SERVER, GONE], OPEN, is_clean=True, is_durable=True)
    state.close()
    assert left(path) == [Past(HERE, owes=False), GONE]


def test_a_server_that_was_in_order_when_the_proxy_was_killed_is_only_fenced(tmp_path: Path) -> None:
    assert killed(tmp_path / "state", 5 * MISSED) == [Past(HERE, owes=False, lost=frozenset(OPEN[3])), GONE]


@pytest.mark.parametrize("bits", [5 * MISSED + EJECTED, 5 * MISSED + STALE, 5 * MISSED + GHOST, 6 * MISSED])
def test_a_word_that_the_engine_had_just_changed_counts(tmp_path: Path, bits: int) -> None:
    assert killed(tmp_path / "state", bits) == [Past(HERE, owes=True, lost=frozenset(OPEN[3])), GONE]


def test_words_of_a_process_that_was_killed_before_it_wrote_its_text_prove_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state"
    killed(path, 5 * MISSED)
    assert left(path)[0].owes


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 9}', '{"format": 1, "servers": [{"place": 3}]}'])
def test_a_file_that_cannot_be_read_is_of_every_server(tmp_path: Path, text: str) -> None:
    path = tmp_path / "state"
    path.write_text(text)
    assert left(path) == [UNKNOWN]


def test_two_proxies_do_not_share_a_file(tmp_path: Path) -> None:
    state = StateFile(str(tmp_path / "state"))
    with pytest.raises(BlockingIOError, match="another proxy uses it"):
        StateFile(str(tmp_path / "state"))
    state.close()
    StateFile(str(tmp_path / "state")).close()


def test_a_file_that_cannot_be_had_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        StateFile(str(tmp_path / "nowhere" / "state"))
    (tmp_path / "state.new").mkdir()
    with pytest.raises(OSError):
        StateFile(str(tmp_path / "state"))
