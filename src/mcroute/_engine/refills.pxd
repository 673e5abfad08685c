"""Refills: a key is copied from one server to another, and nothing is resurrected (docs/decisions/0021-refill.md).

A refill sends one request after the other, each as an ask below the plan's refill node. It claims its key as a write
does until the value is added. Later it looks whether the source still has the item that was copied: another router's
delete may have been executed at the target before the add, and at the source after the read. Then the copy is deleted.
"""

from mcroute._engine.blocks cimport Slice
from mcroute._engine.state cimport Engine, Walk

# The ask of a refill has ended.
cdef void refill_ask_ends(Walk* walk, int number, int outcome, Slice reply) noexcept nogil
# Begins refills that are due. Sets Engine.next_check to the time of the next call at the latest.
cdef void refills_run(Engine* engine) noexcept nogil
