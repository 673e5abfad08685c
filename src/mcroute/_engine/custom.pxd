"""Routes written in Python: their walks stop here, and go on when their generators say how."""

from mcroute._engine.blocks cimport Slice
from mcroute._engine.state cimport Engine, Walk

# A walk has reached a python node, or one of its children has ended: the interpreter will be told.
cdef void route_begin(Walk* walk) noexcept nogil
cdef void route_child_ended(Walk* walk, int number, int outcome, Slice reply) noexcept nogil
# Ends what is left undone, as lost.
cdef void routes_abandon(Engine* engine) noexcept nogil

cdef class RouteRunner:
    """The generators that are under way in one engine."""

    cdef Engine* engine
    cdef dict running           # address of the walk -> _Run

    # Tells the generators what has happened, until nothing is left to tell.
    cdef run(self)
    # Ends those whose requests are over, and whose waiting is.
    cdef check(self)
    cdef abandon(self)
