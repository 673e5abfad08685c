"""Servers that fail: the trip rule takes them out of service, and what waits on them goes on elsewhere."""

from libc.stdint cimport uint32_t

from mcroute._engine.state cimport Link, Server

# What waits on a server that has tripped, on whatever engine, fails over, unless the server is in service again.
cdef void server_fail_over(Server* server) noexcept nogil
# So many failures at once, which are counted alone; whether it is out by them is server_trip's caller's to see.
cdef void server_count_failures(Server* server, uint32_t more) noexcept nogil
# Takes the server out of service, unless it is the last of a pool.
cdef void server_trip(Server* server) noexcept nogil
# The connection is gone: everything expected on it ends as lost, or as not sent. It was the server's doing, or that of
# this process, which had no descriptor or memory left for it.
cdef void link_drop_expected(Link* link, bint is_ours) noexcept nogil
