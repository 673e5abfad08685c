"""The journal file: the keys that servers missed, for the next process.

The engines append a record for each key, before the write is counted as missed (`_loop.journal_sink`). The
kernel keeps the file's pages when the process is killed. After a loss of power the last records may lack, so
the next process uses no keys of another boot.

A head names the process that wrote the file: the file's `generation` is that of the state file, whose words
say how much of the file counts. Records name servers by their ids, which the state file explains.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import struct
import threading
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from .._loop.journal_sink import FileSaver
from ..runtime.interfaces import Journal

__all__ = ("JournalFile", "Saved", "SavedKeys")

FORMAT = 1
MAGIC = b"mcrtjrnl"
KEY_MAX = 250
# Magic, format, serial number, generation, boot.
_HEAD = struct.Struct("=8sIIQ40s")
# As in _loop/journal_sink.pyx: checksum; server, kind, size of the key.
_CHECKSUM = struct.Struct("=I")
_ABOUT = struct.Struct("=IBB")
_RECORD_SIZE = _CHECKSUM.size + _ABOUT.size
_LONGEST = _RECORD_SIZE + KEY_MAX
_KEY, _BASE64_KEY, _UNKNOWN, _EMPTY = range(4)
_SERIAL_SHIFT = 48
_CHUNK = 1 << 16
# A file is made anew when it has this share of its bound, and twice the size of the last time.
_FULL_SHARE = 0.5

# The keys of one server, each with whether it is in base64; None if not all of them are known.
SavedKeys = frozenset[tuple[bytes, bool]] | None

log: logging.Logger = logging.getLogger("mcroute")


class _Damaged(Exception):
    """The file proves nothing; the text says why."""


@dataclass(frozen=True, slots=True)
class Saved:
    """The journals of an earlier process, by server id. Servers without an entry missed nothing.

    `is_whole`: no record lacks. Otherwise the entries are of an earlier time.
    """

    journals: Mapping[int, SavedKeys]
    is_whole: bool


class JournalFile:
    """Opens and locks the file at this path. `size_max` is in bytes.

    `load` returns what an earlier process left, once; then `begin` makes the file of this process, and
    `install` puts it in the place of the earlier one. Raises OSError if the file is not available,
    BlockingIOError if another proxy uses it.
    """

    def __init__(self, path: str | os.PathLike[str], size_max: int) -> None:
        self.path: str = os.fspath(path)
        self.size_max = size_max
        self.saver: FileSaver
        self._fd = _locked(self.path)
        self._serial = 0
        self._synced = -1
        self._made_size = 0  # after it was made the last time
        self._is_failing = False
        self._failures = 0  # that were logged
        self._keeping = threading.Lock()
        self._pid = os.getpid()
        try:
            head = os.pread(self._fd, len(MAGIC), 0)
            if head and head != MAGIC:
                raise OSError(0, "it is not a journal file of mcroute")
        except BaseException:
            os.close(self._fd)
            raise

    # ---- what was left ----

    def load(self, generation: int, boot: str, words: tuple[int, int]) -> Saved | None:
        """The journals that the process of this generation left; None if the file proves nothing.

        `words` are those of that process's saver. If it ran before the last boot, the result is not whole.
        """
        try:
            journals, is_of_boot = self._read(generation, boot, words)
        except _Damaged as error:
            log.warning("journal file %s is not used: %s", self.path, error)
            return None
        return Saved(journals, is_of_boot)

    def _read(self, generation: int, boot: str, words: tuple[int, int]) -> tuple[dict[int, SavedKeys], bool]:
        head = os.pread(self._fd, _HEAD.size, 0)
        if not head:
            raise _Damaged("it is empty")
        if len(head) < _HEAD.size:
            raise _Damaged("its head is damaged")
        _, version, serial, own_generation, own_boot = _HEAD.unpack(head)
        if version != FORMAT:
            raise _Damaged(f"it has the format {version}")
        if own_generation != generation:
            raise _Damaged("another process wrote it than the state file")
        self._serial = serial
        if not boot or own_boot.rstrip(b"\0").decode() != boot:
            # The end may lack: a prefix tells which servers missed writes at all.
            return _journals(_records(_all_of(self._fd, os.fstat(self._fd).st_size), is_whole=False)), False
        place, is_incomplete = words
        size = place & ((1 << _SERIAL_SHIFT) - 1)
        if is_incomplete:
            raise _Damaged("not every key could be written to it")
        if place >> _SERIAL_SHIFT != serial & 0xFFFF:
            raise _Damaged("it was replaced")
        data = _all_of(self._fd, size)
        if len(data) < size:
            raise _Damaged(f"it has only {len(data)} of {size} bytes")
        return _journals(_records(data, is_whole=True)), True

    # ---- what is left ----

    def begin(self, words: memoryview, generation: int, boot: str) -> None:
        """Makes the file of this process, beside the earlier one, and a saver that appends to it."""
        self._generation, self._boot = generation, boot
        self.saver = FileSaver(words, self.size_max)
        earlier, self._fd = self._fd, self._make()
        try:
            self.saver.begin(self._fd, _HEAD.size, self._serial & 0xFFFF)
            self.saver.finish(self.saver.failures)
        finally:
            # Until `install` the path is locked by this descriptor.
            self._earlier: int | None = earlier

    def install(self) -> None:
        """Replaces the earlier file. Raises OSError."""
        if self._earlier is None:
            return
        os.replace(f"{self.path}.new", self.path)
        os.close(self._earlier)
        self._earlier = None

    def _make(self) -> int:
        """A new file beside the present one, with the next serial number. Raises OSError."""
        path = f"{self.path}.new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._serial += 1
            head = _HEAD.pack(MAGIC, FORMAT, self._serial, self._generation, self._boot.encode())
            if os.pwrite(fd, head, 0) < len(head):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except BaseException:
            os.close(fd)
            raise
        return fd

    def keep(self, failures: int, journals: Mapping[int, Journal]) -> None:
        """Syncs the file, or makes it anew if it grows, lacks records or was removed. Call it now and then.

        `journals` are those of all servers by id, read after `failures` of the saver. Blocks.
        """
        with self._keeping:
            if self._fd < 0:
                return
            try:
                self._look_for_failures()
                if not self._is_there():
                    log.error("journal file %s was removed or replaced: it is made anew", self.path)
                    self.saver.distrust()
                if self._is_due():
                    self._make_anew(failures, journals)
                self._sync()
            except OSError as error:
                self.saver.distrust()
                self._failed(error)
            else:
                self._worked()

    def _look_for_failures(self) -> None:
        if self.saver.failures == self._failures:
            return
        self._failures = self.saver.failures
        is_full = self.saver.error == errno.EFBIG and self.saver.size > self.size_max - _LONGEST
        self._failed(
            OSError(0, "its keys exceed proxy.journal_size_max")
            if is_full
            else OSError(self.saver.error, os.strerror(self.saver.error))
        )

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self._fd))
        except FileNotFoundError:
            return False

    def _is_due(self) -> bool:
        size = self.saver.size
        is_large = size >= _FULL_SHARE * self.size_max and size >= 2 * self._made_size
        return is_large or not self.saver.is_complete

    def _make_anew(self, failures: int, journals: Mapping[int, Journal]) -> None:
        """Keeps the keys of servers that need them. Keys without room for them are given up."""
        fd = self._make()
        try:
            # Records go to both files from here on: no key is lost between reading and replacing.
            self.saver.begin(fd, _HEAD.size, self._serial & 0xFFFF)
            is_good = all(self.saver.append(chunk) for chunk in self._kept(journals))
            os.fdatasync(fd)
            if not is_good:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.replace(f"{self.path}.new", self.path)
            if not self.saver.finish(failures):
                self.saver.distrust()
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except BaseException:
            self.saver.abandon()
            os.close(fd)
            raise
        before, self._fd = self._fd, fd
        os.close(before)
        if self._earlier is not None:
            # It could not be replaced before.
            os.close(self._earlier)
            self._earlier = None
        self._made_size = self.saver.size

    def _kept(self, journals: Mapping[int, Journal]) -> list[bytes]:
        """The records of the new file, in chunks."""
        saved = _journals(_records(_all_of(self._fd, self.saver.size), is_whole=False))
        wanted = {
            server: saved.get(server, frozenset())
            for server in saved.keys() | journals.keys()
            if server not in journals or not journals[server].is_idle
        }
        room = int(_FULL_SHARE * self.size_max) - _HEAD.size
        texts: list[bytes] = []
        for server, keys in sorted(wanted.items(), key=lambda item: len(item[1] or ())):
            journal = journals.get(server)
            text = None if keys is None else b"".join(_record(server, *key) for key in keys)
            if text is None or len(text) > room or (journal is not None and journal.is_unsaved):
                if journal is not None:
                    journal.leave_unsaved()
                text = _packed(server, _UNKNOWN)
            room -= len(text)
            texts.append(text)
        data = b"".join(texts)
        return [data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK)]

    def _sync(self) -> None:
        size = self.saver.size
        if size != self._synced:
            os.fdatasync(self._fd)
            self._synced = size

    def _failed(self, error: OSError) -> None:
        if not self._is_failing:
            log.error(
                "journal file %s cannot be written: %s: a restart would flush servers that missed writes",
                self.path,
                error.strerror or error,
            )
        self._is_failing = True

    def _worked(self) -> None:
        if self._is_failing and self.saver.is_complete:
            log.warning("journal file %s is complete again", self.path)
            self._is_failing = False

    def close(self) -> None:
        """Frees the file for another process."""
        has_lock = self._keeping.acquire(timeout=0 if os.getpid() != self._pid else 10)
        try:
            if hasattr(self, "saver"):
                self.saver.close()
            for fd in (self._fd, getattr(self, "_earlier", None)):
                if fd is not None and fd >= 0:
                    os.close(fd)
            self._fd, self._earlier = -1, None
        finally:
            if has_lock:
                self._keeping.release()


def _locked(path: str) -> int:
    """The descriptor of the file, with a lock that another proxy has not."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The proxy that had the lock may have replaced the file meanwhile.
            if os.path.samestat(os.stat(path), os.fstat(fd)):
                return fd
        except FileNotFoundError:
            pass
        except BlockingIOError as error:
            os.close(fd)
            raise BlockingIOError(error.errno, "another proxy uses it") from None
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def _all_of(fd: int, size: int) -> bytes:
    """The first `size` bytes of the file, fewer if it is shorter."""
    chunks = []
    at = 0
    while at < size and (chunk := os.pread(fd, size - at, at)):
        chunks.append(chunk)
        at += len(chunk)
    return b"".join(chunks)


def _packed(server: int, kind: int, key: bytes = b"") -> bytes:
    body = _ABOUT.pack(server, kind, len(key)) + key
    return _CHECKSUM.pack(zlib.crc32(body)) + body


def _record(server: int, key: bytes, is_base64: bool) -> bytes:
    return _packed(server, _BASE64_KEY if is_base64 else _KEY, key)


def _records(data: bytes, *, is_whole: bool) -> list[tuple[int, int, bytes]]:
    """Server, kind and key of each record. Raises _Damaged if `is_whole` and a record is damaged."""
    records = []
    at, end = _HEAD.size, len(data)
    while at < end:
        if end - at < _RECORD_SIZE:
            break
        [checksum] = _CHECKSUM.unpack_from(data, at)
        server, kind, size = _ABOUT.unpack_from(data, at + _CHECKSUM.size)
        body = data[at + _CHECKSUM.size : at + _RECORD_SIZE + size]
        if len(body) < _ABOUT.size + size or zlib.crc32(body) != checksum or kind > _EMPTY:
            break
        records.append((server, kind, body[_ABOUT.size :]))
        at += _RECORD_SIZE + size
    if at < end and is_whole:
        raise _Damaged(f"the record at {at} is damaged")
    return records


def _journals(records: Collection[tuple[int, int, bytes]]) -> dict[int, SavedKeys]:
    keys: dict[int, set[tuple[bytes, bool]]] = {}
    unknown: set[int] = set()
    for server, kind, key in records:
        if kind == _EMPTY:
            keys.pop(server, None)
            unknown.discard(server)
        elif kind == _UNKNOWN:
            keys.setdefault(server, set())
            unknown.add(server)
        else:
            keys.setdefault(server, set()).add((key, kind == _BASE64_KEY))
    return {server: None if server in unknown else frozenset(found) for server, found in keys.items()}
