"""Threads of a test that all begin at one moment."""

import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
TIMEOUT_S = 50.0


def together(count: int, work: Callable[[int], T]) -> list[T]:
    """Calls `work` with its number in each of so many threads; returns the results."""
    barrier = threading.Barrier(count)

    def begin(number: int) -> T:
        barrier.wait(TIMEOUT_S)
        return work(number)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(count) as pool:
            return [each.result(TIMEOUT_S) for each in [pool.submit(begin, i) for i in range(count)]]
    finally:
        sys.setswitchinterval(interval)
