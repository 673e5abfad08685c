"""Input of sessions: requests out of bytes, each started on the plan that is installed at that moment."""

from mcroute._engine.state cimport Session

# Takes what has arrived on the session, until it is paused or broken.
cdef void session_input(Session* session) noexcept nogil
