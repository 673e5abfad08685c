"""The commands that must not run twice and are under way: at which copy of their key.

Two of them for one key, at two copies, would both succeed: each one's undo comes behind the other one at its copy.
At one copy they run one after the other, in the order of its link.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

from mcroute._engine.state cimport Engine, OnceRuns

# NULL without memory.
cdef OnceRuns* once_runs_new() noexcept nogil
# Whether a command of the key, or of one that shares its slot, runs at another copy than this child of its node.
cdef bint once_runs_elsewhere(Engine* engine, const uint8_t* key, size_t size, int child) noexcept nogil
# Whether one looks. A later one that does not look too would overtake it: looks come and go in their order.
cdef bint once_looks(Engine* engine, const uint8_t* key, size_t size) noexcept nogil
cdef void once_look_begins(Engine* engine, const uint8_t* key, size_t size) noexcept nogil
cdef void once_look_ends(Engine* engine, const uint8_t* key, size_t size) noexcept nogil
# A command of the key runs at this child, until the call of once_run_ends.
cdef void once_run_begins(Engine* engine, const uint8_t* key, size_t size, int child) noexcept nogil
cdef void once_run_ends(Engine* engine, const uint8_t* key, size_t size) noexcept nogil
