"""The link state machine by itself: events in, orders out, at times that the test chooses."""

from __future__ import annotations

import errno
import importlib
from pathlib import Path

import pytest

from mcroute import Engine
from mcroute.policy import Backoff, Pool, PoolRoute, ServerOptions, compile_plan
from mcroute.runtime.link_runner import LinkOrder, LinkRunner
from tests.compiling import compile_cython

OPTIONS = ServerOptions()


def runner_with(addresses: int) -> LinkRunner:
    """One link, whose first attempt is under way."""
    runner = LinkRunner(Engine(compile_plan(PoolRoute(Pool.of("main", ["a:1"])))))
    runner.connect(0, OPTIONS, Backoff(), addresses, 0.0, True)
    runner.check(0.0)
    return runner


def test_addresses_are_tried_in_order_and_then_the_link_waits() -> None:
    runner = runner_with(2)
    assert runner.take_orders() == [LinkOrder(0, 0, False, 0)]
    runner.not_made(0, 0, errno.ECONNREFUSED, 0.0)
    assert runner.take_orders() == [LinkOrder(0, 0, True, 1)]
    runner.not_made(0, 0, errno.ECONNREFUSED, 0.0)
    assert runner.take_orders() == [LinkOrder(0, 0, True, -1)]
    [event] = runner.events(0.0)
    assert (event.has_failed, event.error) == (True, errno.ECONNREFUSED)
    assert 0 < runner.next_wakeup() <= 0.1


def test_an_attempt_goes_on_with_the_first_of_new_addresses() -> None:
    runner = runner_with(3)
    runner.not_made(0, 0, errno.ECONNREFUSED, 0.0)
    runner.take_orders()
    runner.connect(0, OPTIONS, Backoff(), 2, 0.0, True)
    assert runner.take_orders() == []
    runner.not_made(0, 0, errno.ECONNREFUSED, 0.0)
    assert runner.take_orders() == [LinkOrder(0, 0, True, 0)]


def test_a_link_that_waits_begins_with_the_first_of_new_addresses() -> None:
    runner = runner_with(2)
    for _ in range(2):
        runner.not_made(0, 0, errno.ECONNREFUSED, 0.0)
    runner.take_orders()
    runner.connect(0, OPTIONS, Backoff(), 1, 1.0, True)
    runner.check(1.0)
    assert runner.take_orders() == [LinkOrder(0, 0, False, 0)]


def test_a_link_made_by_an_old_address_uses_new_ones_after_its_loss() -> None:
    engine = Engine(compile_plan(PoolRoute(Pool.of("main", ["a:1"]))))
    runner = LinkRunner(engine)
    runner.connect(0, OPTIONS, Backoff(), 2, 0.0, True)
    runner.check(0.0)
    runner.connect(0, OPTIONS, Backoff(), 1, 0.0, True)
    runner.made(0, 0, "127.0.0.1", 4000, 0.0)
    assert engine.take_output(runner.number(0, 0)) == b"version\r\n"
    engine.receive(runner.number(0, 0), b"VERSION 1.6.45\r\n", 0.0)
    runner.received(0, 0, 0.0)
    assert [link.is_connected for link in runner.links([0])[0]] == [True]
    runner.take_orders()
    runner.ended(0, 0, 0, 1.0)
    runner.check(1.0)
    assert runner.take_orders() == [LinkOrder(0, 0, True, 0)]


def test_the_engine_has_no_link_without_a_connector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its requests would wait for a connection that nothing makes."""
    compile_cython(Path(__file__).with_name("failing_links.pyx"), tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    failing = importlib.import_module("failing_links")
    engine = Engine(compile_plan(PoolRoute(Pool.of("main", ["a:1"]))))
    assert failing.link_counts(engine, 3, 2) == [(False, 0, 0), (False, 0, 0), (True, 3, 3)]
