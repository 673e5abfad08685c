"""What the supervising thread is told of links: what has happened to them, and how they are."""

from mcroute._loop.links cimport LinkLook
from mcroute._loop.state cimport LinkReport

cdef object link_news(LinkReport* report)
cdef object link_facts(LinkLook* look)
