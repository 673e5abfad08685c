"""Walking the plan: which server is asked next, and what the request is answered in the end."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

from mcroute._engine.blocks cimport Slice
from mcroute._engine.state cimport Engine, Request, Walk

# Begins the request at the root of its plan. The request may be answered, and gone, on return.
cdef void walk_begin(Request* request) noexcept nogil
# Begins what has waited behind a key that is held no more; due at the end of whatever may have ended a request.
cdef void walks_resume(Engine* engine) noexcept nogil
# An ask has ended. The reply is referred to where it is kept; an empty slice where no server answered.
cdef void walk_end(Walk* walk, int outcome, Slice reply) noexcept nogil
# For walks at a python node: one more child is asked, whose end is told under `number`; the walk is over,
# whatever its children still do.
cdef void walk_ask_child(Walk* walk, int child, int number) noexcept nogil
cdef void walk_end_early(Walk* walk, int outcome, Slice reply) noexcept nogil
# The key that the walk is about.
cdef const uint8_t* walk_key(Walk* walk, size_t* size) noexcept nogil
# The request's deadline has come: answers it as a timeout, and orphans what is still in flight for it.
cdef void walk_expire(Request* request) noexcept nogil
