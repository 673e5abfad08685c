"""Allocates requests, counts their walks, and frees them."""

from mcroute._engine.state cimport ClientRequest, Engine, PlanTable, Session

# A new request, the last of the session, or without a session a call. NULL without memory.
cdef ClientRequest* request_new(Engine* engine, Session* session) noexcept nogil
# A request of the engine itself: nobody waits for its reply, and it is not counted. NULL without memory.
cdef ClientRequest* request_of_engine(PlanTable* plan) noexcept nogil
# Ends one walk of the request; after the last one, frees the request if it is answered.
cdef void request_walk_ended(ClientRequest* request) noexcept nogil
# Removes a finished call whose result has been taken.
cdef void request_taken(ClientRequest* request) noexcept nogil
# Discards the call's result, whether the call has finished or not.
cdef void call_discard(ClientRequest* request) noexcept nogil
# Frees the reply of a request that is answered.
cdef void request_drop_reply(ClientRequest* request) noexcept nogil
# Frees an answered request, for which no walk is at work.
cdef void request_release(ClientRequest* request) noexcept nogil

# After its deadline no ask begins for a request. An answer alone does not end it: detached and slower copies get the
# request too.
cdef inline bint request_is_over(const ClientRequest* request) noexcept nogil:
    return request.deadline.at <= request.plan.engine.now
