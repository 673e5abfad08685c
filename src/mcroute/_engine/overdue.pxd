"""Timeouts: requests at their deadline, requests that are overdue, links that are silent.

A link is *silent* when it has made no progress for the server's reply timeout, though a request on it is overdue.
Progress is a whole reply, or another 4 KiB of one, so that a server that drips its replies is silent too. An overdue
request is a failure of the server only on a silent link. On a link that makes progress the server is slow: a request
may take longer than the reply timeout, at most as long as its client waits.
"""

from mcroute._engine.state cimport Engine

# Ends overdue requests and asks; sets Engine.next_check.
cdef void engine_check(Engine* engine, double now) noexcept nogil
