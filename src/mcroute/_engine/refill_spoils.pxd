"""A write of a key spoils the refills that have read the key at their source, and have not added it yet."""

from mcroute._engine.state cimport Walk

# The ask is sent to a server. Call while Engine.refills_reading is not 0.
cdef void refills_spoil(Walk* walk) noexcept nogil
