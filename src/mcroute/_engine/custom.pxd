"""Routes written in Python: their walks stop here, and go on as the users' generators order.

The generators may run in another thread than the engine. The engine sends a route events, and receives its orders.
Both pass between the threads in lists, and neither thread reads the other's data.

    engine's thread, no GIL                        the interpreter's thread, with a RouteRunner for this engine
    -----------------------                        -------------------------------------------------------------
    a turn ends with Engine.events: wakes it  ->
    events = routes_take(engine)              ->   runner.feed(events); runner.step(now)
    routes_apply(engine, orders, now)         <-   orders = runner.orders()

  * Both functions are the engine's thread's alone: they count references to blocks and plans, which others must not.
  * Events do not change, and their bytes stay valid, until routes_apply gets them back with the orders: every list
    that was taken has to be fed, and the orders of every step applied, before the next step.
  * The orders use memory of the runner, and of Python objects that it refers to: do not call the runner until
    routes_apply has returned. routes_apply empties the orders.
  * `step` is due when there are events, and at RouteRunner.next_due(), when a route has waited long enough.
  * The engine keeps the deadlines, however long the interpreter takes: at its deadline the request is answered, its
    route is over, and later orders of the route have no effect. The Route and its plan stay until the runner, which
    receives ROUTE_OVER, has ended the route. Engine.routes_max bounds the Routes; further requests are refused.
  * A plan may be replaced meanwhile: a Route counts as a reference to its PlanTable, whose owner keeps the user's
    object. PlanTable.refs is to be read in the engine's thread. The runner holds a reference of its own.
  * The end of an engine: feed what was taken, runner.close(), routes_apply, engine_free.
"""

from mcroute._engine.blocks cimport Slice
from mcroute._engine.state cimport Engine, PlanNode, RouteEvent, RouteOrders, Walk

# A walk has reached a python node, or one of its children has ended: adds an event for the interpreter.
cdef void route_begins(Walk* walk, PlanNode* node) noexcept nogil
cdef void route_child_ends(Walk* walk, int number, int outcome, Slice reply) noexcept nogil

# Takes the events since the last call, oldest first; NULL if there are none.
cdef RouteEvent* routes_take(Engine* engine) noexcept nogil
# Carries the orders out, and takes events back.
cdef void routes_apply(Engine* engine, RouteOrders* orders, double now) noexcept nogil
# Ends routes whose deadlines have come. Returns the next deadline.
cdef double routes_check(Engine* engine, double now) noexcept nogil
# Ends all routes with the outcome LOST, and frees those whose events were not taken.
cdef void routes_end(Engine* engine) noexcept nogil
