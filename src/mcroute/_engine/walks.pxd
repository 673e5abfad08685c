"""Walking the plan: which server is asked next, and what the request is answered in the end."""

from mcroute._engine.blocks cimport Slice
from mcroute._engine.state cimport Request, Walk

# Begins the request at the root of its plan. The request may be answered, and gone, on return.
cdef void walk_begin(Request* request) noexcept nogil
# An ask has ended. The reply is referred to where it is kept; an empty slice where no server answered.
cdef void walk_end(Walk* walk, int outcome, Slice reply) noexcept nogil
# The request's deadline has come: answers it as a timeout, and orphans what is still in flight for it.
cdef void walk_expire(Request* request) noexcept nogil
