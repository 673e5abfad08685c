"""Runs the scenario with faults once for each seed, and prints the seeds at which a client read an old value.

    python -m tests.runtime.seeds [--seeds 1000] [--first 0] [--without-flush | --without-deletes]

With `--without-flush` servers return as if they had missed nothing, with `--without-deletes` the replay of
their journals deletes other keys: seeds must fail then.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock

from mcroute.policy import Server
from mcroute.policy.records import Record

from .memory_driver import MemoryControl
from .test_memory_driver import faults, history_of

__all__ = ("failing", "without_deletes", "without_flush")


@contextlib.contextmanager
def without_flush() -> Iterator[None]:
    """No server counts as one that missed a write, so that no return flushes."""
    with mock.patch.object(Record, "missed_something", property(lambda record: False)):
        yield


@contextlib.contextmanager
def without_deletes() -> Iterator[None]:
    """Replays of journals delete another key in place of each."""
    delete = MemoryControl.delete

    async def delete_other(
        control: MemoryControl, server: Server, take: Callable[[], Sequence[bytes]], allows: Any
    ) -> None:
        await delete(control, server, lambda: [b"delete other\r\n" for _ in take()], allows)

    with mock.patch.object(MemoryControl, "delete", delete_other):
        yield


def failing(seeds: range) -> list[int]:
    """The seeds at which a client read a value from before an acknowledged write."""
    found = []
    for seed in seeds:
        try:
            history_of(seed, faults)
        except AssertionError:
            found.append(seed)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.runtime.seeds")
    parser.add_argument("--seeds", type=int, default=1000, help="the number of seeds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--without-flush", action="store_true", help="returns do not flush: seeds must fail")
    parser.add_argument("--without-deletes", action="store_true", help="replays delete nothing: likewise")
    options = parser.parse_args()
    broken = without_flush() if options.without_flush else contextlib.nullcontext()
    if options.without_deletes:
        broken = without_deletes()
    seeds = range(options.first, options.first + options.seeds)
    began = time.perf_counter()
    with broken:
        found = failing(seeds)
    print(f"{len(seeds)} seeds in {time.perf_counter() - began:.1f} s, {len(found)} failed: {found}")
    return int(bool(found) != (options.without_flush or options.without_deletes))


if __name__ == "__main__":
    sys.exit(main())
