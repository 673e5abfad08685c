"""A server's journal: the keys of writes that did not reach the server, while another copy may have taken them."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from mcroute._engine.deletes cimport deletes_of
from mcroute._engine.journal cimport (
    journal_begin, journal_clear, journal_is_idle, journal_is_unsaved, journal_leave_unsaved, journal_look,
    journal_note, journal_settle, journal_take,
)
from mcroute._engine.server_words cimport mcroute_load, mcroute_swap, word_miss
from mcroute._engine.taken_keys cimport TakenKeys
from mcroute._protocol cimport KEY_MAX


cdef void _set(uint64_t* bound, uint64_t value) noexcept nogil:
    while not mcroute_swap(bound, mcroute_load(bound), value):
        pass


cdef void journals_bound(JournalBounds* bounds, limits) except *:
    _set(&bounds.keys_max, limits.journal_keys_max)
    _set(&bounds.memory_max, limits.journal_memory_max)


cdef class JournalSaver:
    """Saves the journals of an engine for the next process. Its methods need no interpreter."""


cdef class ServerJournal:
    """The journal of one server. Any thread may use it, while engines append to it.

    A replay deletes the keys from the server: `begin`, then `take` until there are none and `settle` succeeds.
    """

    @staticmethod
    cdef ServerJournal of(Journal* journal, ServerWord* word, object owner):
        cdef ServerJournal made = ServerJournal.__new__(ServerJournal)
        made.journal = journal
        made.word = word
        made.owner = owner
        return made

    def __len__(self):
        """The number of keys."""
        return journal_look(self.journal).count

    @property
    def is_overflowed(self):
        """Whether keys are missing, for lack of room or since they are unknown, as those of a flush_all."""
        return bool(journal_look(self.journal).is_overflowed)

    @property
    def overflows(self):
        """How often the journal has overflowed; only grows."""
        return journal_look(self.journal).overflows

    @property
    def taken(self):
        """The `TakenKeys` of the server: the keys that it took as a stand-in."""
        return TakenKeys.of(self.journal.taken, self.owner)

    @property
    def is_idle(self):
        """Whether the next process needs no key of the server: none is in the journal, and no write has timed out."""
        return bool(journal_is_idle(self.journal, self.word))

    @property
    def is_unsaved(self):
        """Whether keys are not saved for the next process."""
        return bool(journal_is_unsaved(self.journal))

    def leave_unsaved(self):
        """Saves no more keys for the next process until the journal is emptied."""
        journal_leave_unsaved(self.journal)

    def recall(self, keys):
        """Notes keys that the server missed in an earlier process, pairs of a key and whether it is in base64.

        Counts that as one missed write, even without keys.
        """
        cdef bytes key
        cdef bint is_base64
        for key, is_base64 in keys:
            if not 0 < len(key) <= KEY_MAX:
                raise ValueError(f"a key of {len(key)} bytes")
            journal_note(self.journal, key, len(key), is_base64, False)
        word_miss(self.word)

    def begin(self):
        """Begins a replay from the first key on."""
        journal_begin(self.journal)

    def take(self, uint32_t limit):
        """The requests that delete the next keys of the replay, at most `limit`: a list of bytes.

        Their replies are DELETED or NOT_FOUND, HD or NF. Raises MemoryError.
        """
        cdef uint8_t* taken = <uint8_t*>malloc(limit * <size_t>(KEY_MAX + 2) + 1)
        cdef uint32_t count
        if taken == NULL:
            raise MemoryError
        try:
            with nogil:
                count = journal_take(self.journal, limit, taken)
            return deletes_of(taken, count)
        finally:
            free(taken)

    def settle(self, bint restores):
        """Empties the journal if all keys are taken; call when they are deleted. `restores`: the server serves again.

        Returns the server's number of missed writes that are settled by that; None if there are keys to be taken, or
        the journal is overflowed.
        """
        cdef uint64_t missed = 0
        if not journal_settle(self.journal, self.word, restores, &missed):
            return None
        return missed

    def clear(self):
        """Empties the journal, after a flush of the server and before it serves again."""
        journal_clear(self.journal)
