"""The journal file tells the next process which keys servers missed, or that it does not know."""

from __future__ import annotations

import errno
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcroute import Engine
from mcroute.policy import Limits, Past, Process, Replicate, compile_plan
from mcroute.proxy.state_file import StateFile
from tests.engine.network import pool

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a journal file needs Linux")

HERE, THERE = frozenset({("10.0.0.1", 1)}), frozenset({("10.0.0.2", 2)})
PROCESS = Process(77, 1000, 5.0)
PASTS = [
    Past(HERE, owes=True, id=0, process=PROCESS),
    Past(THERE, owes=True, id=1, process=PROCESS),
]


def key(i: int) -> tuple[bytes, bool]:
    return b"key-%d" % i, i % 7 == 0


class Proxy:
    """A process with a journal file, as far as the file is concerned."""

    def __init__(self, directory: Path, size_max: int = 1 << 20, boot: str = "boot") -> None:
        limits = Limits(journal_size_max=size_max)
        self.state = StateFile(directory / "state", directory / "journal", limits, boot=boot)
        plan = compile_plan(Replicate(pool(3), copies=2))
        self.engine = Engine(plan, seed=1, memory=self.state.memory)
        self.engine.set_limits(limits)
        assert self.state.journal is not None
        self.file = self.state.journal
        self.engine.save_journals(self.file.saver)

    def write(self, **how: bool) -> None:
        self.state.write(PASTS, {}, **{"answers_early": False, **how})

    def miss(self, server: int, *numbers: int) -> None:
        self.engine.journal(server).recall(map(key, numbers))

    def keep(self) -> None:
        failures = self.file.saver.failures
        self.file.keep(failures, {i: self.engine.journal(i) for i in range(3)})

    def settle(self, server: int) -> None:
        journal = self.engine.journal(server)
        journal.begin()
        while journal.take(1000):
            pass
        assert journal.settle(True) is not None


def keys_of(directory: Path, boot: str = "boot") -> list[frozenset[tuple[bytes, bool]] | None]:
    """What the next process knows about both servers."""
    state = StateFile(directory / "state", directory / "journal", boot=boot)
    state.close()
    assert all(past.owes for past in state.pasts)
    return [past.keys for past in state.pasts]


def keys(*numbers: int) -> frozenset[tuple[bytes, bool]]:
    return frozenset(map(key, numbers))


def killed(proxy: Proxy) -> None:
    """The system closes the files; nothing else is done."""
    proxy.state.close()


# ---- what is known ----


@pytest.mark.parametrize("is_clean", [False, True])
def test_the_next_process_knows_the_keys_and_the_process_that_missed_them(
    tmp_path: Path, is_clean: bool
) -> None:
    proxy = Proxy(tmp_path)
    proxy.write()
    proxy.miss(0, 1, 2, 3, 7)
    proxy.miss(1)
    if is_clean:
        proxy.write(is_clean=True)
    killed(proxy)
    state = StateFile(tmp_path / "state", tmp_path / "journal", boot="boot")
    assert [past.keys for past in state.pasts] == [keys(1, 2, 3, 7), keys()]
    assert [past.process for past in state.pasts] == [PROCESS, PROCESS]
    state.close()


def test_keys_before_the_text_of_this_process_are_nobodys(tmp_path: Path) -> None:
    proxy = Proxy(tmp_path)
    proxy.write()
    proxy.miss(0, 1)
    killed(proxy)
    proxy = Proxy(tmp_path)
    proxy.miss(0, 2)
    killed(proxy)
    assert keys_of(tmp_path) == [None, None]


def test_a_replay_ends_what_was_missed_before_it(tmp_path: Path) -> None:
    proxy = Proxy(tmp_path)
    proxy.write()
    proxy.miss(0, 1, 2)
    proxy.miss(1, 3)
    proxy.settle(0)
    proxy.miss(0, 4)
    killed(proxy)
    assert keys_of(tmp_path) == [keys(4), keys(3)]


def test_after_an_overflow_nothing_is_known_until_the_server_is_flushed(tmp_path: Path) -> None:
    proxy = Proxy(tmp_path)
    proxy.write()
    proxy.engine.set_limits(Limits(journal_keys_max=2))
    proxy.miss(0, 1, 2, 3)
    killed(proxy)
    assert keys_of(tmp_path) == [None, keys()]
    proxy = Proxy(tmp_path)
    proxy.write()
    proxy.engine.set_limits(Limits(journal_keys_max=2))
    proxy.miss(0, 1, 2, 3)
    proxy.engine.journal(0).clear()
    proxy.miss(0, 4)
    killed(proxy)
    assert keys_of(tmp_path) == [keys(4), keys()]


def test_a_process_that_may_have_answered_before_all_copies_had_tells_nothing_if_it_was_killed(
    tmp_path: Path,
) -> None:
    proxy = Proxy(tmp_path)
    proxy.write(answers_early=True)
    proxy.miss(0, 1)
    killed(proxy)
    assert keys_of(tmp_path) == [None, None]
    proxy = Proxy(tmp_path)
    proxy.write(answers_early=True)
    proxy.miss(0, 1)
    proxy.write(answers_early=True, is_clean=True)
    killed(proxy)
    assert keys_of(tmp_path) == [keys(1), keys()]


# ---- what is not ----


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(data)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-5])


def cut_a_record(file: Path) -> None:
    # The last record has the key key-3.
    file.write_bytes(file.read_bytes()[:-15])


def of_another_version(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[8] += 1
    file.write_bytes(data)


def of_another_process(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[16] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize(
    "damage", [flip, cut, cut_a_record, of_another_version, of_another_process, Path.unlink, os.truncate]
)
def test_a_damaged_file_proves_nothing_and_is_named(
    tmp_path: Path, damage: Callable[..., object], caplog: pytest.LogCaptureFixture
) -> None:
    proxy = Proxy(tmp_path)
    proxy.write()
    proxy.miss(0, 1, 2, 3)
    killed(proxy)
    damage(tmp_path / "journal", *((0,) if damage is os.truncate else ()))
    assert keys_of(tmp_path) == [None, None]
    assert f"journal file {tmp_path / 'journal'} is not used" in caplog.text


def test_a_record_that_was_not_finished_belongs_to_no_answered_write(tmp_path: Path) -> None:
    proxy = Proxy(tmp_path)
    proxy.write()
    proxy.miss(0, 1, 2)
    killed(proxy)
    with open(tmp_path / "journal", "ab") as file:
        file.write(b"\x12\x34\x56")
    assert keys_of(tmp_path) == [keys(1, 2), keys()]


@pytest.mark.parametrize("is_clean", [False, True])
def test_no_key_is_trusted_after_another_boot(tmp_path: Path, is_clean: bool) -> None:
    proxy = Proxy(tmp_path)
    proxy.write()
    proxy.miss(0, 1)
    if is_clean:
        proxy.write(is_clean=True)
    killed(proxy)
    assert keys_of(tmp_path, boot="another") == [None, None]


def test_after_a_loss_of_power_the_last_moments_are_unknown(tmp_path: Path) -> None:
    proxy = Proxy(tmp_path)
    in_order = [Past(place, owes=False, id=i, process=PROCESS) for i, place in enumerate((HERE, THERE))]
    proxy.state.write(in_order, {}, answers_early=False)
    proxy.miss(1, 5)
    killed(proxy)
    state = StateFile(tmp_path / "state", tmp_path / "journal", boot="another")
    state.close()
    # The file on the disk still tells that one of them missed writes.
    assert [past.owes for past in state.pasts] == [False, True]
    assert all(past.is_outdated and past.keys is None for past in state.pasts)


def test_a_state_file_without_a_journal_or_with_a_new_one_knows_no_keys(tmp_path: Path) -> None:
    proxy = Proxy(tmp_path)
    proxy.write()
    proxy.miss(0, 1)
    killed(proxy)
    plain = StateFile(tmp_path / "state", boot="boot")
    assert [past.keys for past in plain.pasts] == [None, None]
    plain.write(PASTS, {}, answers_early=False)
    plain.close()
    assert keys_of(tmp_path) == [None, None]


# ---- the disk ----


def limited(size: int) -> tuple[int, int]:
    """Lets files grow to this size only, as a full disk would. Returns the limit of before."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    return before


def test_keys_that_cannot_be_written_are_unknown_until_they_can(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    proxy = Proxy(tmp_path)
    proxy.write()
    proxy.miss(1, 9)
    # No record fits behind the head of a new file.
    before = limited(70)
    try:
        proxy.miss(0, 1, 2, 3)
        proxy.keep()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert proxy.file.saver.error in (errno.EFBIG, errno.ENOSPC)
    assert f"journal file {tmp_path / 'journal'} cannot be written" in caplog.text
    assert not proxy.file.saver.is_complete
    # The journal in memory has all keys: this process replays them.
    proxy.engine.journal(0).begin()
    assert len(proxy.engine.journal(0).take(10)) == 3
    proxy.keep()
    assert proxy.file.saver.is_complete and "complete again" in caplog.text
    proxy.miss(1, 10)
    killed(proxy)
    assert keys_of(tmp_path) == [None, keys(9, 10)]


def test_a_full_file_proves_nothing_until_it_is_made_anew_for_the_smaller_journals(tmp_path: Path) -> None:
    proxy = Proxy(tmp_path, size_max=4096)
    proxy.write()
    proxy.miss(1, 5)
    proxy.miss(0, *range(1000))
    assert proxy.file.saver.size <= 4096 and not proxy.file.saver.is_complete
    proxy.keep()
    assert proxy.file.saver.is_complete and proxy.file.saver.size <= 2048
    # No more room is spent on the large one.
    proxy.miss(0, *range(1000, 2000))
    assert proxy.file.saver.size <= 2048
    proxy.settle(0)
    proxy.miss(0, 6)
    killed(proxy)
    assert keys_of(tmp_path) == [keys(6), keys(5)]


def test_a_file_of_settled_journals_is_made_anew_without_them(tmp_path: Path) -> None:
    proxy = Proxy(tmp_path, size_max=8192)
    proxy.write()
    proxy.miss(1, 1, 2)
    for turn in range(200):
        proxy.miss(0, *range(10 * turn, 10 * turn + 10))
        proxy.settle(0)
        proxy.keep()
        assert proxy.file.saver.is_complete
    assert proxy.file.saver.failures == 0
    killed(proxy)
    assert keys_of(tmp_path) == [keys(), keys(1, 2)]


def test_a_removed_file_is_made_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    proxy = Proxy(tmp_path)
    proxy.write()
    proxy.miss(0, 1)
    (tmp_path / "journal").unlink()
    proxy.miss(0, 2)
    proxy.keep()
    assert f"journal file {tmp_path / 'journal'} was removed" in caplog.text
    proxy.miss(0, 3)
    killed(proxy)
    assert keys_of(tmp_path) == [keys(1, 2, 3), keys()]


def test_a_file_that_was_removed_at_the_end_proves_nothing(tmp_path: Path) -> None:
    proxy = Proxy(tmp_path)
    proxy.write()
    proxy.miss(0, 1)
    (tmp_path / "journal").unlink()
    killed(proxy)
    assert keys_of(tmp_path) == [None, None]


def test_nobody_else_can_read_the_keys(tmp_path: Path) -> None:
    (tmp_path / "journal").touch(0o644)
    (tmp_path / "journal.new").touch(0o644)
    proxy = Proxy(tmp_path)
    proxy.write()
    assert (tmp_path / "journal").stat().st_mode & 0o777 == 0o600
    proxy.miss(0, 1)
    proxy.file.saver.distrust()
    proxy.keep()
    assert (tmp_path / "journal").stat().st_mode & 0o777 == 0o600
    killed(proxy)


# ---- its owner ----


def test_two_proxies_do_not_share_a_file_also_after_it_was_made_anew(tmp_path: Path) -> None:
    proxy = Proxy(tmp_path)
    for _ in range(2):
        with pytest.raises(BlockingIOError, match=r"another proxy uses it.*journal"):
            StateFile(tmp_path / "other", tmp_path / "journal", boot="boot")
        proxy.write()
        proxy.file.saver.distrust()
        proxy.keep()
    killed(proxy)
    StateFile(tmp_path / "other", tmp_path / "journal", boot="boot").close()


def test_a_file_that_cannot_be_had_is_named(tmp_path: Path) -> None:
    foreign = tmp_path / "letter"
    foreign.write_text("Dear reader")
    for path, why in (
        (foreign, "no journal file|not a journal file"),
        (tmp_path / "nowhere" / "journal", "No such file"),
        (tmp_path / "state.words", "part of the state file"),
    ):
        with pytest.raises(OSError, match=why) as caught:
            StateFile(tmp_path / "state", path, boot="boot")
        assert caught.value.filename == str(path)
    assert foreign.read_text() == "Dear reader"
    with pytest.raises(OSError, match="boots"):
        StateFile(tmp_path / "state", tmp_path / "journal", boot="")
    StateFile(tmp_path / "state", tmp_path / "journal", boot="boot").close()


# ---- laws ----

_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("miss"), st.integers(0, 1), st.integers(0, 300), st.integers(1, 60)),
        st.tuples(st.just("settle"), st.integers(0, 1)),
        st.tuples(st.just("clear"), st.integers(0, 1)),
        st.tuples(st.just("keep")),
        st.tuples(st.just("kill")),
    ),
    max_size=30,
)


@settings(deadline=None)
@given(steps=_STEPS, size_max=st.sampled_from([4096, 1 << 20]), seed=st.integers(0, 5))
def test_each_missed_key_is_known_or_its_server_is_known_to_be_unknown(
    steps: list[tuple[object, ...]], size_max: int, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("journal")
    proxy, rng = Proxy(directory, size_max), Random(seed)
    proxy.write()
    missed: list[set[tuple[bytes, bool]]] = [set(), set()]
    for name, *values in steps:
        if name == "miss":
            server, first, count = values
            assert isinstance(server, int) and isinstance(first, int) and isinstance(count, int)
            numbers = range(first, first + count)
            proxy.miss(server, *rng.sample(numbers, count))
            missed[server].update(map(key, numbers))
        elif name in ("settle", "clear"):
            [server] = values
            assert isinstance(server, int)
            if name == "settle":
                proxy.settle(server)
            else:
                proxy.engine.journal(server).clear()
            missed[server].clear()
        elif name == "keep":
            proxy.keep()
        else:
            killed(proxy)
            proxy = Proxy(directory, size_max)
            for server, past in enumerate(proxy.state.pasts):
                assert past.keys is None or past.keys >= missed[server]
                # As the supervision does; a server whose keys are unknown is flushed.
                missed[server] = set(past.keys or ())
                proxy.engine.journal(server).recall(missed[server])
            proxy.write()
    killed(proxy)
    for server, known in enumerate(keys_of(directory)):
        assert known is None or known >= missed[server]
        if size_max > 4096:
            assert known is not None
