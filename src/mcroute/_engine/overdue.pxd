"""Time: requests at their deadline, requests that are overdue, links that are silent.

A link is *silent* when it has shown no sign of life for the server's reply timeout, though a request on it is
overdue. A sign of life is a whole reply, or another 4 KiB of one, so that a server which drips its replies is
silent too. Only what is overdue on a silent link is a failure of the server; on a link with signs of life the
server is slow, and takes longer than the reply timeout at most as long as its clients wait.
"""

from mcroute._engine.state cimport Engine

# Ends what is overdue; sets Engine.next_check.
cdef void engine_check(Engine* engine, double now) noexcept nogil
