"""A request's life: from the memory for it until nothing works for it any more."""

from mcroute._engine.state cimport ClientRequest, Engine, Session

# A request of the session, last in its order, or without a session a call. NULL without memory.
cdef ClientRequest* request_new(Engine* engine, Session* session) noexcept nogil
# One walk of the request has ended for good; frees the request after the last, if it has been answered.
cdef void request_walk_ended(ClientRequest* request) noexcept nogil
# The result of a finished call has been taken.
cdef void request_taken(ClientRequest* request) noexcept nogil
# Nobody waits for the call any more, whether it has finished or not.
cdef void call_forget(ClientRequest* request) noexcept nogil
# Frees an answered request, for which no walk is at work.
cdef void request_release(ClientRequest* request) noexcept nogil

# Nothing is begun for a request whose deadline has come. An answer alone does not end it: what is detached, or slower
# than the fastest copy, is carried out too.
cdef inline bint request_is_over(const ClientRequest* request) noexcept nogil:
    return request.deadline.at <= request.plan.engine.now
