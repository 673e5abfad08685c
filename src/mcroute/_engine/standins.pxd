"""Stand-ins: servers that are asked while others are out of service, and keep what they take for a short time only."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

from mcroute._engine.state cimport ClientRequest, PlanNode

# Whether the child of this index may be asked for the key in the place of the children before it. If the request may
# leave an item there, the key is noted first.
cdef bint standin_takes(
    ClientRequest* request, PlanNode* gutter, int child, const uint8_t* key, size_t size
) noexcept nogil
