"""Input of sessions: parses requests, and starts each on the plan that is installed at that moment."""

from mcroute._engine.state cimport Session

# Parses the session's input, until the session is paused or broken.
cdef void session_input(Session* session) noexcept nogil
