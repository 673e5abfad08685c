from mcroute._engine.journals import JournalSaver

class FileSaver(JournalSaver):
    """Saves journals in a file of at most `size_max` bytes. `memory` is for its two words, of 8 bytes each.

    The file `fd` has `size` bytes and the number `serial`. The caller keeps its descriptors; here are duplicates.
    Raises OSError without a descriptor for that.
    """

    def __new__(cls, memory: memoryview, size_max: int) -> FileSaver: ...
    def begin(self, fd: int, size: int, serial: int) -> None:
        """Makes a further file, which gets each record from now on; call `append`, then `finish` or `abandon`."""
    def append(self, records: bytes) -> bool:
        """Appends whole records to the further file. Returns False if a record of it could not be written."""
    def finish(self, failures: int) -> bool:
        """Replaces the file by the further one; with the earlier value of `failures`, see `is_complete`.

        Returns False, and changes nothing, if a record of it could not be written.
        """
    def abandon(self) -> None:
        """Gives the further file up."""
    def distrust(self) -> None:
        """Notes that the file proves nothing, until a further one replaces it."""
    def close(self) -> None:
        """Saves nothing more. The words are another process's from now on."""
    @property
    def size(self) -> int:
        """The file's size, in bytes."""
    @property
    def serial(self) -> int:
        """The file's number."""
    @property
    def is_complete(self) -> bool:
        """Whether the file has every record, as far as the next process knows."""
    @property
    def failures(self) -> int:
        """How often a record could not be written; only grows."""
    @property
    def error(self) -> int:
        """The number of the last error, as in `errno`: EFBIG without room below `size_max`."""
