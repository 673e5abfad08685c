"""Servers that fail: the trip rule ejects them, and the requests that wait on them fail over."""

from libc.stdint cimport uint32_t

from mcroute._engine.state cimport Link, Server

# Fails over the requests that wait on a server since any engine has ejected it, unless it is in service again.
cdef void server_fail_over(Server* server) noexcept nogil
# Fails over the requests that wait on a server which is out of service for any reason.
cdef void server_abandon(Server* server) noexcept nogil
# Counts failures. The caller compares Server.failures with trip_after, and calls server_trip.
cdef void server_count_failures(Server* server, uint32_t more) noexcept nogil
# Ejects the server, unless it is protected.
cdef void server_trip(Server* server) noexcept nogil
# The link is closed: all requests expected on it end as LOST, or as EJECTED if they were not sent. `is_ours`: no
# failure of the server, because this process had no descriptor or memory for the connection.
cdef void link_fail_expected(Link* link, bint is_ours) noexcept nogil
