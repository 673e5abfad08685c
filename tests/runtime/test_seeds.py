"""Lost links, and servers that restart or are cut off: no client reads an old value."""

from __future__ import annotations

import pytest

from .seeds import failing, without_deletes, without_flush
from .test_memory_driver import faults, history_of

SEEDS = range(20)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_fault_lets_a_client_read_an_old_value(seed: int) -> None:
    history_of(seed, faults)


def test_a_return_without_a_flush_would_be_seen() -> None:
    with without_flush():
        assert failing(SEEDS)


def test_a_replay_that_does_not_delete_would_be_seen() -> None:
    with without_deletes():
        assert failing(SEEDS)
