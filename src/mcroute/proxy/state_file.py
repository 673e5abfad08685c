"""The state file: a proxy's knowledge of its servers, for the next process.

The text file has a companion of words (`FILE.words`) that the engines change in place: the kernel keeps
the words when the process is killed, at any moment. The text names the server of each word; it is
replaced as a whole.
"""

from __future__ import annotations

import contextlib
import json
import logging
import mmap
import os
import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import astuple, replace
from typing import TYPE_CHECKING, Any

from ..policy import Limits, Past, Process

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from .journal_file import JournalFile, Saved

__all__ = ("StateFile", "lent_state")

FORMAT = 1
WORDS_MAX = 4096
LINE = 64  # bytes: the size of the head, and of each word
MAGIC = b"mcroute\n"
JOURNAL_WORDS = slice(16, 32)  # of the head: for the journal file
SIZE_MAX = 16 << 20
# As in _engine/server_words.pxd: state 0 is in service; STALE; ghosts; the other bits count missed writes.
STATE_AND_STALE = 3 | 16
GHOSTS = 0xFFFFFF << 5
MISSED_SHIFT = 29

UNKNOWN = Past(frozenset(), owes=True)

log: logging.Logger = logging.getLogger("mcroute")


class StateFile:
    """Opens and locks the file at this path, and reads the entries of an earlier process: `pasts`.

    `memory` is for the engine's words. With a path `journal` the keys that servers missed are kept in that
    file, bounded by the `limits`. `boot` identifies this boot of the system, for tests.

    Raises OSError, with the path, if a file is not available, BlockingIOError if another proxy uses it.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        journal: str | os.PathLike[str] | None = None,
        limits: Limits | None = None,
        *,
        boot: str | None = None,
    ) -> None:
        if fcntl is None:
            raise OSError("a state file needs a system with flock")
        self.path: str = os.fspath(path)
        words = f"{self.path}.words"
        self._fd = os.open(words, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BlockingIOError(error.errno, "another proxy uses it") from None
            os.ftruncate(self._fd, LINE * (1 + WORDS_MAX))
            self._map = self._mapped(words)
            self._boot = _boot() if boot is None else boot
            self.journal: JournalFile | None = None
            if journal is not None:
                self.journal = self._opened_journal(os.fspath(journal), limits or Limits())
            self.pasts: list[Past] = self._load()
            # From now on the words are about other servers: they mean nothing until the text is written.
            (self._generation,) = struct.unpack("=Q", os.urandom(8))
            self._map[:16] = MAGIC + struct.pack("=Q", self._generation)
            self.memory: memoryview[int] = memoryview(self._map)[LINE:]
            self._check_writable()
            if self.journal is not None:
                with _naming(self.journal.path):
                    self.journal.begin(memoryview(self._map)[JOURNAL_WORDS], self._generation, self._boot)
        except BaseException:
            self.close()
            raise
        self._is_failing = False

    def _mapped(self, path: str) -> mmap.mmap:
        # A map keeps its descriptor open. The lock is on another descriptor, so that `close` ends the lock.
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            return mmap.mmap(fd, LINE * (1 + WORDS_MAX))
        finally:
            os.close(fd)

    def _opened_journal(self, path: str, limits: Limits) -> JournalFile:
        with _naming(path):
            if os.path.realpath(path) in {
                os.path.realpath(self.path + end) for end in ("", ".words", ".new")
            }:
                raise OSError(0, "it is a part of the state file")
            if not self._boot:
                raise OSError(0, "this system does not tell its boots apart")
            return self._journal_at(path, limits.journal_size_max)

    def _journal_at(self, path: str, size_max: int) -> JournalFile:
        try:
            # Imported late: it needs Linux.
            from .journal_file import JournalFile  # noqa: PLC0415
        except ImportError:
            raise OSError(0, "a journal file needs Linux") from None
        return JournalFile(path, size_max)

    def _check_writable(self) -> None:
        probe = f"{self.path}.new"
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        os.unlink(probe)

    # ---- what was left ----

    def _load(self) -> list[Past]:
        try:
            with open(self.path, "rb") as file:
                text = file.read(SIZE_MAX)
            raw = json.loads(text)
            if raw["format"] != FORMAT:
                raise ValueError(f"format {raw['format']}")
            saved = self._saved(raw)
            return [self._past(entry, raw, saved) for entry in raw["servers"]]
        except FileNotFoundError:
            return []
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("state file %s cannot be read (%r): every server is flushed first", self.path, error)
            return [UNKNOWN]

    def _saved(self, raw: Mapping[str, Any]) -> Saved | None:
        """The journals of the earlier process; None if it had no journal file, or that proves nothing."""
        if self.journal is None or not raw.get("has_journal"):
            return None
        generation = int(raw["generation"])
        words = struct.unpack("=QQ", self._map[JOURNAL_WORDS])
        if self._map[:16] != MAGIC + struct.pack("=Q", generation):
            # Its first record may be missing: the words of another process tell nothing about the file.
            words = (0, 1)
        return self.journal.load(generation, self._boot, words)

    def _past(self, entry: Mapping[str, Any], raw: Mapping[str, Any], saved: Saved | None) -> Past:
        place = frozenset(
            end if isinstance(end, str) else (str(end[0]), int(end[1])) for end in entry["place"]
        )
        lost, owes = frozenset(map(str, entry["lost"])), bool(entry["owes"])
        is_clean, is_of_boot, number = bool(raw["is_clean"]), raw["boot"] == self._boot, entry["id"]
        if not is_clean:
            # After a kill, requests in flight may still be executed.
            lost |= frozenset(map(str, entry["connections"]))
        if not is_clean and number is not None and not owes:
            if is_of_boot:
                owes = not self._is_in_order(int(number), int(entry["missed"]), int(raw["generation"]))
            else:
                owes = saved is not None and int(number) in saved.journals
        is_outdated = not is_clean and not is_of_boot and bool(raw.get("has_journal"))
        past = Past(place, owes, lost, is_outdated=is_outdated)
        # Killed, a process may have answered clients before all copies had: their keys are nowhere.
        is_told = is_of_boot and (is_clean or not raw.get("answers_early", True))
        if owes and number is not None and is_told and saved is not None and saved.is_whole:
            keys = saved.journals.get(int(number), frozenset())
            past = replace(past, keys=keys, process=_process(entry.get("process")))
        return past

    def _is_in_order(self, number: int, missed: int, generation: int) -> bool:
        """Whether the engine's last word on a server says that it serves and has missed nothing."""
        if self._map[:16] != MAGIC + struct.pack("=Q", generation) or not 0 <= number < WORDS_MAX:
            return False
        (bits,) = struct.unpack_from("=Q", self._map, LINE * (1 + number))
        return not bits & (STATE_AND_STALE | GHOSTS) and bits >> MISSED_SHIFT == missed

    # ---- what is left ----

    def write(
        self,
        pasts: Sequence[Past],
        connections: Mapping[int, Collection[str]],
        *,
        is_clean: bool = False,
        is_durable: bool = False,
        answers_early: bool = True,
    ) -> None:
        """Replaces the text; `connections` are the open ones by id. `is_durable` also calls `sync`.

        `answers_early`: clients may have their answers before all servers have answered.
        """
        servers = [
            {
                "place": sorted(past.place, key=str),
                "id": past.id,
                "missed": past.missed,
                "owes": past.owes,
                "lost": sorted(past.lost),
                "connections": sorted(connections.get(past.id, ())) if past.id is not None else [],
                "process": astuple(past.process) if past.process is not None else None,
            }
            for past in pasts
        ]
        raw = {
            "format": FORMAT,
            "generation": self._generation,
            "boot": self._boot,
            "pid": os.getpid(),
            "is_clean": is_clean,
            "answers_early": answers_early,
            "has_journal": self.journal is not None,
            "servers": servers,
        }
        try:
            if self.journal is not None:
                # Before the text that refers to it.
                self.journal.install()
            self._replace(json.dumps(raw, indent=1).encode(), is_durable)
        except OSError as error:
            if not self._is_failing:
                log.error("state file %s cannot be written: %s", self.path, error)
            self._is_failing = True
        else:
            self._is_failing = False

    def _replace(self, text: bytes, is_durable: bool) -> None:
        fresh = f"{self.path}.new"
        with open(fresh, "wb") as file:
            file.write(text)
        os.replace(fresh, self.path)
        if is_durable:
            self.sync()

    def sync(self) -> None:
        """Returns when the text is safe from a loss of power. Any thread may call it."""
        for path in (self.path, os.path.dirname(self.path) or os.curdir):
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue
            try:
                os.fsync(fd)
            except OSError as error:
                log.error("state file %s is not on the disk: %s", self.path, error)
            finally:
                os.close(fd)

    def close(self) -> None:
        """Frees the file for another process. The memory stays: engines may still refer to it."""
        journal: JournalFile | None = getattr(self, "journal", None)
        if journal is not None:
            journal.close()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


@contextlib.contextmanager
def lent_state(
    path: str | os.PathLike[str] | None,
    journal: str | os.PathLike[str] | None = None,
    limits: Limits | None = None,
) -> Iterator[StateFile | None]:
    """The state file at this path, None without a path; closes the file only if the block fails.

    `journal` is the path of a journal file, bounded by the `limits`. Raises OSError, and ValueError for a
    journal without a state file.
    """
    if journal is not None and path is None:
        raise ValueError("a journal file needs a state file")
    state = StateFile(path, journal, limits) if path is not None else None
    try:
        yield state
    except BaseException:
        if state is not None:
            state.close()
        raise


@contextlib.contextmanager
def _naming(path: str) -> Iterator[None]:
    """Puts the path into an OSError, as its file name."""
    try:
        yield
    except OSError as error:
        raise type(error)(error.errno, error.strerror or str(error), path) from error


def _process(raw: Sequence[Any] | None) -> Process | None:
    return None if raw is None else Process(int(raw[0]), int(raw[1]), float(raw[2]))


def _boot() -> str:
    """Identifies this boot of the system: memory does not survive the boot."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""
