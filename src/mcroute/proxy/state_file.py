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
from typing import Any

from ..policy import Past

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ("StateFile", "lent_state")

FORMAT = 1
WORDS_MAX = 4096
LINE = 64  # bytes: the size of the head, and of each word
MAGIC = b"mcroute\n"
SIZE_MAX = 16 << 20
# As in _engine/server_words.pxd: state 0 is in service; STALE; ghosts; the other bits count missed writes.
STATE_AND_STALE = 3 | 16
GHOSTS = 0xFFFFFF << 5
MISSED_SHIFT = 29

UNKNOWN = Past(frozenset(), owes=True)

log: logging.Logger = logging.getLogger("mcroute")


class StateFile:
    """Opens and locks the file at this path, and reads the entries of an earlier process: `pasts`.

    `memory` is for the engine's words. Raises OSError if the file is not available, BlockingIOError if
    another proxy uses it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
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
            self.pasts: list[Past] = self._load()
            # From now on the words are about other servers: they mean nothing until the text is written.
            (self._generation,) = struct.unpack("=Q", os.urandom(8))
            self._map[:16] = MAGIC + struct.pack("=Q", self._generation)
            self.memory: memoryview[int] = memoryview(self._map)[LINE:]
            self._check_writable()
        except BaseException:
            os.close(self._fd)
            raise
        self._is_failing = False

    def _mapped(self, path: str) -> mmap.mmap:
        # A map keeps its descriptor open. The lock is on another descriptor, so that `close` ends the lock.
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            return mmap.mmap(fd, LINE * (1 + WORDS_MAX))
        finally:
            os.close(fd)

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
            return [self._past(entry, raw) for entry in raw["servers"]]
        except FileNotFoundError:
            return []
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("state file %s cannot be read (%r): every server is flushed first", self.path, error)
            return [UNKNOWN]

    def _past(self, entry: Mapping[str, Any], raw: Mapping[str, Any]) -> Past:
        place = frozenset(
            end if isinstance(end, str) else (str(end[0]), int(end[1])) for end in entry["place"]
        )
        lost, owes = frozenset(map(str, entry["lost"])), bool(entry["owes"])
        if raw["is_clean"]:
            return Past(place, owes, lost)
        # After a kill, requests in flight may still be executed.
        lost |= frozenset(map(str, entry["connections"]))
        if entry["id"] is not None and not owes and raw["boot"] == _boot():
            owes = not self._is_in_order(int(entry["id"]), int(entry["missed"]), int(raw["generation"]))
        return Past(place, owes, lost)

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
    ) -> None:
        """Replaces the text; `connections` are the open ones by id. `is_durable` also calls `sync`."""
        servers = [
            {
                "place": sorted(past.place, key=str),
                "id": past.id,
                "missed": past.missed,
                "owes": past.owes,
                "lost": sorted(past.lost),
                "connections": sorted(connections.get(past.id, ())) if past.id is not None else [],
            }
            for past in pasts
        ]
        raw = {
            "format": FORMAT,
            "generation": self._generation,
            "boot": _boot(),
            "pid": os.getpid(),
            "is_clean": is_clean,
            "servers": servers,
        }
        try:
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
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


@contextlib.contextmanager
def lent_state(path: str | os.PathLike[str] | None) -> Iterator[StateFile | None]:
    """The state file at this path, None without a path; closes the file only if the block fails."""
    state = StateFile(path) if path is not None else None
    try:
        yield state
    except BaseException:
        if state is not None:
            state.close()
        raise


def _boot() -> str:
    """Identifies this boot of the system: memory does not survive the boot."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""
