"""Runs users' generators: `steps` receives its children's replies, and yields its next step."""

from mcroute._engine.state cimport RouteEvent, RouteOrders

cdef class RouteRunner:
    """The running generators of one engine; custom.pxd says which thread calls which function."""

    cdef dict running           # serial of the route -> _Run
    cdef RouteEvent* pending
    cdef RouteEvent* last_pending
    cdef RouteOrders given
    cdef list order_data        # the bytes that orders point into
    cdef double now
    cdef double due             # time at which the first Wait ends, or an earlier one

    # Takes the events from routes_take, which may be NULL, until orders() returns them.
    cdef void feed(self, RouteEvent* events) noexcept
    # Passes the events to the generators, and resumes those whose Wait has ended. Logs their Exceptions; another
    # BaseException (KeyboardInterrupt) propagates, and `step` is due again at once.
    cdef step(self, double now)
    # For routes_apply.
    cdef RouteOrders* orders(self) noexcept
    # The time at which `step` is due without new events; infinity if it is not.
    cdef double next_due(self) noexcept
    # Closes all generators, and begins none for the events that remain. The orders are still to be applied.
    cdef close(self)
