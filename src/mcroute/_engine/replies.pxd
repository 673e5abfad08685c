"""What servers send: replies matched to the requests that they belong to."""

from mcroute._engine.state cimport Link, Server

# Takes what has arrived on the link; on any doubt about what belongs to what, the link is broken.
cdef void link_input(Link* link) noexcept nogil
# The connection is gone: everything expected on it ends as lost.
cdef void link_lost(Link* link) noexcept nogil
# What waits on a server that has tripped, on whatever engine, fails over, unless the server is in service again.
cdef void server_fail_over(Server* server) noexcept nogil
# Ends what is overdue on the link; returns when to look again.
cdef double link_check(Link* link, double now) noexcept nogil
