"""The disk of a simulated router: real files, which a loss of power sets back to what was synced."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ..policy import Limits
from ..proxy.state_file import StateFile
from ..runtime.interfaces import Journal

if TYPE_CHECKING:
    from ..proxy.journal_file import JournalFile

__all__ = ("Disk",)


class Disk:
    """The files of one router in `directory`; with a journal file if `has_journal`, where possible."""

    def __init__(self, directory: str, name: str, limits: Limits | None, has_journal: bool) -> None:
        self._path = os.path.join(directory, f"{name}.state")
        can_save = find_spec("mcroute._loop.threads") is not None
        self._journal = os.path.join(directory, f"{name}.journal") if has_journal and can_save else None
        self._limits = limits
        self._boots = 0
        self._synced: dict[str, bytes] = {}

    def open(self) -> StateFile:
        """As a starting process does."""
        return _State(self, self._path, self._journal, self._limits, boot=f"boot-{self._boots}")

    def synced(self, path: str) -> None:
        """The system has written the file to the disk."""
        with open(path, "rb") as file:
            self._synced[path] = file.read()

    def lose_power(self) -> None:
        """Without a process."""
        self._boots += 1
        for path in (self._path, self._journal):
            if path is not None and path in self._synced:
                with open(path, "wb") as file:
                    file.write(self._synced[path])
            elif path is not None and os.path.exists(path):
                os.unlink(path)
        words = f"{self._path}.words"
        if os.path.exists(words):
            # Nobody syncs them: any content is possible.
            os.truncate(words, 0)


class _State(StateFile):
    def __init__(
        self, disk: Disk, path: str, journal: str | None, limits: Limits | None, *, boot: str
    ) -> None:
        self._disk = disk
        super().__init__(path, journal, limits, boot=boot)

    def _journal_at(self, path: str, size_max: int) -> JournalFile:
        from ..proxy.journal_file import JournalFile  # noqa: PLC0415

        disk = self._disk

        class _Journal(JournalFile):
            def keep(self, failures: int, journals: Mapping[int, Journal]) -> None:
                super().keep(failures, journals)
                disk.synced(self.path)

        return _Journal(path, size_max)

    def sync(self) -> None:
        super().sync()
        self._disk.synced(self.path)
