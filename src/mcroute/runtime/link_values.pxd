"""Links as values: their events and their status."""

from mcroute.runtime.links cimport LinkLook, LinkReport

cdef object link_event(const LinkReport* report)
cdef object link_status(const LinkLook* look)
