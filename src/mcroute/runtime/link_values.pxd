"""Links as values: what has happened to them, and how they are."""

from mcroute.runtime.links cimport LinkLook, LinkReport

cdef object link_event(const LinkReport* report)
cdef object link_status(const LinkLook* look)
