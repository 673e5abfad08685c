"""Hedged reads: a read that a copy has not answered for `Server.hedge_after` is asked of the next copy too.

The first hit wins; a miss or an error of one copy waits for the other one. The late ask runs on, and its end counts for
its server as any: a server that answers nothing fails as fast as without hedges.

A hedge costs a token, except on a *stalled* link: its server answers nothing for several times that time, while other
servers of its pool do. Then each read that queues there is hedged at the next check, so that clients of a server that
has stopped do not wait until it is ejected. The stalled server stays in service; its first reply ends the stall.
"""

from mcroute._engine.state cimport Link

# Hedges the reads on the link that are due.
cdef void link_hedge(Link* link, double now) noexcept nogil
# The time of the next call; infinity: none is needed.
cdef double link_hedge_due(Link* link, double now) noexcept nogil
