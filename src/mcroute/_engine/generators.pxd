"""Runs users' generators: `steps` is sent what its children came to, and yields what to do next."""

from mcroute._engine.state cimport RouteEvent, RouteOrders

cdef class RouteRunner:
    """The generators that are under way for one engine; custom.pxd says who calls what, in which thread."""

    cdef dict running           # serial of the route -> _Run
    cdef RouteEvent* untold
    cdef RouteEvent* last_untold
    cdef RouteOrders given
    cdef list said              # the bytes that orders point into
    cdef double now
    cdef double due             # when the first of them has waited long enough, or sooner

    # Takes over events that routes_take gave, NULL included.
    cdef void feed(self, RouteEvent* events) noexcept
    # Tells the generators what has happened, and resumes those that have waited long enough. What they raise is
    # logged; only what is no Exception (KeyboardInterrupt) comes out, and `step` is due again at once.
    cdef step(self, double now)
    # For routes_apply.
    cdef RouteOrders* orders(self) noexcept
    # When `step` is due without events; infinity if it is not.
    cdef double next_due(self) noexcept
    # Closes all generators, and begins none of those that it has been fed. Orders remain to be applied.
    cdef close(self)
