"""Servers that came back empty, in virtual time: which keys are copied, how fast, and when it ends."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, cast

import pytest

from mcroute.policy import (
    Cause,
    Plan,
    Pool,
    Reason,
    Replicate,
    Server,
    State,
    Supervisor,
    SupervisorSettings,
    Upkeep,
    compile_plan,
)
from mcroute.policy.copies import Copies
from mcroute.policy.warming_settings import WarmingSettings
from mcroute.runtime.announcements import Announcements
from mcroute.runtime.dumps import Dump, DumpBusy, DumpRefused
from mcroute.runtime.refills import Refills
from mcroute.runtime.supervised import Supervised
from mcroute.runtime.warmings import Warmings

from .virtual_clock import VirtualClock

NAMES = ("a", "b", "c")
KEYS = [b"key-%d" % i for i in range(600)]


def plan_of(names: Sequence[str] = NAMES, copies: int = 2) -> Plan:
    servers = tuple(Server(name, f"10.0.0.{ord(name)}", 11211) for name in names)
    return compile_plan(Replicate(Pool("main", servers), copies))


@dataclass
class FakeServer:
    """What it answers."""

    keys: list[bytes] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)  # to the next dumps
    rows: dict[bytes, bytes] = field(default_factory=lambda: {b"pid": b"1", b"evictions": b"0"})
    is_new: bool = True  # has mgdump
    is_silent: bool = False  # sends no line of a dump
    dumps: int = 0


@dataclass
class FakeDump:
    world: World
    server: FakeServer
    ahead: list[bytes]

    async def lines(self) -> list[bytes]:
        if self.server.is_silent:
            await self.world.clock.sleep(1e6)
        await self.world.clock.sleep(0.001)
        some, self.ahead = self.ahead[:50], self.ahead[50:]
        return some

    def close(self) -> None:
        self.world.open_dumps -= 1


class World:
    """Three servers with two copies of each key; `a` has come back empty."""

    def __init__(self, settings: WarmingSettings, plan: Plan | None = None) -> None:
        self.clock = VirtualClock()
        plan = plan or plan_of()
        self.supervisor = Supervisor(plan, Random(1), SupervisorSettings(warming=settings))
        self.servers = {name: FakeServer() for name in NAMES}
        self.copies = Copies(plan)
        for name, server in self.servers.items():
            others = [self.copies.between(name, other) for other in NAMES]
            server.keys = [key for key in KEYS if any(own(key) for own in others)]
        self.copied: list[tuple[float, bytes, str, str]] = []
        self.room = 10**9
        self.open_dumps = 0
        self.supervised = Supervised(
            self.supervisor,
            cast(Any, None),
            {},
            {plan.server_ids[server.name]: server for server in plan.servers},
            self.clock,
            cast(Any, self),
            Upkeep(),
            Random(1),
            lambda decisions: None,
            lambda: None,
        )
        self.warmings = Warmings(self.supervised, Announcements(self.supervised), cast(Refills, self))
        self.supervisor.cold.emptied(0)

    # ---- a control

    async def stats(self, server: Server, arguments: bytes = b"") -> Mapping[bytes, bytes]:
        await self.clock.sleep(0.001)
        return dict(self.servers[server.name].rows)

    async def dump(self, server: Server, name: bytes) -> Dump:
        fake = self.servers[server.name]
        fake.dumps += 1
        if fake.errors:
            raise fake.errors.pop(0)
        if name.startswith(b"mgdump"):
            if not fake.is_new:
                raise DumpRefused("ERROR")
            lines = [b"mg %b" % key for key in fake.keys]
        else:
            text = b"key=%b exp=-1 la=%d cas=1 fetch=no cls=1 size=60"
            lines = [text % (key, int(key.split(b"-")[1])) for key in fake.keys]
        self.open_dumps += 1
        return FakeDump(self, fake, lines)

    # ---- refills

    def begin(self, keys: Sequence[bytes], source: int, target: int, are_base64: bool) -> int:
        accepted = keys[: self.room]
        name = self.supervised.name
        self.copied += [(self.clock.now(), key, name(source), name(target)) for key in accepted]
        return len(accepted)

    def open(self) -> int:
        return 0

    def counts(self, server: str) -> Mapping[str, int]:
        count = sum(target == server for *_, target in self.copied)
        names = ("refills_present", "refills_gone", "refills_undone", "refills_skipped")
        return {"refilled": count, **dict.fromkeys(names, 0)}

    # ---- a run

    async def until_over(self, timeout_s: float = 3600.0) -> None:
        self.warmings.look()
        ends_at = self.clock.now() + timeout_s
        while self.warmings.tasks and self.clock.now() < ends_at:
            await self.clock.sleep(0.01)

    def leaves(self, server: int) -> None:
        self.supervisor.tripped(server, self.clock.now(), Reason(Cause.FAILURES))
        self.warmings.look()

    def returns(self, server: int) -> None:
        """By the next probe."""
        now = self.clock.now() + 100.0
        self.supervisor.tick(now)
        self.supervisor.probe_answered(server, now)
        self.supervisor.fence_answered(server, (), now)
        assert self.supervisor.state(server) is State.UP
        self.warmings.look()

    def wanted(self, target: str = "a") -> set[tuple[bytes, str]]:
        own = {name: self.copies.between(name, target) for name in NAMES}
        return {(key, name) for key in KEYS for name in NAMES if own[name](key)}

    def found(self) -> set[tuple[bytes, str]]:
        return {(key, source) for _, key, source, _ in self.copied}


def run(world: World, scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    world.clock.run(scenario())
    assert world.open_dumps == 0


def test_a_cold_server_gets_its_keys_once_at_the_rate_hot_ones_first(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "mcroute")
    world = World(WarmingSettings(keys_per_s=100))
    run(world, world.until_over)
    assert world.found() == world.wanted()
    assert len(world.copied) == len(world.wanted())
    assert {target for *_, target in world.copied} == {"a"}
    times = [at for at, *_ in world.copied]
    for i, at in enumerate(times):
        assert i <= (at - times[0]) * 100 + 1
    assert times[-1] - times[0] < len(times) / 100 + 1
    for twin in "bc":
        ages = [int(key.split(b"-")[1]) for _, key, source, _ in world.copied if source == twin]
        assert ages == sorted(ages, reverse=True)
    assert not world.supervisor.cold
    assert (world.supervisor.warmth(0).times, world.supervisor.warmth(0).begun) == (1, len(times))
    first, *_, last = caplog.messages
    assert first == "server a came back empty: its keys are copied from c, b, 100 a second at most"
    assert last.startswith(f"server a has its keys again: {len(times)} copied in ")


def test_more_keys_than_are_kept_at_once_come_in_several_readings() -> None:
    world = World(WarmingSettings(keys_max=50))
    run(world, world.until_over)
    assert world.found() == world.wanted()
    assert world.servers["b"].dumps > 4


def test_keys_for_which_the_engine_has_no_room_are_offered_again() -> None:
    world = World(WarmingSettings(keys_per_s=1000))
    world.room = 7
    run(world, world.until_over)
    assert world.found() == world.wanted()
    assert len(world.copied) == len(world.wanted())


def test_a_dump_that_begins_while_its_reading_is_cancelled_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(WarmingSettings())
    begin = world.dump

    async def dump(server: Server, name: bytes) -> Dump:
        begun = await begin(server, name)
        world.leaves(0)
        return begun

    monkeypatch.setattr(world, "dump", dump)
    run(world, world.until_over)
    assert world.servers["c"].dumps == 1


def test_a_busy_or_silent_or_empty_twin_is_asked_again() -> None:
    world = World(WarmingSettings())
    b, c = world.servers["b"], world.servers["c"]
    b.errors = [DumpBusy("BUSY"), ConnectionResetError("gone"), DumpBusy("BUSY")]
    c.is_silent = True

    async def scenario() -> None:
        world.clock.call_later(15.0, setattr, c, "is_silent", False)
        await world.until_over()

    run(world, scenario)
    assert world.found() == world.wanted()
    assert b.dumps == 5


def test_a_twin_that_stays_away_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    world = World(WarmingSettings(give_up_s=100.0))
    world.servers["b"].errors = [DumpBusy("BUSY") for _ in range(1000)]
    run(world, world.until_over)
    assert world.found() == {(key, source) for key, source in world.wanted() if source == "c"}
    assert [line for line in caplog.messages if "from server b" in line] == [
        "server a gets no keys from server b: BUSY"
    ]
    assert not world.supervisor.cold


def test_a_twin_that_refuses_dumps_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    world = World(WarmingSettings())

    async def scenario() -> None:
        for _ in range(2):
            world.servers["b"].errors = [DumpRefused("b answers 'ERROR metadump not allowed'")]
            world.supervisor.cold.emptied(0)
            await world.until_over()

    run(world, scenario)
    assert {source for _, _, source, _ in world.copied} == {"c"}
    assert caplog.messages == [
        "server b does not list its keys, so none are copied from it: b answers 'ERROR metadump not allowed'"
    ]


def test_an_older_twin_has_no_list_of_keys_in_base64() -> None:
    world = World(WarmingSettings())
    world.servers["b"].is_new = world.servers["c"].is_new = False
    run(world, world.until_over)
    assert world.found() == world.wanted()
    assert world.supervisor.warmth(0).times == 1


@pytest.mark.parametrize(
    ("row", "why"), [((b"evictions", b"3"), "it evicts items"), ((b"pid", b"9"), "it was restarted")]
)
def test_it_ends_when_the_server_has_no_room_or_is_another(
    row: tuple[bytes, bytes], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(WarmingSettings(keys_per_s=50))

    async def scenario() -> None:
        world.clock.call_later(2.0, world.servers["a"].rows.update, dict([row]))
        await world.until_over()

    run(world, scenario)
    assert 50 <= len(world.copied) <= 200
    assert caplog.messages[-1].startswith("server a gets no more keys, after ")
    assert caplog.messages[-1].endswith(why)
    assert (world.supervisor.warmth(0).times, world.supervisor.warmth(0).ahead) == (0, 0)


def test_it_ends_when_the_engine_does_not_respond(caplog: pytest.LogCaptureFixture) -> None:
    world = World(WarmingSettings())

    def begin(*arguments: object) -> int:
        raise RuntimeError("a thread of the native loop has answered nothing for 30 s")

    world.begin = begin  # type: ignore[method-assign]
    run(world, world.until_over)
    assert caplog.messages[-1].endswith("a thread of the proxy does not respond")
    assert not world.supervisor.cold


def test_it_begins_anew_when_the_server_has_left_service_and_is_back() -> None:
    world = World(WarmingSettings(keys_per_s=100))

    async def scenario() -> None:
        world.clock.call_later(1.0, world.leaves, 0)
        await world.until_over(3.0)
        assert not world.warmings.tasks
        assert not world.supervisor.warmth(0).is_warming
        assert 90 <= len(world.copied) <= 110
        assert list(world.supervisor.cold) == [0]
        world.returns(0)
        await world.until_over()

    run(world, scenario)
    assert world.found() == world.wanted()
    assert not world.supervisor.cold


def test_it_begins_anew_when_the_server_is_empty_once_more() -> None:
    world = World(WarmingSettings(keys_per_s=100))

    def emptied() -> None:
        world.supervisor.cold.emptied(0)
        world.warmings.look()

    async def scenario() -> None:
        world.clock.call_later(1.0, emptied)
        await world.until_over()

    run(world, scenario)
    assert world.found() == world.wanted()
    assert len(world.wanted()) + 90 <= len(world.copied) <= len(world.wanted()) + 110


def test_a_twin_out_of_service_is_read_when_it_is_back() -> None:
    world = World(WarmingSettings(keys_per_s=100))

    async def scenario() -> None:
        world.clock.call_later(0.5, world.leaves, 1)
        world.clock.call_later(60.0, world.returns, 1)
        await world.until_over()

    run(world, scenario)
    assert world.found() == world.wanted()
    late = [at for at, _, source, _ in world.copied if source == "b"]
    assert late[-1] > world.copied[0][0] + 60.0


def test_another_plan_begins_it_anew_with_the_twins_of_that() -> None:
    world = World(WarmingSettings(keys_per_s=100))
    other = plan_of("ab")

    def install() -> None:
        world.supervisor.install(other, world.clock.now())
        world.supervised.servers = {other.server_ids[s.name]: s for s in other.servers}
        world.warmings.install()
        world.warmings.look()
        world.copied.clear()

    async def scenario() -> None:
        world.clock.call_later(1.0, install)
        await world.until_over()

    run(world, scenario)
    # Both servers of the other plan own every key.
    assert world.found() == {(key, "b") for key in world.servers["b"].keys}


def test_some_servers_at_a_time() -> None:
    world = World(WarmingSettings(keys_per_s=100, servers_max=1))
    world.supervisor.cold.emptied(1)
    run(world, world.until_over)
    assert [target for *_, target in world.copied] == ["a"] * len(world.wanted()) + ["b"] * len(
        world.wanted("b")
    )


@pytest.mark.parametrize(
    ("settings", "plan"), [(WarmingSettings(keys_per_s=0), plan_of()), (WarmingSettings(), plan_of(copies=1))]
)
def test_nothing_is_copied_without_a_rate_or_copies(settings: WarmingSettings, plan: Plan) -> None:
    world = World(settings, plan)
    run(world, world.until_over)
    assert world.copied == []
    assert not world.supervisor.cold


def test_the_end_of_the_proxy_ends_it() -> None:
    world = World(WarmingSettings(keys_per_s=10))

    async def scenario() -> None:
        world.warmings.look()
        await world.clock.sleep(2.0)
        world.warmings.cancel()
        await world.clock.sleep(1.0)
        assert world.warmings.tasks == []

    run(world, scenario)
    assert 0 < len(world.copied) < 50
