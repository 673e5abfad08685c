"""The keys that a server took as a stand-in, as the supervision uses them."""

from mcroute._engine.taken cimport Taken

cdef class TakenKeys:
    cdef Taken* taken
    cdef object owner           # keeps it alive

    @staticmethod
    cdef TakenKeys of(Taken* taken, object owner)
