"""The keys that a server took as a stand-in for others."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, malloc

from mcroute._engine.deletes cimport deletes_of
from mcroute._engine.taken cimport (
    taken_begin, taken_clear, taken_count, taken_distrust, taken_settle, taken_take,
)
from mcroute._protocol cimport KEY_MAX


cdef class TakenKeys:
    """The keys that one server took as a stand-in. Any thread may use it, while engines note keys.

    A key is due when a server that it belongs to may have served since. A cleaning deletes the due keys from the
    stand-in: `begin`; then wait until the stand-in has answered all that was sent to it before; then `take` until there
    are none, and `settle`.
    """

    @staticmethod
    cdef TakenKeys of(Taken* taken, object owner):
        cdef TakenKeys made = TakenKeys.__new__(TakenKeys)
        made.taken = taken
        made.owner = owner
        return made

    def __len__(self):
        """The number of keys."""
        return taken_count(self.taken)

    def distrust(self, double until):
        """Before this time of the engine's clock, requests for other keys than the noted ones are not sent there."""
        taken_distrust(self.taken, until)

    def begin(self):
        """Begins a cleaning of the present keys. Returns whether any of them is due."""
        cdef bint is_due
        with nogil:
            is_due = taken_begin(self.taken)
        return bool(is_due)

    def take(self, uint32_t limit):
        """The requests that delete the next due keys, at most `limit`: a list of bytes.

        Their replies are DELETED or NOT_FOUND, HD or NF. Raises MemoryError.
        """
        cdef uint8_t* taken = <uint8_t*>malloc(limit * <size_t>(KEY_MAX + 2) + 1)
        cdef uint32_t count
        if taken == NULL:
            raise MemoryError
        try:
            with nogil:
                count = taken_take(self.taken, limit, taken)
            return deletes_of(taken, count)
        finally:
            free(taken)

    def settle(self):
        """Forgets the keys that were taken and deleted, but for those noted again meanwhile. Returns how many."""
        cdef uint32_t count
        with nogil:
            count = taken_settle(self.taken)
        return count

    def clear(self):
        """Forgets all keys: the server is no stand-in any more."""
        taken_clear(self.taken)
